// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-doctor
// The doctor over machines that are described in tests/data/doctor.
#include <filesystem>
#include <fstream>
#include <set>

#include <unistd.h>

#include "doctor_tree.hpp"
#include "rdmactl/doctor/archive.hpp"
#include "rdmactl/doctor/gather.hpp"
#include "rdmactl/doctor/ours.hpp"
#include "rdmactl/doctor/report.hpp"

namespace {

using namespace rdmaboot;
using namespace rdmaboot::rdmactl::doctor;
using rdmaboot::test::DoctorTree;
using rdmaboot::test::TemporaryDirectory;

const std::filesystem::path kData = RDMABOOT_SOURCE_DIR "/tests/data/doctor";

/// Names of all descriptions but the healthy one.
std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(kData)) {
    if (entry.path().extension() == ".tree" && entry.path().stem() != "healthy") {
      all.push_back(entry.path().stem());
    }
  }
  return all;
}

DoctorTree::Expected found_in(const std::vector<Outcome>& outcomes) {
  DoctorTree::Expected found;
  for (const Outcome& outcome : outcomes) {
    for (const Finding& finding : outcome.findings) {
      EXPECT_FALSE(finding.evidence.empty());
      EXPECT_FALSE(finding.remedy.empty());
      found.emplace(outcome.check->id, finding.object);
    }
  }
  return found;
}

struct Examination {
  Examined examined;
  std::vector<core::Error> notes;
  std::vector<Outcome> outcomes;
};

Examination examine(Tree& tree) {
  Examination result;
  auto examined = gather(tree, result.notes);
  if (!examined) {
    ADD_FAILURE() << examined.error().message();
    return result;
  }
  result.examined = std::move(*examined);
  result.outcomes = run_checks(result.examined, {});
  return result;
}

DoctorTree described(const std::string& name) {
  DoctorTree tree;
  tree.apply(kData / "healthy.tree");
  if (!name.empty()) {
    tree.apply(kData / (name + ".tree"));
  }
  return tree;
}

/// Some hundred files a test: memory is ten times faster than a busy disk.
std::filesystem::path memory() {
  const std::filesystem::path shared = "/dev/shm";
  return ::access(shared.c_str(), W_OK) == 0 ? shared : std::filesystem::temp_directory_path();
}

class DoctorTrees : public testing::TestWithParam<std::string> {};

TEST_P(DoctorTrees, JustWhatIsDescribedIsFoundHereAndInASnapshot) {
  const DoctorTree description = described(GetParam());
  const TemporaryDirectory home(memory());
  description.write(home);
  Tree tree(home.path(""));
  const Examination here = examine(tree);
  EXPECT_EQ(found_in(here.outcomes), description.expected());
  EXPECT_EQ(GetParam().ends_with("-near"), description.expected().empty());

  record_devices(tree, here.examined.devices);
  const TemporaryDirectory other(memory());
  const std::string file = other.path("snapshot.tgz");
  const auto saved = save_snapshot(tree.seen(), here.examined.live, file);
  ASSERT_TRUE(saved.has_value()) << saved.error().message();
  other.make_directory("unpacked");
  const auto unpacked = unpack_snapshot(file, other.path("unpacked"));
  ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message();
  Tree again(other.path("unpacked"));
  const Examination there = examine(again);
  EXPECT_EQ(report_json(there.examined, there.outcomes, {}),
            report_json(here.examined, here.outcomes, {}));
}

INSTANTIATE_TEST_SUITE_P(Data, DoctorTrees, testing::ValuesIn(names()), [](const auto& one) {
  std::string name = one.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Doctor, NothingIsFoundOnAHealthyHost) {
  const TemporaryDirectory home(memory());
  described("").write(home);
  Tree tree(home.path(""));
  const Examination healthy = examine(tree);
  EXPECT_THAT(found_in(healthy.outcomes), testing::IsEmpty());
  EXPECT_THAT(healthy.notes, testing::IsEmpty());
  EXPECT_EQ(healthy.examined.devices.devices.size(), 3U);
  EXPECT_FALSE(found_any(healthy.outcomes));
}

TEST(Doctor, WithoutFactsOfTheKernelNothingIsSaidThatGoesByThem) {
  const TemporaryDirectory home(memory());
  described("").write(home, false);
  Tree tree(home.path(""));
  EXPECT_THAT(found_in(examine(tree).outcomes), testing::IsEmpty());
}

TEST(Doctor, EachCheckHasADescriptionThatTripsItAndOneThatDoesNot) {
  std::set<std::string> all;
  for (const std::string& name : names()) {
    all.insert(name);
  }
  for (const Check& check : checks()) {
    const std::string id(check.id);
    EXPECT_TRUE(all.contains(id + "-near")) << id;
    ASSERT_TRUE(all.contains(id)) << id;
    const DoctorTree::Expected expected = described(id).expected();
    EXPECT_TRUE(std::any_of(expected.begin(), expected.end(), [&](const auto& finding) {
      return finding.first == id;
    })) << id;
  }
}

TEST(Doctor, EachCheckHasItsPageAndEachPageItsCheck) {
  std::set<std::string> ids;
  for (const Check& check : checks()) {
    EXPECT_TRUE(ids.emplace(check.id).second) << check.id << " is there twice";
  }
  std::set<std::string> pages;
  for (const auto& entry :
       std::filesystem::directory_iterator(RDMABOOT_SOURCE_DIR "/docs/doctor")) {
    if (entry.path().filename() == "README.md") {
      continue;
    }
    pages.insert(entry.path().stem());
    std::ifstream in(entry.path());
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_TRUE(text.starts_with("# " + entry.path().stem().string() + "\n")) << entry.path();
    EXPECT_NE(text.find("\n## What to do\n"), std::string::npos) << entry.path();
  }
  EXPECT_EQ(pages, ids);
}

TEST(Doctor, TheIndexOfPagesNamesEachWithItsTitle) {
  std::ifstream in(RDMABOOT_SOURCE_DIR "/docs/doctor/README.md");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  for (const Check& check : checks()) {
    const std::string id(check.id);
    const std::string row = "| [" + id + "](" + id + ".md) | " +
                            std::string(name_of(check.severity)) + " | " +
                            std::string(check.title) + " |";
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
}

TEST(Doctor, TheRulesItLooksForAreThoseThatAreInstalled) {
  std::set<std::string> installed;
  for (const auto& entry : std::filesystem::directory_iterator(RDMABOOT_SOURCE_DIR "/udev-rules")) {
    if (entry.path().extension() == ".rules") {
      installed.insert(entry.path().filename());
    }
  }
  EXPECT_EQ(installed, std::set<std::string>(kRules.begin(), kRules.end()));
  std::ifstream in(RDMABOOT_SOURCE_DIR "/udev-rules/" + std::string(kDescriptionRules));
  const std::string text(std::istreambuf_iterator<char>(in), {});
  EXPECT_NE(text.find(kDescriptionMark), std::string::npos);
}

TEST(Doctor, TheUnitsItLooksForAreInstalled) {
  for (const std::string_view unit : kUnits) {
    const std::string path = RDMABOOT_SOURCE_DIR "/units/" + std::string(unit);
    EXPECT_TRUE(std::filesystem::exists(path) || std::filesystem::exists(path + ".in")) << unit;
  }
}

TEST(Doctor, TheOptionsItLooksForAreThoseThatDistributionsAreTold) {
  std::ifstream in(RDMABOOT_SOURCE_DIR "/DISTROS.md");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  for (const KernelOption& option : kKernelOptions) {
    EXPECT_NE(text.find("`" + std::string(option.name) + "`"), std::string::npos) << option.name;
  }
}

TEST(Doctor, AnRdmaMtuIsWhatTheHeadersLeave) {
  // netdev, then by most and by fewest headers
  for (const auto& [netdev, least, most] :
       std::vector<std::array<std::uint32_t, 3>>{{1500, 1024, 1024},
                                                 {9000, 4096, 4096},
                                                 {4192, 4096, 4096},
                                                 {4191, 2048, 4096},
                                                 {4155, 2048, 2048},
                                                 {576, 256, 512},
                                                 {100, 0, 0},
                                                 {0, 0, 0}}) {
    const MtuRange range = rdma_mtu_of(netdev);
    EXPECT_EQ(range.least, least) << netdev;
    EXPECT_EQ(range.most, most) << netdev;
  }
}

}  // namespace
