// SPDX-License-Identifier: BSD-2-Clause
#include "os/kmod.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include <fcntl.h>
#include <libkmod.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

using Context = core::UniqueHandle<kmod_ctx, kmod_unref>;
using Module = core::UniqueHandle<kmod_module, kmod_module_unref>;
using ModuleList = core::UniqueHandle<kmod_list, kmod_module_unref_list>;

constexpr std::uint32_t kIndexMagic = 0xb007f457;
constexpr std::uint32_t kHasPrefix = 0x80000000;
constexpr std::uint32_t kHasValues = 0x40000000;
constexpr std::uint32_t kHasChildren = 0x20000000;
constexpr std::uint32_t kOffsetMask = 0x0fffffff;
/// A root node has a short prefix, at most 128 children and few values: this much holds it.
constexpr std::size_t kRootNodeLimit = 4096;

constexpr std::array kIndexFiles = {"modules.dep.bin", "modules.alias.bin", "modules.symbols.bin",
                                    "modules.builtin.bin", "modules.builtin.alias.bin"};

std::uint32_t big_endian(std::string_view four) {
  std::uint32_t value = 0;
  for (const char c : four.substr(0, 4)) {
    value = value << 8U | static_cast<unsigned char>(c);
  }
  return value;
}

std::vector<std::string> names_of(const kmod_list* list) {
  std::vector<std::string> names;
  for (const kmod_list* at = list; at != nullptr; at = kmod_list_next(list, at)) {
    const Module module(kmod_module_get_module(at));
    names.emplace_back(kmod_module_get_name(module.get()));
  }
  return names;
}

std::string text_or_empty(const char* text) {
  return text != nullptr ? std::string(text) : std::string();
}

/// Refuses an index that was cut (a full disk, an interrupted depmod): libkmod would read beyond
/// the end of its mapping.
core::Result<void> check_index(const std::string& path) {
  const core::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    // libkmod does without a file that is not there.
    return errno == ENOENT ? core::Result<void>{} : core::fail("open", path, errno);
  }
  std::array<char, 12> header{};
  std::array<char, kRootNodeLimit> node{};
  const ssize_t got = ::pread(file.get(), header.data(), header.size(), 0);
  const std::string_view head(header.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  if (head.size() == header.size() && big_endian(head) == kIndexMagic) {
    const std::uint32_t root = big_endian(head.substr(8));
    const ssize_t size = ::pread(file.get(), node.data(), node.size(), root & kOffsetMask);
    if (size >= 0 && index_root_is_whole(root, {node.data(), static_cast<std::size_t>(size)})) {
      return {};
    }
  }
  return core::fail("read module index", path, EBADMSG,
                    "the file is damaged; \"depmod -a\" writes it anew");
}

class KmodIndex final : public ModuleIndex {
 public:
  KmodIndex(Context context, std::string sys) : context_(std::move(context)), sys_(std::move(sys)) {
    kmod_config_iter* const iterator = kmod_config_get_blacklists(context_.get());
    while (iterator != nullptr && kmod_config_iter_next(iterator)) {
      deny_listed_.insert(text_or_empty(kmod_config_iter_get_key(iterator)));
    }
    if (iterator != nullptr) {
      kmod_config_iter_free_iter(iterator);
    }
  }

  core::Result<std::vector<std::string>> resolve(const std::string& name) override {
    kmod_list* found = nullptr;
    const int error = kmod_module_new_from_lookup(context_.get(), name.c_str(), &found);
    const ModuleList owner(found);
    // ENOSYS is libkmod's way to say that an index file it looked into is not there.
    if (error < 0 && error != -ENOENT && error != -ENOSYS) {
      return core::fail("look up module", name, -error);
    }
    return names_of(found);
  }

  core::Result<ModuleFacts> describe(const std::string& name) override {
    kmod_module* raw = nullptr;
    const int error = kmod_module_new_from_name(context_.get(), name.c_str(), &raw);
    if (error < 0) {
      return core::fail("look up module", name, -error);
    }
    const Module module(raw);
    ModuleFacts facts;
    facts.name = text_or_empty(kmod_module_get_name(raw));
    facts.path = text_or_empty(kmod_module_get_path(raw));
    facts.deny_listed = deny_listed_.contains(facts.name);
    facts.state = sys_.empty() ? ModuleState::kAbsent : module_state(sys_, facts.name);
    facts.install_command = text_or_empty(kmod_module_get_install_commands(raw));
    if (facts.path.empty() && facts.state != ModuleState::kLive && is_builtin(raw)) {
      facts.state = ModuleState::kBuiltin;
    }
    if (facts.state == ModuleState::kLive || facts.state == ModuleState::kBuiltin) {
      return facts;
    }
    if (facts.path.empty() && facts.install_command.empty()) {
      return core::fail("find module", name, ENOENT);
    }
    struct stat status {};
    if (!facts.path.empty()) {
      if (::stat(facts.path.c_str(), &status) != 0) {
        return core::fail("find file of module", facts.path, errno);
      }
      facts.file_size = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
    }
    facts.options = text_or_empty(kmod_module_get_options(raw));
    const ModuleList hard(kmod_module_get_dependencies(raw));
    facts.hard = names_of(hard.get());
    kmod_list* before = nullptr;
    kmod_list* after = nullptr;
    if (const int soft = kmod_module_get_softdeps(raw, &before, &after); soft < 0) {
      return core::fail("read soft dependencies of", name, -soft);
    }
    const ModuleList before_owner(before);
    const ModuleList after_owner(after);
    facts.soft_before = names_of(before);
    facts.soft_after = names_of(after);
#ifdef RDMABOOT_HAVE_KMOD_WEAKDEPS
    kmod_list* weak = nullptr;
    if (kmod_module_get_weakdeps(raw, &weak) >= 0) {
      const ModuleList weak_owner(weak);
      facts.weak = names_of(weak);
    }
#endif
    return facts;
  }

 private:
  static bool is_builtin(const kmod_module* module) {
    // libkmod looks into the index of builtin modules first, then into this machine's sysfs;
    // only the first answer is asked for here.
    return kmod_module_get_initstate(module) == KMOD_MODULE_BUILTIN;
  }

  Context context_;
  std::string sys_;
  std::set<std::string, std::less<>> deny_listed_;
};

}  // namespace

bool index_root_is_whole(std::uint32_t root_offset, std::string_view from_root) {
  std::string_view rest = from_root;
  const auto take = [&rest](std::size_t bytes) {
    const bool there = rest.size() >= bytes;
    rest.remove_prefix(std::min(bytes, rest.size()));
    return there;
  };
  const auto take_text = [&rest, &take] {
    const std::size_t end = rest.find('\0');
    return end != std::string_view::npos && take(end + 1);
  };
  if ((root_offset & kHasPrefix) != 0 && !take_text()) {
    return false;
  }
  if ((root_offset & kHasChildren) != 0) {
    if (rest.size() < 2) {
      return false;
    }
    const auto first = static_cast<unsigned char>(rest[0]);
    const auto last = static_cast<unsigned char>(rest[1]);
    if (last < first || !take(2 + (std::size_t{last} - first + 1) * 4)) {
      return false;
    }
  }
  if ((root_offset & kHasValues) != 0) {
    if (rest.size() < 4) {
      return false;
    }
    std::uint32_t count = big_endian(rest);
    rest.remove_prefix(4);
    for (; count > 0; --count) {
      if (!take(4) || !take_text()) {
        return false;
      }
    }
  }
  return true;
}

core::Result<std::unique_ptr<ModuleIndex>> open_kmod(const KmodPlace& place) {
  std::string release = place.release;
  if (release.empty()) {
    utsname names{};
    if (::uname(&names) != 0) {
      return core::fail("ask for the kernel's release", "", errno);
    }
    release = names.release;
  }
  const std::string directory = place.root + "/lib/modules/" + release;
  if (::access(directory.c_str(), R_OK | X_OK) != 0) {
    return core::fail("open directory of kernel modules", directory, errno);
  }
  for (const char* const file : kIndexFiles) {
    if (auto checked = check_index(directory + "/" + file); !checked) {
      return tl::make_unexpected(std::move(checked.error()));
    }
  }
  std::vector<std::string> config_directories;
  std::vector<const char*> config_paths;
  if (!place.root.empty()) {
    for (const char* const base : {"/etc/modprobe.d", "/run/modprobe.d",
                                   "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d"}) {
      config_directories.push_back(place.root + base);
    }
    for (const std::string& path : config_directories) {
      config_paths.push_back(path.c_str());
    }
    config_paths.push_back(nullptr);
  }
  errno = 0;
  Context context(
      kmod_new(directory.c_str(), config_paths.empty() ? nullptr : config_paths.data()));
  if (!context) {
    return core::fail("open libkmod for", directory, errno != 0 ? errno : ENOMEM);
  }
  // Without the mapping each look-up opens and reads the index files again; a failure costs time
  // only.
  static_cast<void>(kmod_load_resources(context.get()));
  return std::make_unique<KmodIndex>(std::move(context), place.root.empty() ? "/sys" : "");
}

int insert_with_libkmod(const std::string& path, const std::string& options) {
  // No configuration: what modprobe.d says is in `options` already.
  const char* const no_configuration = nullptr;
  const Context context(kmod_new(nullptr, &no_configuration));
  kmod_module* raw = nullptr;
  if (!context || kmod_module_new_from_path(context.get(), path.c_str(), &raw) < 0) {
    return errno != 0 ? errno : ENOMEM;
  }
  const Module module(raw);
  const int error = kmod_module_insert_module(raw, 0, options.c_str());
  return error < 0 ? -error : 0;
}

core::Result<void> load_module(const std::string& name) {
  const Context context(kmod_new(nullptr, nullptr));
  if (!context) {
    return core::fail("load module", name, ENOMEM);
  }
  kmod_module* raw = nullptr;
  if (const int error = kmod_module_new_from_name(context.get(), name.c_str(), &raw); error < 0) {
    return core::fail("load module", name, -error);
  }
  const Module module(raw);
  // A denied module that another one depends on is loaded: `blacklist` is about aliases.
  const int error = kmod_module_probe_insert_module(raw, KMOD_PROBE_APPLY_BLACKLIST_ALIAS_ONLY,
                                                    nullptr, nullptr, nullptr, nullptr);
  return error == 0 ? core::Result<void>{}
                    : core::fail("load module", name, error < 0 ? -error : EPERM);
}

}  // namespace rdmaboot::os
