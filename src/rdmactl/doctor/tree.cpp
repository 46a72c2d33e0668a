// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/tree.hpp"

#include <algorithm>
#include <deque>
#include <memory>

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

using OpenDirectory = core::UniqueHandle<DIR, ::closedir>;

/// Puts the parts of `path` in front of what is still to be walked.
void walk_first(std::deque<std::string>& parts, std::string_view path) {
  const std::vector<std::string_view> more = core::split(path, "/");
  parts.insert(parts.begin(), more.begin(), more.end());
}

std::optional<std::string> target_of(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size <= 0 || static_cast<std::size_t>(size) == target.size()) {
    return std::nullopt;
  }
  target.resize(static_cast<std::size_t>(size));
  return target;
}

}  // namespace

std::optional<Tree::Place> Tree::find(const std::string& path, Last last) {
  std::deque<std::string> parts;
  walk_first(parts, path);
  Place place{{}, S_IFDIR, 0};
  unsigned links = 0;
  while (!parts.empty()) {
    const std::string part = std::move(parts.front());
    parts.pop_front();
    if (part == ".") {
      continue;
    }
    if (part == "..") {
      place.path.resize(place.path.empty() ? 0 : place.path.rfind('/'));
      place.type = S_IFDIR;
      continue;
    }
    const std::string next = place.path + "/" + part;
    struct stat status {};
    if (::lstat((root_ + next).c_str(), &status) != 0) {
      return std::nullopt;
    }
    if (S_ISLNK(status.st_mode) && (!parts.empty() || last == Last::kFollow)) {
      const auto target = target_of(root_ + next);
      if (!target || ++links > kMostLinks) {
        return std::nullopt;
      }
      seen_[next] = {Seen::Kind::kLink, *target, 0};
      if (target->starts_with('/')) {
        place.path.clear();
      }
      walk_first(parts, *target);
      continue;
    }
    place = {next, status.st_mode & static_cast<unsigned>(S_IFMT), status.st_mtim.tv_sec};
  }
  return place;
}

std::optional<std::string> Tree::read(const std::string& path, Record record) {
  const auto place = find(path, Last::kFollow);
  if (!place || place->type != S_IFREG) {
    return std::nullopt;
  }
  auto text = core::read_file(root_ + place->path, kFileLimit);
  if (!text) {
    return std::nullopt;
  }
  if (record == Record::kKeep) {
    seen_[place->path] = {Seen::Kind::kFile, *text, place->changed};
  }
  return std::move(*text);
}

std::vector<std::string> Tree::list(const std::string& path, Record record) {
  std::vector<std::string> names;
  const auto place = find(path, Last::kFollow);
  if (!place || place->type != S_IFDIR) {
    return names;
  }
  const OpenDirectory directory(::opendir((root_ + place->path + "/").c_str()));
  if (!directory) {
    return names;
  }
  while (const dirent* const entry = ::readdir(directory.get())) {
    const std::string_view name = &entry->d_name[0];
    if (name != "." && name != ".." && names.size() < kListLimit) {
      names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  if (record == Record::kKeep && !place->path.empty()) {
    seen_.try_emplace(place->path, Seen{Seen::Kind::kDirectory, {}, 0});
  }
  return names;
}

std::optional<std::string> Tree::link(const std::string& path) {
  const auto place = find(path, Last::kStay);
  if (!place || place->type != S_IFLNK) {
    return std::nullopt;
  }
  auto target = target_of(root_ + place->path);
  if (target) {
    seen_[place->path] = {Seen::Kind::kLink, *target, 0};
  }
  return target;
}

bool Tree::exists(const std::string& path) {
  return changed(path).has_value();
}

std::optional<std::int64_t> Tree::changed(const std::string& path) {
  const auto place = find(path, Last::kFollow);
  if (!place) {
    return std::nullopt;
  }
  const auto kind = place->type == S_IFDIR ? Seen::Kind::kDirectory : Seen::Kind::kFile;
  // Without its content, unless that was read.
  seen_.try_emplace(place->path, Seen{kind, {}, place->changed});
  return place->changed;
}

bool is_mask(const std::optional<std::string>& target) {
  return target && (*target == "/dev/null" || target->ends_with("../dev/null"));
}

}  // namespace rdmaboot::rdmactl::doctor
