// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A snapshot in one file: a tar, compressed by gzip, with what gather() looked at. Reading trusts
// nothing: a snapshot comes by mail from a host that somebody else rules.

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "rdmactl/doctor/live.hpp"
#include "rdmactl/doctor/tree.hpp"

namespace rdmaboot::rdmactl::doctor {

// Above any of these a snapshot is refused. A real one has some thousand files and, unpacked, 3
// MiB.
inline constexpr std::size_t kPackedLimit = 32U << 20U;    ///< bytes of the file itself
inline constexpr std::size_t kUnpackedLimit = 96U << 20U;  ///< bytes it expands to, all of the tar
inline constexpr std::size_t kEntryLimit = 65536;
inline constexpr std::size_t kPathLimit = 1024;  ///< bytes of one path or link
inline constexpr std::size_t kDepthLimit = 40;   ///< directories below each other

/// Writes a new file, readable for its owner only. Bytes and links are as they are, but a link that
/// is absolute or winds about is written as the relative one that means the same.
/// Errors: those of load_archive_library(); EEXIST; errno of writing; a tree above the limits. The
/// file is gone then.
[[nodiscard]] core::Result<void> save_snapshot(const std::map<std::string, Seen>& seen,
                                               const LiveFacts& live, const std::string& path);

/// A directory of our own below TMPDIR or /tmp (mode 0700), removed with all it holds.
class PrivateDirectory {
 public:
  /// Errors: errno of mkdtemp.
  [[nodiscard]] static core::Result<PrivateDirectory> make();
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;
  ~PrivateDirectory();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Unpacks the file into `directory`, which is empty and nobody else's.
/// Errors: what makes it no snapshot, with the entry: a path that is absolute or has "..", a link
/// that is absolute or leads out, a path through a link, anything but files, directories and
/// symbolic links, an entry that is there twice, more than a limit, no tar; errno; those of
/// load_archive_library().
[[nodiscard]] core::Result<void> unpack_snapshot(const std::string& path,
                                                 const std::string& directory);

/// The same from memory.
[[nodiscard]] core::Result<void> unpack_snapshot_bytes(std::string_view bytes,
                                                       const std::string& directory);

/// `target`, of the link at `path` (absolute, in the tree), as a relative path of the only form
/// that is unpacked: ".." in front alone, and never above the root. Total.
[[nodiscard]] std::string relative_target(std::string_view path, std::string_view target);

}  // namespace rdmaboot::rdmactl::doctor
