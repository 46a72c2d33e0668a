// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/host_facts.hpp"
#include "rdmactl/metrics.hpp"
#include "recorded_tree.hpp"

namespace rdmaboot::rdmactl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// Checks text against Prometheus' exposition format 0.0.4, as strictly as its parsers and
/// promtool's lint together: what either does not like is a problem.
class Checker {
 public:
  static std::vector<std::string> problems(const std::string& text) {
    Checker checker;
    if (!text.empty() && text.back() != '\n') {
      checker.found_.push_back("the last line has no end");
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      checker.line(line);
    }
    checker.end_of_family();
    return checker.found_;
  }

 private:
  void wrong(const std::string& what, const std::string& line) {
    found_.push_back(what + ": " + line);
  }

  void line(const std::string& line) {
    static const std::regex kHelp("# HELP ([a-z_:][a-z0-9_:]*) ([A-Z][^\\\\]*\\.)");
    static const std::regex kType("# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge)");
    std::smatch part;
    if (std::regex_match(line, part, kHelp)) {
      end_of_family();
      if (!families_.insert(part[1]).second) {
        wrong("a family comes twice", line);
      }
      helped_ = part[1];
    } else if (std::regex_match(line, part, kType)) {
      if (helped_ != part[1]) {
        wrong("TYPE does not follow its HELP", line);
      }
      name_ = part[1];
      if (name_.ends_with("_total") != (part[2] == "counter")) {
        wrong("counters, and only they, end in _total", line);
      }
      // promtool: "metric name should not include type".
      static const std::regex kNamesType("(^|_)(counter|gauge|histogram|summary)(_|$)");
      if (std::regex_search(name_, kNamesType)) {
        wrong("the name includes a type", line);
      }
      samples_ = 0;
    } else if (!line.starts_with("#")) {
      sample(line);
    } else if (!line.starts_with("# no ")) {
      wrong("neither HELP nor TYPE", line);
    }
  }

  void sample(const std::string& line) {
    static const std::regex kSample("([a-z_:][a-z0-9_:]*)(\\{(.*)\\})? ([0-9]+(\\.[0-9]+)?)");
    static const std::regex kLabel("([a-z_][a-z0-9_]*)=\"((?:[^\"\\\\\\n]|\\\\[\\\\\"n])*)\"(,|$)");
    ++samples_;
    std::smatch part;
    if (!std::regex_match(line, part, kSample)) {
      wrong("no sample", line);
      return;
    }
    if (part[1] != name_) {
      wrong("a sample outside its family", line);
    }
    if (!series_.insert(part[1].str() + part[2].str()).second) {
      wrong("a series comes twice", line);
    }
    std::string rest = part[3];
    std::set<std::string> labels;
    for (std::smatch label; !rest.empty(); rest = label.suffix()) {
      if (!std::regex_search(rest, label, kLabel, std::regex_constants::match_continuous)) {
        wrong("no label", line);
        return;
      }
      if (!labels.insert(label[1]).second) {
        wrong("a label comes twice", line);
      }
    }
  }

  void end_of_family() {
    if (!helped_.empty() && samples_ == 0) {
      found_.push_back(helped_ + " has no sample");
    }
  }

  std::vector<std::string> found_;
  std::set<std::string> families_;
  std::set<std::string> series_;
  std::string helped_;
  std::string name_;
  int samples_ = 1;
};

/// For tests/lint/metrics, which shows the same texts to promtool.
void save(const std::string& text) {
  const char* const directory = std::getenv("RDMABOOT_METRICS_TO");
  static int number = 0;
  if (directory != nullptr) {
    std::ofstream(directory + std::string("/text-") + std::to_string(++number)) << text;
  }
}

void expect_well_formed(const std::string& text, const std::string& what = {}) {
  EXPECT_THAT(Checker::problems(text), IsEmpty()) << what;
  save(text);
}

struct Told {
  device::Snapshot snapshot;
  MetricsFacts facts;
};

void tell(const test::TemporaryDirectory& tree, Told& told) {
  device::SnapshotOptions options;
  options.root = tree.path("");
  auto snapshot = device::take_snapshot(options);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  told.snapshot = std::move(*snapshot);
  told.facts.snapshot = &told.snapshot;
  told.facts.ports = judge_ports(
      told.snapshot, device::HostFactReader::read_recorded(told.snapshot, options.root));
  for (const device::Device& device : told.snapshot.devices) {
    told.facts.counters[device.name] = read_counters(device, options.root);
  }
}

os::JournalEntry entry_about(const std::string& module, const std::string& result,
                             const std::string& usec) {
  return {{}, {}, {{"KMOD", module}, {"RESULT", result}, {"USEC", usec}, {"RDMA_LIST", "rdma"}}};
}

TEST(Metrics, OfEveryRecordedMachineAreWellFormed) {
  for (const std::string machine : {"bnxt_re", "cxgb4-iwarp", "efa", "erdma", "hfi1-opa", "irdma",
                                    "mana", "mlx4-mixed", "mlx5-ib", "mlx5-roce", "rxe", "siw"}) {
    const test::RecordedTree tree({machine});
    Told told;
    tell(tree, told);
    expect_well_formed(metrics_text(told.facts), machine);
  }
}

TEST(Metrics, CheckerSeesWhatIsWrong) {
  const std::string head = "# HELP a_b Text.\n# TYPE a_b gauge\n";
  EXPECT_THAT(Checker::problems(head + "a_b 1\n"), IsEmpty());
  EXPECT_THAT(Checker::problems(head), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b 1"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b 1\na_b 2\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_c 1\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b NaN\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b{x=\"y} 1\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b{x=\"\\y\"} 1\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b{x=\"y\",x=\"z\"} 1\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems(head + "a_b 1\n" + head + "a_b{x=\"y\"} 1\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems("# HELP a_b Text.\n# TYPE a_b counter\na_b 1\n"), SizeIs(1));
  EXPECT_THAT(Checker::problems("a_b 1\n"), Not(IsEmpty()));
  EXPECT_THAT(Checker::problems(
                  "# HELP a_counter_total T.\n# TYPE a_counter_total counter\na_counter_total 1\n"),
              SizeIs(1));
}

TEST(Metrics, TellStateReadinessAndCountersOfAPort) {
  const test::RecordedTree tree({"mlx5-ib"});
  tree.write("dev/infiniband/rdma_cm", "");
  Told told;
  tell(tree, told);
  const std::string port = told.snapshot.devices[0].sysfs_path.substr(1) + "/ports/1/";
  tree.write(port + "counters/port_rcv_data", "1000\n");
  tree.write(port + "counters/symbol_error", "0\n");
  tree.write(port + "hw_counters/out_of_sequence", "7\n");
  tree.write(port + "hw_counters/lifespan", "10\n");
  tell(tree, told);
  const std::string text = metrics_text(told.facts);
  expect_well_formed(text);
  for (const char* const line :
       {"rdma_boot_port_state_id{device=\"mlx5_0\",port=\"1\"} 4\n",
        "rdma_boot_port_rate_bytes_per_second{device=\"mlx5_0\",port=\"1\"} 25000000000\n",
        "rdma_boot_port_ready{device=\"mlx5_0\",port=\"1\",level=\"address\"} 1\n",
        "rdma_boot_port_broken{device=\"mlx5_0\",port=\"1\"} 0\n",
        "rdma_boot_port_received_bytes_total{device=\"mlx5_0\",port=\"1\"} 4000\n",
        "rdma_boot_port_statistics_total{device=\"mlx5_0\",port=\"1\",counter=\"symbol_error\"} "
        "0\n",
        "rdma_boot_port_hw_statistics_total{device=\"mlx5_0\",port=\"1\",counter="
        "\"out_of_sequence\"} 7\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("lifespan")));
}

TEST(Metrics, HostileTextStaysInsideItsLabel) {
  const test::RecordedTree tree({"siw"});
  const std::string device = "sys/devices/virtual/infiniband/siw0/";
  tree.write(device + "board_id", "a\"} 1\nx\\y\x1b[0m");
  Told told;
  tell(tree, told);
  const std::string text = metrics_text(told.facts);
  expect_well_formed(text);
  EXPECT_THAT(text, HasSubstr("board_id=\"a\\\"} 1\\\\x0ax"));
}

TEST(Metrics, ModulesHaveTheirLastRun) {
  Told told;
  told.facts.snapshot = &told.snapshot;
  told.facts.modules = last_runs(
      module_runs({entry_about("ib_umad", "failed", "5"), entry_about("rdma_ucm", "loaded", "12"),
                   entry_about("ib_umad", "loaded", "2000003"), entry_about("x", "loaded", "soon"),
                   entry_about("", "loaded", "1")}));
  const std::string text = metrics_text(told.facts);
  expect_well_formed(text);
  EXPECT_THAT(text,
              HasSubstr("rdma_boot_module_load_result{module=\"ib_umad\",list=\"rdma\",result="
                        "\"loaded\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("rdma_boot_module_load_duration_seconds{module=\"ib_umad\"} 2.000003\n"));
  EXPECT_THAT(text,
              HasSubstr("rdma_boot_module_load_duration_seconds{module=\"rdma_ucm\"} 0.000012\n"));
  EXPECT_THAT(text, Not(HasSubstr("failed")));
}

TEST(Metrics, AMapperThatDoesNotAnswerIsDown) {
  Told told;
  told.facts.snapshot = &told.snapshot;
  EXPECT_EQ(metrics_text(told.facts), "# no RDMA device\n");
  told.facts.daemons_asked = true;
  EXPECT_THAT(metrics_text(told.facts), HasSubstr("\nrdma_boot_mapper_up 0\n"));
}

TEST(Metrics, TheMapperTellsItsCountersAndNothingElse) {
  Told told;
  told.facts.snapshot = &told.snapshot;
  told.facts.daemons_asked = true;
  told.facts.mapper = nlohmann::json::parse(
      R"({"mappings":[{},{}],"counters":{"queries":3,"bad name":1,"text":"x","timed_out":-1}})");
  const std::string text = metrics_text(told.facts);
  expect_well_formed(text);
  EXPECT_THAT(text, HasSubstr("\nrdma_boot_mapper_up 1\n"));
  EXPECT_THAT(text, HasSubstr("\nrdma_boot_mapper_mappings 2\n"));
  EXPECT_THAT(text, HasSubstr("\nrdma_boot_mapper_events_total{event=\"queries\"} 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("bad name")));
  EXPECT_THAT(text, Not(HasSubstr("timed_out")));
  told.facts.mapper = nlohmann::json::parse(R"({"mappings":3,"counters":[]})");
  expect_well_formed(metrics_text(told.facts));
}

TEST(Metrics, AResponderThatDoesNotAnswerIsDown) {
  Told told;
  told.facts.snapshot = &told.snapshot;
  told.facts.daemons_asked = true;
  const std::string text = metrics_text(told.facts);
  EXPECT_THAT(text, HasSubstr("\nrdma_boot_responder_up 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("responder_serving")));
}

TEST(Metrics, TheResponderTellsWhatItsEngineHasCounted) {
  Told told;
  told.facts.snapshot = &told.snapshot;
  told.facts.daemons_asked = true;
  told.facts.responder = nlohmann::json::parse(
      R"({"nid":"10.0.0.1@o2ib","peers":[{"connections":[{},{}]},{"connections":[]}],
          "counters":{"accepted":3,"refused":1,"bytes_written":4096,"memory_bytes":65536,
                      "Bad":1,"messages_sent":-1}})");
  const std::string text = metrics_text(told.facts);
  expect_well_formed(text);
  for (const char* const line :
       {"\nrdma_boot_responder_up 1\n", "\nrdma_boot_responder_serving 1\n",
        "\nrdma_boot_responder_peers 2\n", "\nrdma_boot_responder_connections 2\n",
        "\nrdma_boot_responder_memory_bytes 65536\n",
        "\nrdma_boot_responder_written_bytes_total 4096\n",
        "\nrdma_boot_responder_events_total{event=\"accepted\"} 3\n",
        "\nrdma_boot_responder_events_total{event=\"refused\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  for (const char* const not_there : {"Bad", "messages_sent", "event=\"bytes", "event=\"mem"}) {
    EXPECT_THAT(text, Not(HasSubstr(not_there)));
  }
}

TEST(Metrics, AResponderWithoutAnEngineOrOfAnotherFormIsSurvived) {
  Told told;
  told.facts.snapshot = &told.snapshot;
  told.facts.daemons_asked = true;
  for (const char* const answer :
       {R"({"nid":null,"device":null,"state":"waiting","peers":[],"counters":null})", "{}",
        R"({"nid":3,"peers":[3,{"connections":7}],"counters":{"memory_bytes":"x"}})"}) {
    told.facts.responder = nlohmann::json::parse(answer);
    const std::string text = metrics_text(told.facts);
    expect_well_formed(text, answer);
    EXPECT_THAT(text, HasSubstr("\nrdma_boot_responder_serving 0\n")) << answer;
  }
}

}  // namespace
}  // namespace rdmaboot::rdmactl
