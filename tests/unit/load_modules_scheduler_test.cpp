// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
#include "load-modules/scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <gtest/gtest.h>

#include "load-modules/simulate.hpp"
#include "load_modules_fakes.hpp"

namespace rdmaboot::load_modules {
namespace {

using namespace std::chrono_literals;
using test::graph_of;
using test::id_of;

constexpr core::Microseconds kNever = core::Microseconds::max();

Limits limits(unsigned jobs) {
  return {jobs, kNever, kNever};
}

Ending ended(Outcome outcome) {
  return {outcome, 0, {}, {}};
}

/// Names in the order in which they are given out, each ended before the next is asked for.
std::vector<std::string> order_of(const Graph& graph, unsigned jobs) {
  Scheduler scheduler(graph, limits(jobs));
  std::vector<std::string> names;
  while (const auto id = scheduler.next(0us)) {
    names.push_back(graph.modules[*id].name);
    scheduler.finished(*id, ended(Outcome::kLoaded));
  }
  return names;
}

TEST(Scheduler, ModuleIsGivenOutAsSoonAsItsOwnNeedsAreLive) {
  const Graph graph = graph_of({{"a", {}}, {"b", {"a"}}, {"slow", {}}});
  Scheduler scheduler(graph, limits(2));
  const auto first = scheduler.next(0us);
  const auto second = scheduler.next(0us);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(scheduler.next(0us));
  scheduler.finished(id_of(graph, "a"), ended(Outcome::kLoaded));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "b")) << "\"slow\" is no barrier";
}

TEST(Scheduler, NeverMoreThanJobsAtOnce) {
  const Graph graph = graph_of({{"a", {}}, {"b", {}}, {"c", {}}});
  Scheduler scheduler(graph, limits(2));
  EXPECT_TRUE(scheduler.next(0us));
  EXPECT_TRUE(scheduler.next(0us));
  EXPECT_FALSE(scheduler.next(0us));
  EXPECT_EQ(scheduler.in_work(), 2U);
}

TEST(Scheduler, LongestChainComesFirst) {
  const Graph graph =
      graph_of({{"short", {}}, {"long1", {}}, {"long2", {"long1"}}, {"long3", {"long2"}}});
  EXPECT_EQ(order_of(graph, 2), (std::vector<std::string>{"long1", "long2", "short", "long3"}));
}

TEST(Scheduler, VerbsComeBeforeALongerChain) {
  const Graph graph = graph_of({{"nfs1", {}},
                                {"nfs2", {"nfs1"}},
                                {"nfs3", {"nfs2"}},
                                {"ib_core", {}},
                                {"ib_uverbs", {"ib_core"}}});
  EXPECT_EQ(order_of(graph, 2),
            (std::vector<std::string>{"ib_core", "ib_uverbs", "nfs1", "nfs2", "nfs3"}));
}

TEST(Scheduler, NoWorkerIdlesBecauseOfAClass) {
  const Graph graph = graph_of({{"other", {}}, {"ib_core", {}}, {"ib_uverbs", {"ib_core"}}});
  Scheduler scheduler(graph, limits(2));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "ib_core"));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "other"));
}

TEST(Scheduler, OneJobLoadsInTheOrderOfTheListsWhateverTheTimes) {
  Graph graph = graph_of({{"b", {}}, {"a", {}}, {"c", {"a"}}});
  const std::vector<std::string> expected = {"b", "a", "c"};
  EXPECT_EQ(order_of(graph, 1), expected);
  graph.modules[id_of(graph, "a")].cost = 1'000'000;
  graph.finish();
  EXPECT_EQ(order_of(graph, 1), expected);
  EXPECT_NE(order_of(graph, 2), expected);
}

TEST(Scheduler, FailureReachesDependantsAndOnlyThem) {
  const Graph graph = graph_of({{"bad", {}}, {"b", {"bad"}}, {"c", {"b"}}, {"good", {}}});
  Scheduler scheduler(graph, limits(1));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "bad"));
  scheduler.finished(id_of(graph, "bad"), ended(Outcome::kFailed));
  EXPECT_EQ(scheduler.ending(id_of(graph, "b"))->outcome, Outcome::kDependencyFailed);
  EXPECT_EQ(scheduler.ending(id_of(graph, "b"))->detail, "bad is not there");
  EXPECT_EQ(scheduler.ending(id_of(graph, "c"))->detail, "b is not there");
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "good"));
}

TEST(Scheduler, FailedSoftDependencyDoesNotStopItsUser) {
  Graph graph = graph_of({{"soft", {}}, {"user", {}}});
  graph.modules[1].needs.push_back({0, Need::kSoft});
  graph.finish();
  Scheduler scheduler(graph, limits(2));
  EXPECT_EQ(scheduler.next(0us), 0U);
  EXPECT_FALSE(scheduler.next(0us)) << "it is waited for all the same";
  scheduler.finished(0, ended(Outcome::kFailed));
  EXPECT_EQ(scheduler.next(0us), 1U);
}

TEST(Scheduler, DecidedModulesEndAtOnceAndAreNeverGivenOut) {
  Graph graph = graph_of({{"live", {}}, {"denied", {}}, {"a", {"live"}}, {"b", {"denied"}}});
  graph.modules[0].decided = ended(Outcome::kAlreadyLive);
  graph.modules[1].decided = ended(Outcome::kDenied);
  Scheduler scheduler(graph, limits(4));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "a"));
  EXPECT_FALSE(scheduler.next(0us));
  EXPECT_EQ(scheduler.ending(id_of(graph, "b"))->outcome, Outcome::kDependencyFailed);
}

TEST(Scheduler, GraphOfDecidedModulesIsDoneFromTheStart) {
  Graph graph = graph_of({{"live", {}}, {"user", {"live"}}});
  graph.modules[0].decided = ended(Outcome::kAlreadyLive);
  graph.modules[1].decided = ended(Outcome::kAlreadyLive);
  EXPECT_TRUE(Scheduler(graph, limits(1)).done());
  EXPECT_TRUE(Scheduler(Graph{}, limits(1)).done());
}

TEST(Scheduler, ModuleOfAnotherLoaderIsWaitedForWithoutAJob) {
  Graph graph = graph_of({{"coming", {}}, {"user", {"coming"}}, {"other", {}}});
  graph.modules[0].coming = true;
  Scheduler scheduler(graph, limits(1));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "other"));
  scheduler.finished(id_of(graph, "other"), ended(Outcome::kLoaded));
  EXPECT_FALSE(scheduler.next(0us));
  EXPECT_FALSE(scheduler.done());
  scheduler.finished(0, ended(Outcome::kAlreadyLive));
  EXPECT_EQ(scheduler.next(0us), id_of(graph, "user"));
}

TEST(Scheduler, ModuleThatTheOtherLoaderGaveUpIsOurs) {
  Graph graph = graph_of({{"a", {}}, {"b", {"a"}}});
  graph.modules[0].coming = true;
  graph.modules[1].coming = true;
  Scheduler scheduler(graph, limits(2));
  scheduler.gave_up(1);
  EXPECT_FALSE(scheduler.next(0us)) << "what it needs is not there yet";
  scheduler.gave_up(0);
  EXPECT_EQ(scheduler.next(0us), 0U);
  scheduler.finished(0, ended(Outcome::kLoaded));
  EXPECT_EQ(scheduler.next(0us), 1U);
}

TEST(Scheduler, WorkerThatFoundItsModuleComingGivesItsJobFree) {
  const Graph graph = graph_of({{"a", {}}, {"b", {}}});
  Scheduler scheduler(graph, limits(1));
  EXPECT_EQ(scheduler.next(0us), 0U);
  scheduler.found_coming(0);
  EXPECT_EQ(scheduler.coming().count(0), 1U);
  EXPECT_EQ(scheduler.next(0us), 1U);
}

TEST(Scheduler, HangingModuleGivesItsJobFreeAfterPatience) {
  const Graph graph = graph_of({{"hang", {}}, {"next", {}}});
  Scheduler scheduler(graph, {1, 100us, 30us});
  EXPECT_EQ(scheduler.next(0us), 0U);
  EXPECT_EQ(scheduler.wake_at(), 30us);
  EXPECT_TRUE(scheduler.tick(29us).empty());
  EXPECT_EQ(scheduler.tick(30us), (std::vector<ModuleId>{0}));
  EXPECT_TRUE(scheduler.tick(31us).empty()) << "told once";
  EXPECT_EQ(scheduler.next(31us), 1U);
  scheduler.finished(0, ended(Outcome::kLoaded));
  EXPECT_EQ(scheduler.ending(0)->outcome, Outcome::kLoaded) << "slow is not failed";
}

TEST(Scheduler, NumberOfStalledModulesIsBounded) {
  std::vector<std::pair<std::string, std::vector<std::string>>> many;
  for (int i = 0; i < 100; ++i) {
    many.emplace_back("m" + std::to_string(i), std::vector<std::string>{});
  }
  const Graph graph = graph_of(many);
  Scheduler scheduler(graph, {1, kNever, 1us});
  std::size_t given_out = 0;
  for (core::Microseconds now = 0us; now < 1000us; now += 2us) {
    given_out += scheduler.next(now).has_value() ? 1U : 0U;
    static_cast<void>(scheduler.tick(now + 1us));
  }
  EXPECT_EQ(given_out, kMostStalled + 1);
  EXPECT_EQ(scheduler.wake_at(), kNever);
}

TEST(Scheduler, AtTheDeadlineEverythingEndsAndTheHangingOneIsNamed) {
  const Graph graph = graph_of({{"hang", {}}, {"needs_hang", {"hang"}}, {"late", {}}});
  Scheduler scheduler(graph, {1, 100us, kNever});
  ASSERT_EQ(scheduler.next(0us), id_of(graph, "hang"));
  EXPECT_EQ(scheduler.wake_at(), 100us);
  static_cast<void>(scheduler.tick(100us));
  EXPECT_TRUE(scheduler.done());
  EXPECT_EQ(scheduler.ending(id_of(graph, "hang"))->outcome, Outcome::kTimedOut);
  EXPECT_EQ(scheduler.ending(id_of(graph, "hang"))->detail,
            "its init function had not returned at the deadline");
  EXPECT_EQ(scheduler.ending(id_of(graph, "needs_hang"))->outcome, Outcome::kDependencyFailed);
  EXPECT_EQ(scheduler.ending(id_of(graph, "late"))->detail, "not started before the deadline");
  EXPECT_FALSE(scheduler.next(101us));
}

TEST(Scheduler, AnswerAfterTheDeadlineChangesNothing) {
  const Graph graph = graph_of({{"slow", {}}});
  Scheduler scheduler(graph, {1, 10us, kNever});
  static_cast<void>(scheduler.next(0us));
  static_cast<void>(scheduler.tick(10us));
  scheduler.finished(0, ended(Outcome::kLoaded));
  EXPECT_EQ(scheduler.ending(0)->outcome, Outcome::kTimedOut);
  EXPECT_EQ(scheduler.in_work(), 0U);
}

TEST(Scheduler, LongChainOfFailuresNeedsNoStack) {
  Graph graph;
  constexpr ModuleId kLength = 200'000;
  graph.modules.resize(kLength);
  for (ModuleId id = 1; id < kLength; ++id) {
    graph.modules[id].needs.push_back({id - 1, Need::kHard});
  }
  graph.finish();
  Scheduler scheduler(graph, limits(1));
  scheduler.finished(*scheduler.next(0us), ended(Outcome::kFailed));
  EXPECT_TRUE(scheduler.done());
}

TEST(Simulate, TwoJobsHalveIndependentWorkAndChainsBoundIt) {
  EXPECT_EQ(simulate(graph_of({{"a", {}}, {"b", {}}}), 2).back().end, 10us);
  EXPECT_EQ(simulate(graph_of({{"a", {}}, {"b", {}}}), 1).back().end, 20us);
  EXPECT_EQ(simulate(graph_of({{"a", {}}, {"b", {"a"}}}), 2).back().end, 20us);
}

TEST(Simulate, ModuleThatIsComingCountsAsLive) {
  Graph graph = graph_of({{"coming", {}}, {"user", {"coming"}}});
  graph.modules[0].coming = true;
  const auto plan = simulate(graph, 1);
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_EQ(plan[0].module, 1U);
}

/// Microseconds of CPU time this thread needs to plan a graph of `size` modules.
double planning_time(std::size_t size) {
  Graph graph;
  graph.modules.resize(size);
  for (ModuleId id = 1; id < size; ++id) {
    // A mixture: chains, a hub, and a few far edges.
    graph.modules[id].name = "m" + std::to_string(id);
    graph.modules[id].cost = id * 7919 % 1000;
    graph.modules[id].needs.push_back({id * 3 / 4, Need::kHard});
    graph.modules[id].needs.push_back({id - 1 - id % 10, Need::kSoft});
    std::erase_if(graph.modules[id].needs, [&](const Edge& edge) { return edge.on >= id; });
  }
  timespec start{};
  timespec end{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
  graph.finish();
  const auto plan = simulate(graph, 4);
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  EXPECT_EQ(plan.size(), size);
  return static_cast<double>(end.tv_sec - start.tv_sec) * 1e6 +
         static_cast<double>(end.tv_nsec - start.tv_nsec) / 1e3;
}

TEST(Planning, CostGrowsInProportionToTheNumberOfModules) {
  constexpr std::size_t kSmall = 10'000;
  constexpr std::size_t kLarge = 100'000;
  double small = planning_time(kSmall);
  double large = planning_time(kLarge);
  for (int i = 0; i < 2; ++i) {
    small = std::min(small, planning_time(kSmall));
    large = std::min(large, planning_time(kLarge));
  }
  // 10 in theory, more when the caches are full; a quadratic step anywhere would give 100.
  EXPECT_LT(large / small, 40.0) << small << " us, " << large << " us";
}

}  // namespace
}  // namespace rdmaboot::load_modules
