// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The table of one process for the next, as text: one line a mapping,
//   CLIENT REFERENCES RESERVED LOCAL-IP PORT SCOPE MAPPED-IP PORT

#include <string>
#include <string_view>
#include <vector>

#include "iwpm/session.hpp"

namespace rdmaboot::iwpm {

/// Where the daemon keeps it between two processes: in the unit's runtime directory, which stays
/// for a restart and goes with a stop.
inline constexpr const char* kSavedFile = "/run/iwpmd/mappings";
/// A larger file is not read (bytes). A line has at most 120.
inline constexpr std::size_t kSavedLimit = kMostMappings * 120;

[[nodiscard]] std::string write_saved(const MappingTable& mappings);

/// Total: lines that are not as above are passed over.
[[nodiscard]] std::vector<SavedMapping> parse_saved(std::string_view text);

}  // namespace rdmaboot::iwpm
