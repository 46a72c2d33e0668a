// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the scheduler would do if every module took its expected time: the plan of --dry-run.

#include <vector>

#include "core/clock.hpp"
#include "load-modules/graph.hpp"

namespace rdmaboot::load_modules {

struct Planned {
  ModuleId module = 0;
  unsigned job = 0;  ///< 0 to jobs-1: what runs at once has different numbers
  core::Microseconds start{0};
  core::Microseconds end{0};
};

/// The modules that would be loaded, in the order in which they are started. A module that is
/// coming is taken as live.
/// @param jobs at least 1
[[nodiscard]] std::vector<Planned> simulate(const Graph& graph, unsigned jobs);

}  // namespace rdmaboot::load_modules
