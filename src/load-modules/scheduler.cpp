// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/scheduler.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace rdmaboot::load_modules {

Scheduler::Scheduler(const Graph& graph, Limits limits)
    : graph_(graph),
      limits_(limits),
      states_(graph.modules.size()),
      waiting_(graph.modules.size()) {
  for (ModuleId id = 0; id < graph.modules.size(); ++id) {
    states_[id].waits_for = graph.modules[id].needs.size();
    if (graph.modules[id].coming && !graph.modules[id].decided) {
      coming_.insert(id);
    }
    for (const Edge& edge : graph.modules[id].needs) {
      waiting_[edge.on].push_back({id, edge.need});
    }
  }
  for (ModuleId id = 0; id < graph.modules.size(); ++id) {
    const Module& module = graph.modules[id];
    if (states_[id].ending) {
      continue;
    }
    if (module.decided) {
      end(id, *module.decided);
    } else if (states_[id].waits_for == 0) {
      settle(id);
    }
  }
}

Scheduler::Rank Scheduler::rank(ModuleId id) const {
  const Module& module = graph_.modules[id];
  // The set is in ascending order: the longest chain has the smallest rank.
  const std::uint64_t chain =
      limits_.jobs == 1 ? 0 : std::numeric_limits<std::uint64_t>::max() - module.chain;
  return {module.priority, chain, module.order, id};
}

/// All that the module waited for has ended.
void Scheduler::settle(ModuleId id) {
  State& state = states_[id];
  if (state.ending || state.in_work || coming_.contains(id)) {
    return;
  }
  if (!state.failed_need) {
    ready_.insert(rank(id));
  } else {
    end(id, dependency_failed(state));
  }
}

Ending Scheduler::dependency_failed(const State& state) const {
  return {
      Outcome::kDependencyFailed, 0, {}, graph_.modules[*state.failed_need].name + " is not there"};
}

void Scheduler::leave_work(State& state) {
  if (!std::exchange(state.in_work, false)) {
    return;
  }
  if (std::exchange(state.stalled, false)) {
    --stalled_;
  } else {
    --working_;
  }
}

void Scheduler::end(ModuleId first, Ending ending) {
  // A list of its own instead of recursion: a chain of failures may be as long as the graph.
  std::vector<std::pair<ModuleId, Ending>> ends;
  ends.emplace_back(first, std::move(ending));
  while (!ends.empty()) {
    auto [id, how] = std::move(ends.back());
    ends.pop_back();
    State& state = states_[id];
    if (state.ending) {
      continue;
    }
    leave_work(state);
    given_out_.erase(id);
    coming_.erase(id);
    ready_.erase(rank(id));
    const bool usable = is_usable(how.outcome);
    state.ending = std::move(how);
    ++ended_;
    for (const Edge& edge : waiting_[id]) {
      State& waiter = states_[edge.on];
      if (!usable && (edge.need == Need::kHard || edge.need == Need::kPost) &&
          !waiter.failed_need) {
        waiter.failed_need = id;
      }
      if (--waiter.waits_for > 0 || waiter.ending || waiter.in_work || coming_.contains(edge.on) ||
          graph_.modules[edge.on].decided) {
        continue;
      }
      if (!waiter.failed_need) {
        ready_.insert(rank(edge.on));
      } else {
        ends.emplace_back(edge.on, dependency_failed(waiter));
      }
    }
  }
}

std::optional<ModuleId> Scheduler::next(core::Microseconds now) {
  if (!has_ready_job()) {
    return std::nullopt;
  }
  const ModuleId id = std::get<3>(*ready_.begin());
  ready_.erase(ready_.begin());
  State& state = states_[id];
  state.in_work = true;
  state.since = now;
  given_out_.insert(id);
  ++working_;
  return id;
}

void Scheduler::finished(ModuleId id, Ending ending) {
  end(id, std::move(ending));
}

void Scheduler::found_coming(ModuleId id) {
  if (!states_[id].ending) {
    leave_work(states_[id]);
    given_out_.erase(id);
    coming_.insert(id);
  }
}

void Scheduler::gave_up(ModuleId id) {
  if (coming_.erase(id) > 0 && states_[id].waits_for == 0) {
    settle(id);
  }
}

std::vector<ModuleId> Scheduler::tick(core::Microseconds now) {
  std::vector<ModuleId> newly_stalled;
  if (now >= limits_.deadline) {
    expire();
    return newly_stalled;
  }
  for (const ModuleId id : given_out_) {
    State& state = states_[id];
    if (!state.stalled && stalled_ < kMostStalled && now - state.since >= limits_.patience) {
      state.stalled = true;
      ++stalled_;
      --working_;
      newly_stalled.push_back(id);
    }
  }
  return newly_stalled;
}

void Scheduler::expire() {
  // First those that were started: what waits only for them then says so.
  std::vector<ModuleId> started(given_out_.begin(), given_out_.end());
  started.insert(started.end(), coming_.begin(), coming_.end());
  for (const ModuleId id : started) {
    end(id, {Outcome::kTimedOut, 0, {}, "its init function had not returned at the deadline"});
  }
  for (ModuleId id = 0; id < states_.size(); ++id) {
    end(id, {Outcome::kTimedOut, 0, {}, "not started before the deadline"});
  }
}

core::Microseconds Scheduler::wake_at() const {
  core::Microseconds at = limits_.deadline;
  for (const ModuleId id : given_out_) {
    if (!states_[id].stalled && stalled_ < kMostStalled) {
      at = std::min(at, states_[id].since + limits_.patience);
    }
  }
  return at;
}

}  // namespace rdmaboot::load_modules
