// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell around the Scheduler: worker processes, one socket each, one poll loop.
//
// The supervisor itself never asks the kernel to load anything, so that it can always end: a
// module whose init function hangs keeps its worker in uninterruptible sleep, where not even
// SIGKILL ends it, and a process with such a thread could not exit.

#include <functional>
#include <vector>

#include "core/clock.hpp"
#include "load-modules/graph.hpp"
#include "load-modules/insert.hpp"
#include "load-modules/scheduler.hpp"
#include "os/module_index.hpp"

namespace rdmaboot::load_modules {

/// What the supervisor needs from outside; tests give their own.
struct Surroundings {
  const core::Clock& clock;
  /// Loads one module; called in a worker process.
  std::function<Answer(const Module&)> load;
  /// Where a module stands now; called in the supervisor.
  std::function<os::ModuleState(const Module&)> state;
  /// Called when a job is free and no module is ready, for work that can be done meanwhile;
  /// returns whether it did anything.
  std::function<bool(const Scheduler&)> spare_time;
};

/// Loads what the graph holds undecided and returns how each module ended (same index as
/// graph.modules). Workers that hang are left behind; where not even one can be started (EAGAIN,
/// EMFILE) modules fail with that. Forks: the process must have no other thread.
[[nodiscard]] std::vector<Ending> supervise(const Graph& graph, const Limits& limits,
                                            const Surroundings& around);

/// A worker's answer in the words of the plan.
[[nodiscard]] Ending ending_of(const Answer& answer);

}  // namespace rdmaboot::load_modules
