// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/simulate.hpp"

#include <functional>
#include <queue>
#include <utility>

#include "load-modules/scheduler.hpp"

namespace rdmaboot::load_modules {

std::vector<Planned> simulate(const Graph& graph, unsigned jobs) {
  constexpr core::Microseconds kNever = core::Microseconds::max();
  Scheduler scheduler(graph, {jobs, kNever, kNever});
  for (const std::set<ModuleId> coming = scheduler.coming(); const ModuleId id : coming) {
    scheduler.finished(id, {Outcome::kAlreadyLive, 0, {}, {}});
  }
  std::vector<Planned> plan;
  std::vector<unsigned> free_jobs;
  for (unsigned job = jobs; job > 0; --job) {
    free_jobs.push_back(job - 1);
  }
  using Running = std::pair<core::Microseconds, std::size_t>;  // end, index in plan
  std::priority_queue<Running, std::vector<Running>, std::greater<>> running;
  core::Microseconds now{0};
  while (!scheduler.done()) {
    while (const auto id = scheduler.next(now)) {
      const core::Microseconds end = now + core::Microseconds(graph.modules[*id].cost);
      plan.push_back({*id, free_jobs.back(), now, end});
      free_jobs.pop_back();
      running.emplace(end, plan.size() - 1);
    }
    if (running.empty()) {
      break;  // not reached with a finished graph; an unfinished one must not loop for ever
    }
    now = running.top().first;
    const Planned& ended = plan[running.top().second];
    running.pop();
    free_jobs.push_back(ended.job);
    scheduler.finished(ended.module, {Outcome::kLoaded, 0, ended.end - ended.start, {}});
  }
  return plan;
}

}  // namespace rdmaboot::load_modules
