// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The table on its way into a file while it changes, so that the next process has it however this
// one ends: SIGKILL leaves what was written.

#include <cstddef>
#include <string>

#include "core/unique_handle.hpp"
#include "iwpm/saved.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

/// Where the daemon keeps it: in the unit's runtime directory, which stays for a restart and goes
/// with a stop.
inline constexpr const char* kSavedFile = "/run/iwpmd/mappings";

/// Not thread-safe.
class Record {
 public:
  explicit Record(std::string path) : path_(std::move(path)) {}

  /// What the last process left; empty when there is nothing. Errors: errno of reading.
  [[nodiscard]] core::Result<std::vector<SavedMapping>> read() const;
  /// Writes the whole table; changes are added to it from now on. Errors: errno; then nothing is
  /// recorded, and nothing out of date stays behind.
  [[nodiscard]] core::Result<void> start(const MappingTable& mappings);
  /// A change of the table; to be written by the next flush(). Nothing before start().
  void add(const Address& local, const Mapping* mapping);
  /// Writes the changes. Errors as start().
  [[nodiscard]] core::Result<void> flush(const MappingTable& mappings);

 private:
  [[nodiscard]] core::Result<void> give_up(const char* attempt, int error);

  std::string path_;
  core::UniqueFd fd_;
  std::string changes_;
  std::size_t lines_ = 0;  ///< of the file and of changes_
};

}  // namespace rdmaboot::iwpm
