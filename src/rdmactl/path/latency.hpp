// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What many durations have in common. Pure.

#include <cstddef>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/clock.hpp"

namespace rdmaboot::rdmactl {

/// Of no duration at all everything is 0. A percentile is the nearest rank: the least duration that
/// so many percent of all do not exceed.
struct Latencies {
  std::size_t count = 0;
  core::Microseconds least{0};
  core::Microseconds p50{0};
  core::Microseconds p90{0};
  core::Microseconds p99{0};
  core::Microseconds p999{0};
  core::Microseconds most{0};
  double mean = 0;  ///< microseconds
};

[[nodiscard]] Latencies latencies(std::vector<core::Microseconds> durations);

/// As in docs/schemas/bench.json, microseconds; null of no duration.
[[nodiscard]] nlohmann::json latencies_json(const Latencies& of);

}  // namespace rdmaboot::rdmactl
