// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
//
// The scheduler against random graphs (cycles included), random endings, hanging modules, and a
// second loader that takes modules away.
#include "load-modules/scheduler.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "load-modules/simulate.hpp"

namespace rdmaboot::load_modules {
namespace {

using namespace std::chrono_literals;

/// Any graph: edges in all directions, self-needs, decided and coming modules.
Graph any_graph() {
  const auto size = *rc::gen::inRange<ModuleId>(0, 40);
  Graph graph;
  graph.modules.resize(size);
  for (ModuleId id = 0; id < size; ++id) {
    Module& module = graph.modules[id];
    module.name = *rc::gen::weightedElement<std::string>(
        {{20, "m" + std::to_string(id)}, {1, "ib_uverbs"}, {1, "rdma_ucm"}});
    module.cost = *rc::gen::inRange<std::uint64_t>(0, 1000);
    const auto edges = *rc::gen::inRange(0, 4);
    for (int i = 0; i < edges; ++i) {
      module.needs.push_back(
          {*rc::gen::inRange<ModuleId>(0, size),
           *rc::gen::element(Need::kHard, Need::kHard, Need::kSoft, Need::kPost, Need::kWeak)});
    }
    if (*rc::gen::inRange(0, 6) == 0) {
      module.decided =
          Ending{*rc::gen::element(Outcome::kAlreadyLive, Outcome::kBuiltin, Outcome::kDenied,
                                   Outcome::kMissing, Outcome::kFailed),
                 0,
                 {},
                 {}};
    } else {
      module.coming = *rc::gen::inRange(0, 8) == 0;
    }
  }
  graph.finish();
  return graph;
}

/// What a driver has seen of one module.
struct Seen {
  int given_out = 0;
  int given_up = 0;  ///< by another loader
};

/// Drives a scheduler to its end by random choices and checks every step.
class Driver {
 public:
  Driver(const Graph& graph, unsigned jobs)
      : graph_(graph), jobs_(jobs), scheduler_(graph, {jobs, 10'000us, 50us}) {}

  void run() {
    for (int step = 0; step < 5000 && !scheduler_.done(); ++step) {
      take();
      if (scheduler_.done()) {
        break;
      }
      // Something can always happen: nobody waits for nothing.
      RC_ASSERT(!in_work_.empty() || !scheduler_.coming().empty() || scheduler_.has_ready_job());
      happen();
    }
    RC_ASSERT(scheduler_.done());
    for (ModuleId id = 0; id < graph_.modules.size(); ++id) {
      RC_ASSERT(scheduler_.ending(id).has_value());
      check_ending(id);
    }
  }

 private:
  void take() {
    while (const auto id = scheduler_.next(now_)) {
      ++seen_[*id].given_out;
      in_work_.push_back(*id);
      RC_ASSERT(!graph_.modules[*id].decided);
      // Once, and once more each time another loader gave it up.
      RC_ASSERT(seen_[*id].given_out <= 1 + seen_[*id].given_up);
      RC_ASSERT(scheduler_.in_work() <= jobs_);
      for (const Edge& edge : graph_.modules[*id].needs) {
        // Never before what it needs has ended, and for a hard need ended well.
        RC_ASSERT(scheduler_.ending(edge.on).has_value());
        if (edge.need == Need::kHard) {
          RC_ASSERT(is_usable(scheduler_.ending(edge.on)->outcome));
        }
      }
    }
  }

  void happen() {
    now_ += core::Microseconds(*rc::gen::inRange(0, 40));
    static_cast<void>(scheduler_.tick(now_));
    if (!scheduler_.coming().empty() && *rc::gen::inRange(0, 2) == 0) {
      const ModuleId id = *scheduler_.coming().begin();
      if (*rc::gen::inRange(0, 3) == 0) {
        ++seen_[id].given_up;
        scheduler_.gave_up(id);
      } else {
        scheduler_.finished(id, {Outcome::kAlreadyLive, 0, {}, {}});
      }
      return;
    }
    if (in_work_.empty()) {
      return;
    }
    const auto at = *rc::gen::inRange<std::size_t>(0, in_work_.size());
    const ModuleId id = in_work_[at];
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        scheduler_.finished(id, {Outcome::kFailed, EINVAL, {}, {}});
        break;
      case 1:
        scheduler_.found_coming(id);
        break;
      case 2:
        return;  // it hangs for now
      default:
        scheduler_.finished(id, {Outcome::kLoaded, 0, {}, {}});
        break;
    }
    in_work_.erase(in_work_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void check_ending(ModuleId id) {
    const Module& module = graph_.modules[id];
    const Ending& ending = *scheduler_.ending(id);
    if (module.decided) {
      RC_ASSERT(ending.outcome == module.decided->outcome);
      return;
    }
    if (ending.outcome == Outcome::kDependencyFailed) {
      RC_ASSERT(std::any_of(module.needs.begin(), module.needs.end(), [&](const Edge& edge) {
        return (edge.need == Need::kHard || edge.need == Need::kPost) &&
               !is_usable(scheduler_.ending(edge.on)->outcome);
      }));
    }
    if (ending.outcome == Outcome::kLoaded) {
      RC_ASSERT(seen_[id].given_out >= 1);
    }
  }

  const Graph& graph_;
  unsigned jobs_;
  Scheduler scheduler_;
  core::Microseconds now_{0};
  std::map<ModuleId, Seen> seen_;
  std::vector<ModuleId> in_work_;
};

RC_GTEST_PROP(Scheduler, EveryModuleOnceNeverBeforeItsNeedsNoDeadlockNeverMoreThanJobs, ()) {
  const Graph graph = any_graph();
  Driver(graph, *rc::gen::inRange(1U, 5U)).run();
}

RC_GTEST_PROP(Graph, FinishedGraphHasNoCycleAndKeepsEveryNeedThatIsInNone, ()) {
  const Graph graph = any_graph();
  for (const Module& module : graph.modules) {
    for (const Edge& edge : module.needs) {
      RC_ASSERT(graph.modules[edge.on].order < module.order);
      RC_ASSERT(graph.modules[edge.on].chain >= module.chain);
    }
  }
}

RC_GTEST_PROP(Graph, AGraphWithoutCyclesLosesNothing, ()) {
  Graph graph;
  const auto size = *rc::gen::inRange<ModuleId>(1, 40);
  graph.modules.resize(size);
  std::size_t edges = 0;
  for (ModuleId id = 1; id < size; ++id) {
    const auto wanted = *rc::gen::inRange(0, 4);
    for (int i = 0; i < wanted; ++i, ++edges) {
      graph.modules[id].needs.push_back(
          {*rc::gen::inRange<ModuleId>(0, id), *rc::gen::element(Need::kHard, Need::kSoft)});
    }
  }
  graph.finish();
  RC_ASSERT(graph.cycles.empty());
  std::size_t left = 0;
  for (const Module& module : graph.modules) {
    left += module.needs.size();
  }
  RC_ASSERT(left == edges);
}

RC_GTEST_PROP(Simulate, PlanIsCompleteBoundedAndNoLongerThanOneAfterTheOther, ()) {
  const Graph graph = any_graph();
  const auto jobs = *rc::gen::inRange(1U, 5U);
  const auto plan = simulate(graph, jobs);
  core::Microseconds sum{0};
  core::Microseconds last{0};
  for (const Planned& one : plan) {
    sum += one.end - one.start;
    last = std::max(last, one.end);
    const auto at_once = std::count_if(plan.begin(), plan.end(), [&](const Planned& other) {
      return other.start <= one.start && one.start < other.end;
    });
    RC_ASSERT(static_cast<unsigned>(at_once) <= jobs);
    RC_ASSERT(one.job < jobs);
  }
  RC_ASSERT(last <= sum);
}

RC_GTEST_PROP(Simulate, OneJobGivesTheSameOrderWhateverTheCosts, ()) {
  Graph graph = any_graph();
  const auto names = [](const std::vector<Planned>& plan) {
    std::vector<ModuleId> ids;
    for (const Planned& one : plan) {
      ids.push_back(one.module);
    }
    return ids;
  };
  const auto before = names(simulate(graph, 1));
  for (Module& module : graph.modules) {
    module.cost = *rc::gen::inRange<std::uint64_t>(0, 1000);
  }
  graph.finish();
  RC_ASSERT(names(simulate(graph, 1)) == before);
}

}  // namespace
}  // namespace rdmaboot::load_modules
