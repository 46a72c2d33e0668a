// SPDX-License-Identifier: BSD-2-Clause
#include "core/config.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include <dirent.h>
#include <ini.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::core {
namespace {

/// More drop-ins than this in one directory are a mistake; the rest, in the order of the directory,
/// is not read.
constexpr std::size_t kMaxFragments = 1024;

bool is_mask(const std::string& path) {
  constexpr std::string_view kNull = "/dev/null";
  std::array<char, kNull.size() + 1> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length >= 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == kNull;
}

/// Adds the *.conf names of `directory` that no higher layer has taken. (Not std::filesystem: it
/// brings all of the C++ library's locales into the helpers that udev waits for.)
void collect(const std::string& directory, std::map<std::string, std::string>& by_name,
             std::vector<Error>& errors) {
  const UniqueHandle<DIR, closedir> listing(::opendir(directory.c_str()));
  if (!listing) {
    if (errno != ENOENT && errno != ENOTDIR) {
      errors.push_back(fail("list", directory, errno).value());
    }
    return;
  }
  for (errno = 0; const dirent* entry = ::readdir(listing.get()); errno = 0) {
    const std::string name = entry->d_name;
    if (!name.ends_with(".conf") || name.starts_with('.')) {
      continue;
    }
    if (by_name.size() >= kMaxFragments) {
      errors.push_back(fail("list", directory, E2BIG,
                            "expected at most " + std::to_string(kMaxFragments) + " *.conf files")
                           .value());
      return;
    }
    by_name.try_emplace(name, directory + "/" + name);
  }
  if (errno != 0) {
    errors.push_back(fail("list", directory, errno).value());
  }
}

void take_unmasked(const std::map<std::string, std::string>& by_name,
                   std::vector<std::string>& paths) {
  for (const auto& [name, path] : by_name) {
    if (!is_mask(path)) {
      paths.push_back(path);
    }
  }
}

}  // namespace

ConfigLayers ConfigLayers::rdma(std::string_view sub, std::string_view root) {
  ConfigLayers layers;
  for (const char* const base : {"/etc/rdma", "/run/rdma", "/usr/lib/rdma"}) {
    std::string directory = std::string(root) + base;
    if (!sub.empty()) {
      directory += '/';
      directory += sub;
    }
    layers.directories.push_back(std::move(directory));
  }
  return layers;
}

ConfigFiles find_config(const ConfigLayers& layers, std::string_view name) {
  ConfigFiles found;
  for (const std::string& directory : layers.directories) {
    const std::string path = directory + "/" + std::string(name);
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
      continue;
    }
    if (is_mask(path)) {
      found.masked = true;
      return found;
    }
    // An admin's mistake: it must not look like a file that nobody wrote.
    if (::stat(path.c_str(), &status) != 0) {
      found.errors.push_back(
          fail("open", path, errno, "expected a file, not a broken link").value());
      continue;
    }
    found.paths.push_back(path);
    break;
  }
  std::map<std::string, std::string> by_name;
  for (const std::string& directory : layers.directories) {
    collect(directory + "/" + std::string(name) + ".d", by_name, found.errors);
  }
  take_unmasked(by_name, found.paths);
  return found;
}

ConfigFiles find_config_directory(const ConfigLayers& layers) {
  ConfigFiles found;
  std::map<std::string, std::string> by_name;
  for (const std::string& directory : layers.directories) {
    collect(directory, by_name, found.errors);
  }
  take_unmasked(by_name, found.paths);
  return found;
}

IniFile parse_ini(std::string_view text, std::string_view file) {
  // libinih does not pass line numbers to its handler in Debian's build, and it stops at NUL bytes:
  // it is given one line at a time, and sections are carried here.
  IniFile out;
  std::string section;
  int line_number = 0;
  const auto wrong = [&](std::string_view expected) {
    out.errors.push_back(fail("parse line " + std::to_string(line_number) + " of", file, 0,
                              "expected " + std::string(expected))
                             .value());
  };
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view raw = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    const std::string line(trim(raw));
    if (line.empty() || line.front() == '#' || line.front() == ';') {
      continue;
    }
    if (line.find('\0') != std::string::npos || line.size() > 150) {
      // 150 is below INI_MAX_LINE (200) of Debian's libinih, which would cut silently.
      wrong("text of at most 150 bytes without NUL bytes");
      continue;
    }
    if (line.front() == '[') {
      if (line.size() < 3 || line.back() != ']') {
        wrong("[Section]");
        section.clear();
        continue;
      }
      section = line.substr(1, line.size() - 2);
      continue;
    }
    struct Found {
      std::string key;
      std::string value;
      bool any = false;
    } found;
    const auto handler = [](void* user, const char*, const char* key, const char* value) -> int {
      auto& into = *static_cast<Found*>(user);
      into.key = key;
      into.value = value != nullptr ? value : "";
      into.any = true;
      return 1;
    };
    if (ini_parse_string(line.c_str(), handler, &found) != 0 || !found.any || found.key.empty()) {
      wrong("Key=Value");
      continue;
    }
    out.entries.push_back({section, found.key, found.value, line_number});
  }
  return out;
}

}  // namespace rdmaboot::core
