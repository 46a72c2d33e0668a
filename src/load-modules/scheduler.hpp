// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which module is loaded when: a state machine without clock, process or system call.

#include <cstddef>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "core/clock.hpp"
#include "load-modules/graph.hpp"

namespace rdmaboot::load_modules {

/// The bounds of one run.
struct Limits {
  unsigned jobs = 1;               ///< modules in work at once; 1: order by lists only
  core::Microseconds deadline{0};  ///< point in time at which the run ends
  core::Microseconds patience{0};  ///< a module in work for longer no longer counts as a job
};

/// So many modules may hang before no more workers are started in their place.
inline constexpr std::size_t kMostStalled = 16;

/// Hands out modules as soon as all they need is settled, verbs and CM first, then the longest
/// chain. Every module of the graph ends exactly once.
///
/// Who drives it: takes what next() gives to a worker, says finished() when the worker has
/// answered, calls tick() at wake_at(). Time never runs backwards.
class Scheduler {
 public:
  /// `graph` must be finished and outlive the scheduler.
  Scheduler(const Graph& graph, Limits limits);

  /// The next module to load now, if one is ready and fewer than `jobs` are in work.
  [[nodiscard]] std::optional<ModuleId> next(core::Microseconds now);

  /// A module that next() gave out (or that was coming) has ended. Ignored for one that has ended
  /// already: a worker may answer after the deadline.
  void finished(ModuleId module, Ending ending);

  /// The module turned out to be in the hands of another loader: it is waited for without a job.
  void found_coming(ModuleId module);
  /// The other loader gave it up without success: it is ours to load.
  void gave_up(ModuleId module);
  /// The modules that another loader is about to finish.
  [[nodiscard]] const std::set<ModuleId>& coming() const { return coming_; }

  /// Looks at the time: modules in work for longer than `patience` give their job free (each is
  /// returned once); at the deadline everything that has not ended is timed out.
  std::vector<ModuleId> tick(core::Microseconds now);
  /// When tick() is due next.
  [[nodiscard]] core::Microseconds wake_at() const;

  [[nodiscard]] bool done() const { return ended_ == graph_.modules.size(); }
  /// How the module ended; nothing while it has not.
  [[nodiscard]] const std::optional<Ending>& ending(ModuleId module) const {
    return states_[module].ending;
  }
  /// Modules in work that count as a job.
  [[nodiscard]] std::size_t in_work() const { return working_; }
  /// Whether next() would give a module now.
  [[nodiscard]] bool has_ready_job() const { return !ready_.empty() && working_ < limits_.jobs; }
  /// Whether a job is free for which there is no module.
  [[nodiscard]] bool has_spare_job() const { return ready_.empty() && working_ < limits_.jobs; }

 private:
  struct State {
    std::size_t waits_for = 0;
    bool in_work = false;
    bool stalled = false;
    core::Microseconds since{0};
    std::optional<Ending> ending;
    std::optional<ModuleId> failed_need;  ///< it cannot do without this one
  };
  /// Class, longest chain first (or nothing when the order must be reproducible), order.
  using Rank = std::tuple<Class, std::uint64_t, std::uint32_t, ModuleId>;

  void settle(ModuleId module);
  void end(ModuleId module, Ending ending);
  void expire();
  void leave_work(State& state);
  [[nodiscard]] Ending dependency_failed(const State& state) const;
  [[nodiscard]] Rank rank(ModuleId module) const;

  const Graph& graph_;
  Limits limits_;
  std::vector<State> states_;
  std::vector<std::vector<Edge>> waiting_;  ///< who waits for a module, and why
  std::set<Rank> ready_;
  std::set<ModuleId> coming_;
  std::set<ModuleId> given_out_;
  std::size_t working_ = 0;
  std::size_t stalled_ = 0;
  std::size_t ended_ = 0;
};

}  // namespace rdmaboot::load_modules
