// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reads the journal: entries that match, as plain data.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// One entry. Values are as whoever logged gave them: make them printable before they are shown.
struct JournalEntry {
  core::Microseconds realtime{0};   ///< since 1970
  core::Microseconds monotonic{0};  ///< since its boot
  std::map<std::string, std::string, std::less<>> fields;

  /// The value of a field; empty if the entry has none of that name, or it was not asked for.
  [[nodiscard]] std::string_view field(std::string_view name) const;
};

struct JournalQuery {
  /// An entry matches if one of these groups does. A group matches if each of its "FIELD=value"
  /// does; of several with the same field one is enough. No group: every entry.
  std::vector<std::vector<std::string>> any_of;
  std::vector<std::string> fields;          ///< those that are read; others are not in the answer
  bool this_boot = true;                    ///< only entries of the boot that runs
  std::optional<core::Microseconds> since;  ///< only from this time on (since 1970)
  std::size_t most = kMostEntries;          ///< the last so many; what is before is not read

  /// A boot logs some thousand entries about RDMA on a host with hundreds of devices.
  static constexpr std::size_t kMostEntries = 100'000;
};

/// A longer value of a field is cut (bytes).
inline constexpr std::size_t kFieldLimit = 4096;

/// Reads the entries that match, oldest first. Blocks for the time of reading files.
/// @param directory files of a journal instead of this machine's; empty is this machine
/// Errors: errno of the journal. Files that the caller may not read are left out without an error:
/// see journal_access().
[[nodiscard]] core::Result<std::vector<JournalEntry>> read_journal(
    const JournalQuery& query, const std::string& directory = {});

/// Whether the caller may read the system's journal.
/// Errors: EACCES, with the groups that may; ENOENT where there is no journal.
/// @param directories where the journals of machines are, each in one of its own
[[nodiscard]] core::Result<void> journal_access(const std::vector<std::string>& directories = {
                                                    "/run/log/journal", "/var/log/journal"});

}  // namespace rdmaboot::os
