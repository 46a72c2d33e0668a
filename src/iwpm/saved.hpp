// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The table of one process for the next, as text: one line for each change,
//   CLIENT REFERENCES RESERVED LOCAL-IP PORT SCOPE MAPPED-IP PORT
// The last line of a local address counts; with 0 references it has no mapping any more.

#include <string>
#include <string_view>
#include <vector>

#include "iwpm/session.hpp"

namespace rdmaboot::iwpm {

/// Longest line (bytes): two IPv6 addresses of 39 characters, numbers, blanks.
inline constexpr std::size_t kSavedLine = 120;
/// The text is written anew when it has more lines than twice the mappings and this. It bounds the
/// file, and a rewrite costs less than the changes that made it necessary.
inline constexpr std::size_t kSavedSlack = 4096;
/// A larger file is not read (bytes).
inline constexpr std::size_t kSavedLimit = (2 * kMostMappings + 2 * kSavedSlack) * kSavedLine;

/// What `local` is mapped to now; null: it has no mapping any more.
[[nodiscard]] std::string saved_line(const Address& local, const Mapping* mapping);

/// All mappings, one line each.
[[nodiscard]] std::string write_saved(const MappingTable& mappings);

/// Total: lines that are not as above are passed over.
[[nodiscard]] std::vector<SavedMapping> parse_saved(std::string_view text);

}  // namespace rdmaboot::iwpm
