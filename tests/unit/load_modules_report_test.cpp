// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
#include "load-modules/report.hpp"

#include <array>
#include <cerrno>
#include <chrono>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "load-modules/options.hpp"
#include "load-modules/plan_output.hpp"
#include "load_modules_fakes.hpp"

namespace rdmaboot::load_modules {
namespace {

using namespace std::chrono_literals;
using program::Level;
using test::graph_of;

TEST(Report, OneLineSaysHowTheRunWent) {
  const Graph graph = graph_of({{"a", {}}, {"b", {}}, {"c", {}}, {"sunrpc", {}}});
  const std::vector<Ending> endings = {{Outcome::kLoaded, 0, 1200us, {}},
                                       {Outcome::kAlreadyLive, 0, {}, {}},
                                       {Outcome::kAlreadyLive, 0, {}, {}},
                                       {Outcome::kLoaded, 0, 120ms, {}}};
  const Entry entry = describe_run("rdma", graph, endings, 412ms);
  EXPECT_EQ(entry.message, "rdma: 2 loaded, 2 already live in 412 ms; slowest sunrpc 120 ms");
  EXPECT_EQ(entry.level, Level::kInfo);
}

TEST(Report, WhatWentWrongIsInTheLineByName) {
  const Graph graph = graph_of({{"a", {}}, {"hang", {}}, {"opa_vnic", {}}, {"x", {}}});
  const std::vector<Ending> endings = {{Outcome::kFailed, EINVAL, 1ms, "Invalid argument"},
                                       {Outcome::kTimedOut, 0, {}, {}},
                                       {Outcome::kMissing, 0, {}, {}},
                                       {Outcome::kDenied, 0, {}, {}}};
  const Entry entry = describe_run("opa", graph, endings, 60s);
  EXPECT_EQ(entry.message,
            "opa: 1 denied (x), 1 missing (opa_vnic), 1 failed (a), 1 timed-out (hang) in 60000 "
            "ms");
  EXPECT_EQ(entry.level, Level::kError);
}

TEST(Report, LongListsOfNamesAreCut) {
  Graph graph;
  std::vector<Ending> endings;
  for (int i = 0; i < 20; ++i) {
    graph.modules.emplace_back().name = "m" + std::to_string(i);
    endings.push_back({Outcome::kMissing, 0, {}, {}});
  }
  EXPECT_NE(describe_run("x", graph, endings, 1ms).message.find("m7 and 12 more)"),
            std::string::npos);
}

TEST(Report, MissingAndDeniedAreNoFailureOfTheRun) {
  Graph graph;
  graph.modules.resize(2);
  const auto run_with = [&](Outcome outcome) {
    return any_failure(graph,
                       std::array{Ending{Outcome::kLoaded, 0, {}, {}}, Ending{outcome, 0, {}, {}}});
  };
  EXPECT_FALSE(run_with(Outcome::kMissing));
  EXPECT_FALSE(run_with(Outcome::kDenied));
  EXPECT_FALSE(run_with(Outcome::kDependencyFailed)) << "what it needs tells on its own";
  EXPECT_TRUE(run_with(Outcome::kFailed));
  EXPECT_TRUE(run_with(Outcome::kTimedOut));
  graph.modules[1].dispensable = true;
  EXPECT_FALSE(run_with(Outcome::kFailed)) << "as with modprobe's soft dependencies";
  EXPECT_TRUE(run_with(Outcome::kTimedOut)) << "it held the run up all the same";
}

TEST(Report, EntryOfAModuleHasItsFields) {
  Module module;
  module.name = "rdma_cm";
  module.origin = "/etc/rdma/modules/rdma.conf:3";
  const Entry loaded = describe_ending(module, {Outcome::kLoaded, 0, 59'400us, {}});
  EXPECT_EQ(loaded.module, "rdma_cm");
  EXPECT_EQ(loaded.result, "loaded");
  EXPECT_EQ(loaded.usec, 59'400);
  EXPECT_EQ(loaded.message, "rdma_cm: loaded in 59 ms");
  const Entry failed =
      describe_ending(module, {Outcome::kFailed, ENOEXEC, 3ms, "Exec format error"});
  EXPECT_EQ(failed.message,
            "rdma_cm: failed: Exec format error, named in /etc/rdma/modules/rdma.conf:3");
  EXPECT_EQ(failed.level, Level::kError);
  EXPECT_EQ(describe_ending(module, {Outcome::kAlreadyLive, 0, {}, {}}).level, Level::kDebug);
  EXPECT_EQ(describe_ending(module, {Outcome::kBuiltin, 0, {}, {}}).level, Level::kDebug);
}

TEST(PlanOutput, TextHasOneLineAModuleInTheOrderOfLoading) {
  Graph graph = graph_of({{"ib_core", {}}, {"ib_uverbs", {"ib_core"}}, {"gone", {}}});
  graph.modules[0].options = "n=1";
  graph.modules[2].decided = Ending{Outcome::kMissing, 0, {}, "not a module of this kernel"};
  graph.modules[2].origin = "x.conf:1";
  EXPECT_EQ(write_plan(graph, 1, PlanFormat::kText),
            "# 2 modules to load with 1 worker, expected 0.0 ms\n"
            "0 0.0 ms ib_core n=1\n"
            "0 0.0 ms ib_uverbs  # after ib_core\n"
            "- gone: missing (not a module of this kernel)  # x.conf:1\n");
}

TEST(PlanOutput, JsonIsCompleteAndValidWhateverTheBytes) {
  Graph graph = graph_of({{"ib_core", {}}, {"ib_uverbs", {"ib_core"}}});
  graph.modules[0].options = "bad=\xff\xfe\"";
  graph.cycles.emplace_back("a -> b");
  const auto document = nlohmann::json::parse(write_plan(graph, 2, PlanFormat::kJson));
  EXPECT_EQ(document["jobs"], 2);
  EXPECT_EQ(document["expected_usec"], 20);
  ASSERT_EQ(document["modules"].size(), 2U);
  EXPECT_EQ(document["modules"][1]["name"], "ib_uverbs");
  EXPECT_EQ(document["modules"][1]["class"], "verbs");
  EXPECT_EQ(document["modules"][1]["start_usec"], 10);
  EXPECT_EQ(document["modules"][1]["needs"][0]["name"], "ib_core");
  EXPECT_EQ(document["cycles"][0], "a -> b");
}

TEST(PlanOutput, DotDrawsDirectNeedsOnly) {
  const Graph graph = graph_of({{"a", {}}, {"b", {"a"}}, {"c", {"a", "b"}}, {"say \"hi\"", {}}});
  const std::string dot = write_plan(graph, 1, PlanFormat::kDot);
  EXPECT_NE(dot.find("\"a\" -> \"b\""), std::string::npos);
  EXPECT_NE(dot.find("\"b\" -> \"c\""), std::string::npos);
  EXPECT_EQ(dot.find("\"a\" -> \"c\""), std::string::npos) << "it follows from the others";
  EXPECT_NE(dot.find("\"say \\\"hi\\\"\""), std::string::npos);
}

core::Result<Options> parse(std::vector<std::string> words) {
  std::vector<char*> arguments;
  words.insert(words.begin(), "rdma-load-modules");
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  return parse_options({arguments.data(), arguments.size() - 1});
}

TEST(Options, EverythingCanBeSaid) {
  const Options options =
      parse({"rdma", "--dry-run", "roce", "--root", "/tree/", "--kernel=6.1", "--format", "json",
             "--jobs", "3", "--deadline=7", "--module", "ib-core", "--module=rds"})
          .value();
  EXPECT_EQ(options.lists, (std::vector<std::string>{"rdma", "roce"}));
  EXPECT_EQ(options.root, "/tree");
  EXPECT_EQ(options.kernel, "6.1");
  EXPECT_TRUE(options.dry_run);
  EXPECT_EQ(options.format, PlanFormat::kJson);
  EXPECT_EQ(options.jobs, 3U);
  EXPECT_EQ(options.deadline_seconds, 7U);
  EXPECT_EQ(options.modules, (std::vector<std::string>{"ib_core", "rds"}));
}

TEST(Options, WithoutANameTheListIsRdma) {
  EXPECT_EQ(parse({}).value().lists, (std::vector<std::string>{"rdma"}));
  EXPECT_TRUE(parse({"--module", "x"}).value().lists.empty());
}

TEST(Options, WrongOnesAreRefusedByName) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--bogus"},
                                                {"--jobs", "0"},
                                                {"--jobs", "65"},
                                                {"--jobs", "x"},
                                                {"--deadline", "-1"},
                                                {"--format", "xml"},
                                                {"--module", "../x"},
                                                {"../etc/passwd"},
                                                {".hidden"},
                                                {std::string(101, 'n')},
                                                {"--jobs"},
                                                {"--kernel", "a/b", "--dry-run"}}) {
    const auto refused = parse(words);
    ASSERT_FALSE(refused) << words[0];
    EXPECT_NE(refused.error().message(), "") << words[0];
  }
  EXPECT_NE(parse({"--bogus"}).error().message().find("--bogus"), std::string::npos);
}

TEST(Options, AnotherTreeCanOnlyBePlannedNotLoaded) {
  EXPECT_FALSE(parse({"--root", "/tree"}));
  EXPECT_FALSE(parse({"--kernel", "6.1"}));
  EXPECT_TRUE(parse({"--root", "/", "rdma"})) << "that is this tree";
}

}  // namespace
}  // namespace rdmaboot::load_modules
