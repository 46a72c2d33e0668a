// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/path/latency.hpp"

#include <algorithm>
#include <numeric>

namespace rdmaboot::rdmactl {
namespace {

using core::Microseconds;

/// @param sorted not empty
Microseconds at_per_mille(const std::vector<Microseconds>& sorted, std::size_t per_mille) {
  constexpr std::size_t kWhole = 1000;
  const std::size_t rank = (sorted.size() * per_mille + kWhole - 1) / kWhole;
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

Latencies latencies(std::vector<Microseconds> durations) {
  Latencies of;
  of.count = durations.size();
  if (durations.empty()) {
    return of;
  }
  std::sort(durations.begin(), durations.end());
  of.least = durations.front();
  of.p50 = at_per_mille(durations, 500);
  of.p90 = at_per_mille(durations, 900);
  of.p99 = at_per_mille(durations, 990);
  of.p999 = at_per_mille(durations, 999);
  of.most = durations.back();
  const Microseconds sum = std::accumulate(durations.begin(), durations.end(), Microseconds(0));
  of.mean = static_cast<double>(sum.count()) / static_cast<double>(durations.size());
  return of;
}

nlohmann::json latencies_json(const Latencies& of) {
  if (of.count == 0) {
    return nullptr;
  }
  return {{"min", of.least.count()}, {"p50", of.p50.count()},    {"p90", of.p90.count()},
          {"p99", of.p99.count()},   {"p99.9", of.p999.count()}, {"max", of.most.count()},
          {"mean", of.mean}};
}

}  // namespace rdmaboot::rdmactl
