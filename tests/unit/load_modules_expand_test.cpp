// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
#include "load-modules/expand.hpp"

#include <algorithm>
#include <cerrno>

#include <gtest/gtest.h>

#include "load_modules_fakes.hpp"

namespace rdmaboot::load_modules {
namespace {

using test::FakeIndex;
using test::module_of;

PlanInput input_for(const std::vector<std::string>& names) {
  PlanInput input;
  for (const std::string& name : names) {
    input.requests.push_back({name, "list.conf:1"});
  }
  return input;
}

bool needs(const Graph& graph, const std::string& name, const std::string& on, Need need) {
  const auto& edges = module_of(graph, name).needs;
  return std::any_of(edges.begin(), edges.end(), [&](const Edge& edge) {
    return graph.modules[edge.on].name == on && edge.need == need;
  });
}

std::optional<Outcome> outcome(const Graph& graph, const std::string& name) {
  const auto& decided = module_of(graph, name).decided;
  return decided ? std::optional(decided->outcome) : std::nullopt;
}

bool planned(const Graph& graph, const std::string& name) {
  return std::any_of(graph.modules.begin(), graph.modules.end(),
                     [&](const Module& module) { return module.name == name; });
}

TEST(Expand, SharedDependencyIsInThePlanOnceAndAskedForOnce) {
  FakeIndex index;
  index.add("ib_core");
  index.add("ib_cm", {"ib_core"});
  index.add("rdma_cm", {"ib_cm", "ib_core"});
  index.add("ib_uverbs", {"ib_core"});
  const Graph graph = expand(input_for({"rdma_cm", "ib_uverbs"}), index);
  EXPECT_EQ(graph.modules.size(), 4U);
  EXPECT_EQ(index.times_described("ib_core"), 1);
  EXPECT_TRUE(needs(graph, "rdma_cm", "ib_core", Need::kHard));
}

TEST(Expand, OnlyWhatSoftDependenciesAloneLeadToIsDispensable) {
  FakeIndex index;
  index.add("crct10dif_pclmul", {"crct10dif_common"});
  index.add("crct10dif_common");
  index.add("crc_t10dif", {"crct10dif_common"}).soft_before = {"crct10dif_pclmul"};
  index.add("nvme_core", {"crc_t10dif"});
  const Graph graph = expand(input_for({"nvme_core"}), index);
  EXPECT_TRUE(module_of(graph, "crct10dif_pclmul").dispensable);
  EXPECT_FALSE(module_of(graph, "crct10dif_common").dispensable);
  EXPECT_FALSE(module_of(graph, "crc_t10dif").dispensable);
  EXPECT_FALSE(module_of(graph, "nvme_core").dispensable);
}

TEST(Expand, TwoAliasesOfOneModuleAreOneModule) {
  FakeIndex index;
  index.add("rpcrdma");
  index.alias("xprtrdma", {"rpcrdma"});
  index.alias("svcrdma", {"rpcrdma"});
  const Graph graph = expand(input_for({"xprtrdma", "svcrdma"}), index);
  ASSERT_EQ(graph.modules.size(), 1U);
  EXPECT_TRUE(graph.modules[0].requested);
}

TEST(Expand, AliasOfSeveralModulesAsksForAllOfThem) {
  FakeIndex index;
  index.add("a");
  index.add("b");
  index.alias("both", {"a", "b"});
  EXPECT_EQ(expand(input_for({"both"}), index).modules.size(), 2U);
}

TEST(Expand, MissingModuleIsReportedAndSkipped) {
  FakeIndex index;
  index.add("ib_core");
  const Graph graph = expand(input_for({"opa_vnic", "ib_core"}), index);
  EXPECT_EQ(outcome(graph, "opa_vnic"), Outcome::kMissing);
  EXPECT_EQ(outcome(graph, "ib_core"), std::nullopt);
  EXPECT_EQ(module_of(graph, "opa_vnic").origin, "list.conf:1");
}

TEST(Expand, MissingHardDependencyIsMissingToo) {
  FakeIndex index;
  index.add("a", {"gone"});
  const Graph graph = expand(input_for({"a"}), index);
  EXPECT_EQ(outcome(graph, "gone"), Outcome::kMissing);
  EXPECT_TRUE(needs(graph, "a", "gone", Need::kHard));
}

TEST(Expand, OutOfMemoryForOneModuleFailsOnlyThatOne) {
  FakeIndex index;
  index.add("good");
  index.add("needs_bad", {"bad"});
  index.add("bad");
  index.fail_for("bad", ENOMEM);
  index.fail_for("worse", ENOMEM);
  const Graph graph = expand(input_for({"worse", "needs_bad", "good"}), index);
  EXPECT_EQ(outcome(graph, "worse"), Outcome::kFailed);
  EXPECT_EQ(module_of(graph, "worse").decided->error_number, ENOMEM);
  EXPECT_EQ(outcome(graph, "bad"), Outcome::kFailed);
  EXPECT_EQ(outcome(graph, "good"), std::nullopt);
}

TEST(Expand, LiveAndBuiltinModulesBringNothingIn) {
  FakeIndex index;
  index.add("live", {"dependency"}).state = os::ModuleState::kLive;
  index.add("builtin").state = os::ModuleState::kBuiltin;
  index.add("dependency");
  const Graph graph = expand(input_for({"live", "builtin"}), index);
  EXPECT_EQ(outcome(graph, "live"), Outcome::kAlreadyLive);
  EXPECT_EQ(outcome(graph, "builtin"), Outcome::kBuiltin);
  EXPECT_FALSE(planned(graph, "dependency"));
}

TEST(Expand, ModuleThatIsComingIsWaitedForNotLoaded) {
  FakeIndex index;
  for (const os::ModuleState state :
       {os::ModuleState::kComing, os::ModuleState::kUnnamed, os::ModuleState::kGoing}) {
    index.add("m").state = state;
    const Graph graph = expand(input_for({"m"}), index);
    EXPECT_TRUE(module_of(graph, "m").coming);
    EXPECT_EQ(outcome(graph, "m"), std::nullopt);
  }
}

TEST(Expand, DenyListedModuleIsDeniedAndBringsNothingIn) {
  FakeIndex index;
  os::ModuleFacts& denied = index.add("denied", {"dependency"});
  denied.deny_listed = true;
  denied.soft_after = {"follower"};
  index.add("dependency");
  index.add("follower");
  const Graph graph = expand(input_for({"denied"}), index);
  EXPECT_EQ(outcome(graph, "denied"), Outcome::kDenied);
  EXPECT_EQ(graph.modules.size(), 1U);
}

TEST(Expand, DenyListDoesNotKeepOutWhatALoadedModuleNeeds) {
  FakeIndex index;
  index.add("listed").deny_listed = true;
  index.add("user", {"listed"});
  // Whichever is seen first.
  for (const auto& names : {std::vector<std::string>{"listed", "user"}, {"user", "listed"}}) {
    const Graph graph = expand(input_for(names), index);
    EXPECT_EQ(outcome(graph, "listed"), std::nullopt);
    EXPECT_EQ(outcome(graph, "user"), std::nullopt);
  }
}

TEST(Expand, DenyListKeepsSoftDependenciesOut) {
  FakeIndex index;
  index.add("listed").deny_listed = true;
  index.add("user").soft_before = {"listed"};
  const Graph graph = expand(input_for({"user"}), index);
  EXPECT_EQ(outcome(graph, "listed"), Outcome::kDenied);
  EXPECT_EQ(outcome(graph, "user"), std::nullopt);
}

TEST(Expand, KernelBlacklistAndInstallFalseKeepOutEvenADependency) {
  FakeIndex index;
  index.add("by_kernel");
  index.add("by_install").install_command = "/bin/false";
  index.add("user", {"by_kernel", "by_install"});
  PlanInput input = input_for({"user"});
  input.kernel_blacklist = {"by_kernel"};
  const Graph graph = expand(input, index);
  EXPECT_EQ(outcome(graph, "by_kernel"), Outcome::kDenied);
  EXPECT_EQ(outcome(graph, "by_install"), Outcome::kDenied);
}

TEST(Expand, InstallCommandThatDoesSomethingIsKept) {
  EXPECT_TRUE(os::is_denial("/bin/true"));
  EXPECT_TRUE(os::is_denial(" /usr/bin/false  # no "));
  EXPECT_TRUE(os::is_denial(":"));
  EXPECT_FALSE(os::is_denial("/bin/true; modprobe --ignore-install x"));
  EXPECT_FALSE(os::is_denial("/bin/false || modprobe -i x"));
  EXPECT_FALSE(os::is_denial("/sbin/modprobe --ignore-install x"));
  EXPECT_FALSE(os::is_denial(""));
  FakeIndex index;
  index.add("m").install_command = "/sbin/special";
  EXPECT_EQ(module_of(expand(input_for({"m"}), index), "m").install_command, "/sbin/special");
}

TEST(Expand, SoftDependenciesOrderButDoNotBind) {
  FakeIndex index;
  os::ModuleFacts& user = index.add("user");
  user.soft_before = {"before"};
  user.soft_after = {"after"};
  index.add("before");
  index.add("after");
  const Graph graph = expand(input_for({"user"}), index);
  EXPECT_TRUE(needs(graph, "user", "before", Need::kSoft));
  EXPECT_TRUE(needs(graph, "after", "user", Need::kPost));
}

TEST(Expand, FollowerThatIsAlsoListedDoesNotDependOnItsLeader) {
  FakeIndex index;
  index.add("leader").soft_after = {"follower"};
  index.add("follower");
  const Graph graph = expand(input_for({"leader", "follower"}), index);
  EXPECT_TRUE(needs(graph, "follower", "leader", Need::kSoft));
  EXPECT_FALSE(needs(graph, "follower", "leader", Need::kPost));
}

TEST(Expand, WeakDependencyOrdersOnlyWhatIsLoadedAnyway) {
  FakeIndex index;
  index.add("user").weak = {"planned", "unplanned"};
  index.add("planned");
  index.add("unplanned");
  const Graph graph = expand(input_for({"user", "planned"}), index);
  EXPECT_TRUE(needs(graph, "user", "planned", Need::kWeak));
  EXPECT_FALSE(planned(graph, "unplanned"));
}

TEST(Expand, HardCycleIsBrokenAndTold) {
  FakeIndex index;
  index.add("a", {"b"});
  index.add("b", {"c"});
  index.add("c", {"a"});
  index.add("d", {"d"});
  const Graph graph = expand(input_for({"a", "d"}), index);
  ASSERT_EQ(graph.cycles.size(), 2U);
  EXPECT_EQ(graph.cycles[0],
            "modules need each other: a -> b -> c -> a; that c needs a is ignored");
  EXPECT_EQ(graph.cycles[1], "modules need each other: d -> d; that d needs d is ignored");
}

TEST(Expand, CycleThroughASoftDependencyDropsTheSoftOne) {
  FakeIndex index;
  index.add("user", {"library"});
  index.add("library").soft_before = {"user"};
  const Graph graph = expand(input_for({"library"}), index);
  EXPECT_TRUE(needs(graph, "user", "library", Need::kHard));
  EXPECT_FALSE(needs(graph, "library", "user", Need::kSoft));
  ASSERT_EQ(graph.cycles.size(), 1U);
  EXPECT_EQ(graph.cycles[0], "soft dependency of library on user closes a cycle and is ignored");
}

TEST(Expand, MeasuredTimesAreUsedAndScaleTheOthers) {
  FakeIndex index;
  index.add("measured").file_size = 1024 * 100;
  index.add("unmeasured").file_size = 1024 * 50;
  PlanInput input = input_for({"measured", "unmeasured"});
  input.times = {{"measured", 40'000}};
  const Graph graph = expand(input, index);
  EXPECT_EQ(module_of(graph, "measured").cost, 40'000U);
  EXPECT_EQ(module_of(graph, "unmeasured").cost, 50U * 400 + 400);
}

TEST(Expand, OneSlowModuleDoesNotMakeUnmeasuredOnesLookSlow) {
  FakeIndex index;
  for (const char* const name : {"quick", "quicker", "sleeps", "new"}) {
    index.add(name).file_size = 10 * 1024;
  }
  PlanInput input = input_for({"quick", "quicker", "sleeps", "new"});
  input.times = {{"quick", 100}, {"quicker", 90}, {"sleeps", 9'000'000}};
  EXPECT_LT(module_of(expand(input, index), "new").cost, 1000U);
}

TEST(Expand, VerbsClassReachesDownToWhatVerbsNeed) {
  FakeIndex index;
  index.add("ib_core");
  index.add("rdma_cm", {"ib_core"});
  index.add("rdma_ucm", {"rdma_cm", "ib_core"});
  index.add("sunrpc");
  index.add("rpcrdma", {"sunrpc", "rdma_cm", "ib_core"});
  const Graph graph = expand(input_for({"rpcrdma", "rdma_ucm"}), index);
  for (const char* const name : {"ib_core", "rdma_cm", "rdma_ucm"}) {
    EXPECT_EQ(module_of(graph, name).priority, Class::kVerbs) << name;
  }
  EXPECT_EQ(module_of(graph, "sunrpc").priority, Class::kOther);
  EXPECT_EQ(module_of(graph, "rpcrdma").priority, Class::kOther);
}

}  // namespace
}  // namespace rdmaboot::load_modules
