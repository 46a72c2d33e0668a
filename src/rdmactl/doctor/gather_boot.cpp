// SPDX-License-Identifier: BSD-2-Clause
// What runs at boot and in services: udev's rules, systemd's units, limits, the initramfs.
#include <algorithm>
#include <array>
#include <set>

#include "core/text.hpp"
#include "rdmactl/doctor/gather.hpp"
#include "rdmactl/doctor/ours.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

constexpr std::string_view kBlanks = " \t\r";

// Highest priority first: udev(7), systemd.unit(5).
constexpr auto kRulesHomes = std::to_array<const char*>(
    {"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
     "/usr/lib/udev/rules.d", "/lib/udev/rules.d"});
constexpr auto kUnitHomes = std::to_array<const char*>(
    {"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator",
     "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
     "/run/systemd/generator.late"});

bool mentions_rdma(std::string_view text) {
  for (const std::string_view word : {"rdma", "RDMA", "infiniband", "openib", "iwpmd", "ib_"}) {
    if (text.find(word) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

/// Lines "key value" of an INI-like file that are not comments.
template <typename Take>
void each_setting(std::string_view text, Take take) {
  for (std::string_view line : core::split(text, "\n")) {
    line = core::trim(line);
    const std::size_t equals = line.find('=');
    if (!line.empty() && line.front() != '#' && line.front() != ';' &&
        equals != std::string_view::npos) {
      take(core::trim(line.substr(0, equals)), core::trim(line.substr(equals + 1)));
    }
  }
}

std::vector<std::string> units_in(const UnitFile& unit) {
  std::vector<std::string> names = unit.after;
  names.insert(names.end(), unit.needs.begin(), unit.needs.end());
  names.insert(names.end(), unit.wants.begin(), unit.wants.end());
  return names;
}

bool names_rdma(const UnitFile& unit) {
  const std::vector<std::string> names = units_in(unit);
  return std::any_of(names.begin(), names.end(), is_rdma_name);
}

/// Reads one unit with its drop-ins; recorded only if it has to do with RDMA.
void read_unit(Tree& tree, const std::string& name, const std::vector<const char*>& homes,
               const std::set<std::string>& drop_in_homes, Examined& examined) {
  UnitFile unit;
  unit.path = std::string(homes.front()) + "/" + name;
  unit.overridden = homes.size() > 1 && std::string_view(homes.front()).starts_with("/etc");
  const auto text = tree.read(unit.path, Tree::Record::kPass);
  parse_unit(text.value_or(std::string{}), unit);
  std::vector<std::string> drop_ins;
  for (const char* const home : kUnitHomes) {
    const std::string directory = std::string(home) + "/" + name + ".d";
    if (!drop_in_homes.contains(directory)) {
      continue;
    }
    for (const std::string& file : tree.list(directory, Tree::Record::kPass)) {
      if (file.ends_with(".conf")) {
        drop_ins.push_back(directory + "/" + file);
        parse_unit(tree.read(drop_ins.back(), Tree::Record::kPass).value_or(std::string{}), unit);
      }
    }
  }
  if (!is_rdma_name(name) && !names_rdma(unit)) {
    return;
  }
  unit.masked = is_mask(tree.link(unit.path)) || (text && text->empty());
  for (const char* const home : homes) {
    static_cast<void>(tree.read(std::string(home) + "/" + name));
  }
  for (const std::string& file : drop_ins) {
    static_cast<void>(tree.read(file));
  }
  examined.units.emplace(name, std::move(unit));
}

std::uint64_t limit_of(std::string_view value) {
  constexpr std::uint64_t kKiB = 1024;  // limits.conf(5)
  if (value == "unlimited" || value == "infinity" || value == "-1") {
    return MemoryLocks::kUnlimited;
  }
  const auto number = core::parse_number<std::uint64_t>(value);
  return number && *number <= UINT64_MAX / kKiB ? *number * kKiB : 0;
}

void read_limits(Tree& tree, const std::string& path, MemoryLocks& locks) {
  const std::string text = tree.read(path).value_or(std::string{});
  for (const std::string_view line : core::split(text, "\n")) {
    const auto words = core::split(line.substr(0, line.find('#')), kBlanks);
    constexpr std::size_t kWords = 4;  // domain, type, item, value
    if (words.size() != kWords || words[2] != "memlock" || words[0] == "root" ||
        words[1] == "hard") {
      continue;
    }
    if (const std::uint64_t limit = limit_of(words[3]);
        locks.users_origin.empty() || limit > locks.users) {
      locks.users = limit;
      locks.users_origin = path;
    }
  }
}

/// Files of a drop-in directory, in the order in which they are read.
std::vector<std::string> files_in(Tree& tree, std::initializer_list<const char*> homes,
                                  std::string_view suffix) {
  std::map<std::string, std::string> files;
  for (const char* const home : homes) {
    for (const std::string& name : tree.list(home)) {
      if (name.ends_with(suffix)) {
        files.try_emplace(name, std::string(home) + "/" + name);
      }
    }
  }
  std::vector<std::string> paths;
  paths.reserve(files.size());
  for (auto& [name, path] : files) {
    paths.push_back(std::move(path));
  }
  return paths;
}

/// Whether an initramfs of this host has RDMA in it, as the hooks of packaging/ decide that.
bool initramfs_has_rdma(Tree& tree, bool has_device) {
  std::string rdma = "auto";
  std::string modules = "most";
  std::vector<std::string> files = files_in(tree, {"/etc/initramfs-tools/conf.d"}, "");
  files.insert(files.begin(), "/etc/initramfs-tools/initramfs.conf");
  for (const std::string& path : files) {
    each_setting(tree.read(path).value_or(std::string{}),
                 [&](std::string_view key, std::string_view value) {
                   if (key == "RDMA") {
                     rdma = value;
                   } else if (key == "MODULES") {
                     modules = value;
                   }
                 });
  }
  if (rdma == "yes" || (rdma == "auto" && modules == "dep" && has_device)) {
    return true;
  }
  bool host_only = false;
  files = files_in(tree, {"/etc/dracut.conf.d", "/usr/lib/dracut/dracut.conf.d"}, ".conf");
  files.insert(files.begin(), "/etc/dracut.conf");
  for (const std::string& path : files) {
    each_setting(tree.read(path).value_or(std::string{}),
                 [&](std::string_view key, std::string_view value) {
                   if (key == "hostonly") {
                     host_only = value.find("yes") != std::string_view::npos;
                   }
                 });
  }
  return host_only && has_device && tree.exists("/usr/lib/dracut/modules.d/50rdma");
}

}  // namespace

void gather_rules(Tree& tree, Examined& examined) {
  for (const std::string_view name : kRules) {
    Layered& rules = examined.rules[std::string(name)];
    for (const char* const home : kRulesHomes) {
      const std::string path = std::string(home) + "/" + std::string(name);
      const bool is_null = is_mask(tree.link(path));
      const auto text = is_null ? std::string{} : tree.read(path);
      if (!text) {
        continue;
      }
      if (rules.paths.empty()) {
        rules.masked = text->empty();
        rules.text = *text;
      }
      rules.paths.push_back(path);
    }
  }
  for (const std::string& path :
       files_in(tree, {"/etc/udev/rules.d", "/run/udev/rules.d"}, ".rules")) {
    const auto text = tree.read(path, Tree::Record::kPass);
    if (text && mentions_rdma(*text)) {
      static_cast<void>(tree.read(path));
      if (text->find("RDMA_NAME_POLICY") != std::string::npos ||
          text->find("rdma_rename") != std::string::npos) {
        examined.naming_rules.push_back(path);
      }
    }
  }
}

void gather_units(Tree& tree, Examined& examined) {
  std::map<std::string, std::vector<const char*>> homes_of;
  std::set<std::string> drop_in_homes;
  for (const char* const home : kUnitHomes) {
    for (const std::string& name : tree.list(home)) {
      if (name.ends_with(".d")) {
        drop_in_homes.insert(std::string(home) + "/" + name);
      } else if (!name.ends_with(".wants") && !name.ends_with(".requires")) {
        homes_of[name].push_back(home);
        examined.unit_names.insert(name);
      }
    }
  }
  for (const auto& [name, homes] : homes_of) {
    read_unit(tree, name, homes, drop_in_homes, examined);
  }
  for (const std::string_view name : kEnabledUnits) {
    for (const char* const home : kUnitHomes) {
      if (tree.link(std::string(home) + "/sysinit.target.wants/" + std::string(name))) {
        examined.enabled.emplace(name);
      }
    }
  }
}

void gather_locks(Tree& tree, Examined& examined) {
  read_limits(tree, "/etc/security/limits.conf", examined.locks);
  for (const std::string& path :
       files_in(tree, {"/etc/security/limits.d", "/usr/lib/security/limits.d"}, ".conf")) {
    read_limits(tree, path, examined.locks);
  }
  std::vector<std::string> files =
      files_in(tree,
               {"/etc/systemd/system.conf.d", "/run/systemd/system.conf.d",
                "/usr/lib/systemd/system.conf.d"},
               ".conf");
  files.insert(files.begin(), "/etc/systemd/system.conf");
  for (const std::string& path : files) {
    each_setting(tree.read(path).value_or(std::string{}),
                 [&](std::string_view key, std::string_view value) {
                   const auto limit = parse_limit(value);
                   if (key == "DefaultLimitMEMLOCK" && limit) {
                     examined.locks.services = *limit;
                   }
                 });
  }
}

void gather_initramfs(Tree& tree, Examined& examined) {
  const std::string& release = examined.kernel_release;
  if (release.empty() || release.find('/') != std::string::npos ||
      !initramfs_has_rdma(tree, !examined.devices.devices.empty())) {
    return;
  }
  for (const std::string& path :
       {"/boot/initrd.img-" + release, "/boot/initramfs-" + release + ".img"}) {
    if (const auto changed = tree.changed(path)) {
      examined.initramfs = FileTime{path, *changed};
      break;
    }
  }
  std::vector<std::string> sources = files_in(tree, {"/etc/udev/rules.d", "/etc/modprobe.d"}, "");
  std::erase_if(sources, [&](const std::string& path) {
    const auto text = tree.read(path, Tree::Record::kPass);
    return !text || !mentions_rdma(*text);
  });
  for (const std::string& path : files_in(tree, {"/etc/rdma/modules"}, ".conf")) {
    sources.push_back(path);
    for (const std::string& drop_in : files_in(tree, {(path + ".d").c_str()}, ".conf")) {
      sources.push_back(drop_in);
    }
  }
  sources.emplace_back("/etc/initramfs-tools/conf.d/rdma");
  for (const std::string& path : sources) {
    if (tree.read(path)) {
      examined.initramfs_sources.push_back({path, tree.changed(path).value_or(0)});
    }
  }
}

}  // namespace rdmaboot::rdmactl::doctor
