// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// How long each module took to load the last time: "name microseconds" lines in
// /var/lib/rdma-boot/module-times. A hint for the order, never needed.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace rdmaboot::load_modules {

/// Microseconds by module name.
using ModuleTimes = std::map<std::string, std::uint64_t, std::less<>>;

inline constexpr const char* kModuleTimesPath = "/var/lib/rdma-boot/module-times";
inline constexpr std::size_t kMostTimes = 4096;
/// A longer time (microseconds) is not believed.
inline constexpr std::uint64_t kLongestTime = 3'600'000'000;

/// Reads the text of such a file; lines that are not understood are dropped. Total.
[[nodiscard]] ModuleTimes parse_module_times(std::string_view text);

/// Writes them so that parse_module_times gives the same back (at most kMostTimes, by name).
[[nodiscard]] std::string format_module_times(const ModuleTimes& times);

}  // namespace rdmaboot::load_modules
