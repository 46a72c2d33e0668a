// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reading sysfs, of this machine or of a recorded one, without trusting what is found there: reads
// are bounded, attributes are never followed through links, and a recorded tree has no way out.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/unique_handle.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Longest attribute that is taken (bytes): the kernel gives text attributes one page.
inline constexpr std::size_t kAttributeLimit = 4096;
/// Most entries that are taken from one directory; more is an error, not a cut. The largest real
/// ones are GID tables (256) and device classes.
inline constexpr std::size_t kDirectoryLimit = 4096;

/// An open directory. Not thread-safe: listing it moves its file position.
class Directory {
 public:
  /// @param path for messages only
  Directory(core::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  /// The text of an attribute without the line's end. `name` has no '/': a link on the way to it
  /// would lead out of a recorded tree.
  /// Errors: errno of open or read, ELOOP for a symbolic link, EFBIG.
  [[nodiscard]] core::Result<std::string> attribute(const std::string& name) const;
  /// Gives an attribute a new text with one write, as the kernel wants it. `name` as above; `text`
  /// has at least one byte, because the kernel never hears of a write of nothing.
  /// Errors: errno of open or write; EOPNOTSUPP for an attribute that nobody may write; EIO if only
  /// a part was taken.
  [[nodiscard]] core::Result<void> set_attribute(const std::string& name,
                                                 std::string_view text) const;
  /// Names of the entries, sorted, without "." and "..". Errors: errno; EOVERFLOW.
  [[nodiscard]] core::Result<std::vector<std::string>> entries() const;
  /// A directory inside, not through a link. Errors: errno of openat.
  [[nodiscard]] core::Result<Directory> subdirectory(const std::string& name) const;
  /// Where a symbolic link points. Errors: errno of readlinkat; ENAMETOOLONG.
  [[nodiscard]] core::Result<std::string> link(const std::string& name) const;
  /// A number that differs between this directory and any other that exists at the same time or
  /// (in a real sysfs, where it is the kernfs id) ever existed; 0 if nobody can tell.
  [[nodiscard]] std::uint64_t identity() const;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  core::UniqueFd fd_;
  std::string path_;
};

/// The file system of this machine, or of a recorded one below a directory.
class Tree {
 public:
  /// @param root directory that stands for "/"; empty is this machine
  /// Errors: errno of open.
  [[nodiscard]] static core::Result<Tree> open(const std::string& root);

  /// Opens a directory by its absolute path inside the tree; links are followed, but not out of a
  /// recorded tree. Errors: errno of open; ENOSYS on kernels before 5.6 for a recorded tree.
  [[nodiscard]] core::Result<Directory> directory(const std::string& path) const;

  /// Whether this is the running machine, so that the kernel may be asked by other ways too.
  [[nodiscard]] bool is_live() const { return !root_; }

 private:
  Tree(core::UniqueFd root, std::string prefix)
      : root_(std::move(root)), prefix_(std::move(prefix)) {}

  core::UniqueFd root_;
  std::string prefix_;
};

/// Where a link leads that is found in `directory`, by the names alone: "/sys/class/net" and
/// "../../devices/x" give "/sys/devices/x". Total; ".." at the top stays there.
[[nodiscard]] std::string resolve_link(std::string_view directory, std::string_view target);

/// The part after the last '/'.
[[nodiscard]] std::string_view base_name(std::string_view path);

}  // namespace rdmaboot::os
