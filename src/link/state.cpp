// SPDX-License-Identifier: BSD-2-Clause
#include "link/state.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::link {
namespace {

namespace fs = std::filesystem;
using core::Result;

constexpr std::string_view kSection = "Made";
/// More files than this are not looked at; nobody declares as many links.
constexpr std::size_t kMostLinks = 4096;
/// No name of a link: read() passes over files with a dot in front.
constexpr const char* kApplied = "/.applied";

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return core::fail("remove", path, errno);
  }
  return {};
}

}  // namespace

std::string encode(const MadeLink& made) {
  return "# Written by rdma-link; not meant to be edited.\n[" + std::string(kSection) +
         "]\nType=" + std::string(device::name_of(made.type)) +
         "\nDevice=" + std::to_string(made.device_index) + "\nNetDev=" + made.netdev +
         "\nFile=" + made.file + "\n";
}

Result<MadeLink> decode(std::string_view text, const std::string& name) {
  MadeLink made;
  made.name = name;
  std::optional<device::SoftLinkType> type;
  std::optional<std::uint32_t> index;
  for (const core::IniEntry& entry : core::parse_ini(text, name).entries) {
    if (entry.section != kSection) {
      continue;
    }
    if (entry.key == "Type") {
      type = device::parse_soft_link_type(entry.value);
    } else if (entry.key == "Device") {
      index = core::parse_number<std::uint32_t>(entry.value);
    } else if (entry.key == "NetDev") {
      made.netdev = entry.value;
    } else if (entry.key == "File") {
      made.file = entry.value;
    }
  }
  if (!type || !index) {
    return core::fail("read state of link", name, EBADMSG, "expected Type= and Device= in it");
  }
  made.type = *type;
  made.device_index = *index;
  return made;
}

Result<core::UniqueFd> StateStore::lock() const {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) {
    return core::fail("make", directory_, error.value());
  }
  const std::string path = directory_ + "/.lock";
  constexpr mode_t kOwner = 0600;
  core::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwner));
  if (!file) {
    return core::fail("open", path, errno);
  }
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) {
      return core::fail("lock", path, errno);
    }
  }
  return file;
}

State StateStore::read() const {
  State state;
  std::error_code error;
  for (fs::directory_iterator at(directory_, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.')) {
      continue;
    }
    if (state.made.size() >= kMostLinks) {
      break;
    }
    const auto text = core::read_file(at->path().string());
    auto made = text ? decode(*text, name) : tl::make_unexpected(text.error());
    if (made) {
      state.made.push_back(std::move(*made));
    } else {
      state.errors.push_back(made.error());
    }
  }
  if (error && error.value() != ENOENT) {
    state.errors.push_back(core::fail("list", directory_, error.value()).value());
  }
  std::sort(state.made.begin(), state.made.end(),
            [](const MadeLink& a, const MadeLink& b) { return a.name < b.name; });
  return state;
}

Result<void> StateStore::write(const MadeLink& made) const {
  return core::replace_file(directory_ + "/" + made.name, encode(made));
}

Result<void> StateStore::refuse(const std::string& name, std::string_view reason) const {
  std::error_code error;
  fs::create_directories(refused_, error);
  if (error) {
    return core::fail("make", refused_, error.value());
  }
  return core::replace_file(refused_ + "/" + name, std::string(reason) + "\n");
}

Result<void> StateStore::accept(const std::string& name) const {
  return remove_file(refused_ + "/" + name);
}

Result<void> StateStore::accept_all_but(const std::set<std::string>& names) const {
  std::error_code error;
  for (fs::directory_iterator at(refused_, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (names.contains(name)) {
      continue;
    }
    if (auto accepted = accept(name); !accepted) {
      return accepted;
    }
  }
  return {};
}

Result<void> StateStore::applied(std::size_t fingerprint) const {
  return core::replace_file(directory_ + kApplied, std::to_string(fingerprint) + "\n");
}

std::optional<std::size_t> StateStore::last_applied() const {
  const auto text = core::read_file(directory_ + kApplied);
  return text ? core::parse_number<std::size_t>(core::trim(*text)) : std::nullopt;
}

Result<void> StateStore::forget(const std::string& name) const {
  return remove_file(directory_ + "/" + name);
}

}  // namespace rdmaboot::link
