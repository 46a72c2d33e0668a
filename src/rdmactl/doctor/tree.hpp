// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The files of a machine, this one or one that was saved below a directory, with a record of all
// that was looked at: that record is what a snapshot has to hold.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::rdmactl::doctor {

/// Largest file that is read (bytes): modules.dep and modules.alias of a distribution's kernel have
/// one to two million.
inline constexpr std::size_t kFileLimit = 8U << 20U;
/// Most names that are taken from one directory; the rest is passed over.
inline constexpr std::size_t kListLimit = 8192;
/// Links on the way to one file; more is a loop (the kernel's own limit, path_resolution(7)).
inline constexpr unsigned kMostLinks = 40;

/// What is known of one path after it was looked at.
struct Seen {
  enum class Kind : std::uint8_t { kLink, kDirectory, kFile };
  Kind kind = Kind::kFile;
  std::string text;          ///< target of a link, content of a file
  std::int64_t changed = 0;  ///< of a file, seconds since 1970
};

/// Not thread-safe. Links are followed, but never out of the tree: an absolute one starts at its
/// root again.
class Tree {
 public:
  /// @param root directory that stands for "/"; empty is this machine
  explicit Tree(std::string root) : root_(std::move(root)) {}

  enum class Record : std::uint8_t { kKeep, kPass };
  /// The whole of a file. Nothing if it is not there, not readable, no file, or larger than
  /// kFileLimit.
  [[nodiscard]] std::optional<std::string> read(const std::string& path,
                                                Record record = Record::kKeep);
  /// Names in a directory, sorted. Empty if there is none.
  [[nodiscard]] std::vector<std::string> list(const std::string& path,
                                              Record record = Record::kKeep);
  /// Where the last part of `path` points, if it is a link.
  [[nodiscard]] std::optional<std::string> link(const std::string& path);
  /// Whether there is anything, at the end of all links.
  [[nodiscard]] bool exists(const std::string& path);
  /// When it was changed last; nothing if it is not there.
  [[nodiscard]] std::optional<std::int64_t> changed(const std::string& path);

  [[nodiscard]] const std::string& root() const { return root_; }
  /// Everything that was looked at and was there, by its path without links on the way.
  [[nodiscard]] const std::map<std::string, Seen>& seen() const { return seen_; }

 private:
  struct Place {
    std::string path;   ///< from the root of the tree, no links in it
    unsigned type = 0;  ///< S_IFMT bits
    std::int64_t changed = 0;
  };
  enum class Last : std::uint8_t { kFollow, kStay };
  std::optional<Place> find(const std::string& path, Last last);

  std::string root_;
  std::map<std::string, Seen> seen_;
};

/// Whether a link with that target masks: it ends at /dev/null, which a snapshot spells relatively.
[[nodiscard]] bool is_mask(const std::optional<std::string>& target);

}  // namespace rdmaboot::rdmactl::doctor
