// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views load-modules-policy
//
// rdmactl modules, from a plan as the loader writes it.
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json_schema.hpp"
#include "load-modules/plan_output.hpp"
#include "load_modules_fakes.hpp"
#include "os/program_output.hpp"
#include "rdmactl/module_plan.hpp"

namespace rdmaboot::rdmactl {
namespace {

using namespace std::chrono_literals;
using load_modules::Need;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string loaders_plan() {
  load_modules::Graph graph = test::graph_of({{"rdma_ucm", {"rdma_cm", "ib_core"}},
                                              {"rdma_cm", {"ib_core"}},
                                              {"ib_core", {}},
                                              {"ib_iser", {"ib_core"}}});
  graph.modules[0].origin = "/etc/rdma/modules/rdma.conf:3";
  graph.modules[0].requested = true;
  graph.modules[0].cost = 12'000;
  graph.modules[3].origin = "/etc/rdma/modules/rdma.conf:9";
  graph.modules[3].decided = {load_modules::Outcome::kDenied, 0, {}, "blacklist in site.conf"};
  graph.cycles = {"a -> b -> a"};
  return load_modules::write_plan(graph, 2, load_modules::PlanFormat::kJson);
}

std::vector<ModuleRun> runs() {
  return {{"rdma_ucm", "failed", "rdma", 5ms, 1s, 1'700'000'001s},
          {"rdma_ucm", "loaded", "roce", 12ms, 9s, 1'700'000'009s}};
}

TEST(ModulePlan, SaysWhatWhyAndWhatTheLastRunTook) {
  const auto plan = read_plan(loaders_plan(), runs());
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->modules.size(), 4U);
  EXPECT_EQ(plan->modules[0].name, "ib_core") << "what is started first";
  EXPECT_EQ(plan->modules[0].why, "needed by rdma_ucm, rdma_cm, ib_iser");
  EXPECT_EQ(plan->modules[2].name, "rdma_ucm");
  EXPECT_THAT(plan->modules[2].after, ElementsAre("rdma_cm")) << "ib_core follows from it";
  EXPECT_EQ(plan->modules[3].would, "denied");
  const std::string text = plan_text(*plan, {0, false});
  EXPECT_THAT(text, HasSubstr("rdma_ucm  load"));
  EXPECT_THAT(text, HasSubstr("loaded in 12 ms  rdma_cm  /etc/rdma/modules/rdma.conf:3"));
  EXPECT_THAT(text, HasSubstr("blacklist in site.conf\n"));
  EXPECT_THAT(text, HasSubstr("a -> b -> a\n3 of 4 would be loaded, 2 at once; expected "));
}

TEST(ModulePlan, JsonIsAsTheSchemaSaysWithTheNewestRunFirst) {
  const auto json = plan_json(*read_plan(loaders_plan(), runs()));
  EXPECT_THAT(test::JsonSchema::of_documentation("modules").problems(json), IsEmpty());
  EXPECT_EQ(json["modules"][2]["runs"][0]["result"], "loaded");
  EXPECT_EQ(json["modules"][2]["runs"][1]["result"], "failed");
  EXPECT_EQ(json["modules"][2]["expected_usec"], 12'000);
}

TEST(ModulePlan, RunsAreBounded) {
  const std::vector<ModuleRun> many(100, runs().front());
  EXPECT_EQ(read_plan(loaders_plan(), many)->modules[2].runs.size(), kRunsTold);
}

TEST(ModulePlan, DotHasAnArrowForEachDirectNeed) {
  const std::string dot = plan_dot(*read_plan(loaders_plan(), runs()));
  EXPECT_THAT(dot, HasSubstr("\"rdma_ucm\" [label=\"rdma_ucm\\nloaded in 12 ms\"];"));
  EXPECT_THAT(dot, HasSubstr("\"ib_iser\" [label=\"ib_iser\\ndenied\", style=dashed];"));
  EXPECT_THAT(dot, HasSubstr("\"rdma_cm\" -> \"rdma_ucm\";"));
  EXPECT_THAT(dot, Not(HasSubstr("\"ib_core\" -> \"rdma_ucm\"")));
}

TEST(ModulePlan, EveryColumnThatStaysFitsEightyColumns) {
  const std::string text = plan_text(*read_plan(loaders_plan(), runs()), {80, false});
  EXPECT_LE(columns_of(text.substr(0, text.find('\n'))), 80U);
  EXPECT_THAT(text, HasSubstr("LAST RUN"));
}

TEST(ModulePlan, AnswersOfAnotherFormAreSurvivedAndMadePrintable) {
  EXPECT_FALSE(read_plan("", {}));
  EXPECT_FALSE(read_plan("[]", {}));
  EXPECT_TRUE(read_plan("{}", {})->modules.empty());
  const auto odd = read_plan(
      R"({"modules":[3,{"name":7,"needs":{}},{"name":"\u001b[2J","needs":[null,{"name":[]}]}],
          "cycles":"x","jobs":"y"})",
      {});
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->modules.size(), 3U);
  EXPECT_THAT(plan_text(*odd, {}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(plan_dot(*odd), Not(HasSubstr("\x1b")));
}

TEST(RunProgram, GivesTheOutputAndTheStatus) {
  const auto said = os::run_program({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, 100, true);
  ASSERT_TRUE(said);
  EXPECT_EQ(said->text, "out\n");
  EXPECT_EQ(said->status, 3);
  EXPECT_EQ(os::run_program({"/bin/sh", "-c", "kill -9 $$"}, 100, true)->status, 128 + 9);
}

TEST(RunProgram, OutputWithoutEndIsAnErrorAndEndsTheProgram) {
  const auto said = os::run_program({"/bin/sh", "-c", "while :; do echo more; done"}, 1000, true);
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().error_number, EFBIG);
}

TEST(RunProgram, AProgramThatIsNotThereIsAnError) {
  EXPECT_EQ(os::run_program({"/nowhere/to-be-found"}, 100, true).error().error_number, ENOENT);
  EXPECT_FALSE(os::run_program({}, 100, true));
}

}  // namespace
}  // namespace rdmaboot::rdmactl
