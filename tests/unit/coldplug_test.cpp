// SPDX-License-Identifier: BSD-2-Clause
// link: coldplug-policy
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coldplug/driver.hpp"
#include "coldplug/facts.hpp"
#include "coldplug/options.hpp"
#include "coldplug/policy.hpp"
#include "device/hardware_table.hpp"
#include "load_modules_fakes.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::coldplug {
namespace {

using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Answers from tables; what is not in them is missing from the kernel, or inactive.
Outside outside(std::map<std::string, Driver> modules, std::vector<std::string> active = {}) {
  return {[modules](const std::string& name) {
            const auto found = modules.find(name);
            return found == modules.end() ? Driver::kNeverComes : found->second;
          },
          [active](const std::vector<std::string>& units) {
            std::vector<bool> answers;
            for (const std::string& unit : units) {
              answers.push_back(std::find(active.begin(), active.end(), unit) != active.end());
            }
            return answers;
          }};
}

std::vector<std::string> pending(const TemporaryDirectory& tree, const Outside& answers) {
  return still_to_come(read_facts(tree.path(""), answers).facts);
}

TEST(StillToCome, AMachineWithoutRdmaWaitsForNothing) {
  const TemporaryDirectory tree;
  EXPECT_THAT(pending(tree, outside({})), IsEmpty());
}

TEST(StillToCome, AnAuxiliaryFunctionWithoutItsDriverIsWaitedFor) {
  const TemporaryDirectory tree;
  tree.make_directory("sys/bus/auxiliary/devices/mlx5_core.rdma.0");
  tree.make_directory("sys/bus/auxiliary/devices/mlx5_core.eth.0");
  const auto answers = outside({{"auxiliary:mlx5_core.rdma", Driver::kOnTheWay},
                                {"auxiliary:mlx5_core.eth", Driver::kOnTheWay}});
  EXPECT_THAT(pending(tree, answers), ElementsAre(HasSubstr("mlx5_core.rdma.0")));
  tree.make_directory("sys/bus/auxiliary/devices/mlx5_core.rdma.0/driver/module");
  EXPECT_THAT(pending(tree, answers), IsEmpty());
}

TEST(StillToCome, AFunctionWhoseNameHasMorePartsIsOneToo) {
  const TemporaryDirectory tree;
  tree.make_directory("sys/bus/auxiliary/devices/idpf.8086.rdma.core.0");
  tree.make_directory("sys/bus/auxiliary/devices/idpf.8086.rdmax.core.0");
  const auto answers = outside({{"auxiliary:idpf.8086.rdma.core", Driver::kOnTheWay},
                                {"auxiliary:idpf.8086.rdmax.core", Driver::kOnTheWay}});
  EXPECT_THAT(pending(tree, answers), ElementsAre(HasSubstr("idpf.8086.rdma.core.0")));
}

TEST(DriverState, WhatIsDeniedInAnyWayNeverComes) {
  test::FakeIndex index;
  index.add("plain");
  index.add("listed").deny_listed = true;
  index.add("installed").install_command = "/bin/false";
  index.add("by_kernel");
  index.add("special").install_command = "/sbin/modprobe --ignore-install special";
  index.fail_for("broken", ENOMEM);
  const auto state = [&index](const std::string& name) {
    return driver_state(index, {"by_kernel"}, name);
  };
  EXPECT_EQ(state("plain"), Driver::kOnTheWay);
  EXPECT_EQ(state("special"), Driver::kOnTheWay);
  for (const char* const name : {"listed", "installed", "by_kernel", "broken", "unknown"}) {
    EXPECT_EQ(state(name), Driver::kNeverComes) << name;
  }
}

TEST(DriverState, OfSeveralModulesForAnAliasOneThatIsLiveCounts) {
  test::FakeIndex index;
  index.add("a").deny_listed = true;
  index.add("b").state = os::ModuleState::kComing;
  index.alias("auxiliary:x.rdma", {"a", "b"});
  EXPECT_EQ(driver_state(index, {}, "auxiliary:x.rdma"), Driver::kOnTheWay);
  index.add("b").state = os::ModuleState::kLive;
  EXPECT_EQ(driver_state(index, {}, "auxiliary:x.rdma"), Driver::kDone);
}

TEST(StillToCome, ADriverWhoseProbeStillRunsIsWaitedFor) {
  const TemporaryDirectory tree;
  const auto answers = outside({{"auxiliary:mlx5_core.rdma", Driver::kOnTheWay}});
  tree.make_directory("sys/bus/auxiliary/devices/mlx5_core.rdma.0/driver");
  EXPECT_THAT(pending(tree, answers), ElementsAre(HasSubstr("mlx5_core.rdma.0")));
  tree.write("sys/bus/auxiliary/devices/mlx5_core.rdma.0/driver/module/initstate", "coming\n");
  EXPECT_THAT(pending(tree, answers), ElementsAre(HasSubstr("mlx5_core.rdma.0")));
  tree.write("sys/bus/auxiliary/devices/mlx5_core.rdma.0/driver/module/initstate", "live\n");
  EXPECT_THAT(pending(tree, answers), IsEmpty());
}

TEST(StillToCome, ADriverThatThisKernelLacksOrThatIsDeniedIsNotWaitedFor) {
  const TemporaryDirectory tree;
  tree.make_directory("sys/bus/auxiliary/devices/ice.iwarp.3");
  EXPECT_THAT(pending(tree, outside({})), IsEmpty());
}

TEST(StillToCome, ADriverThatRefusedTheFunctionIsNotWaitedFor) {
  const TemporaryDirectory tree;
  tree.make_directory("sys/bus/auxiliary/devices/ice.roce.0");
  EXPECT_THAT(pending(tree, outside({{"auxiliary:ice.roce", Driver::kDone}})), IsEmpty());
}

TEST(StillToCome, ABoundAdapterIsWaitedForUntilItsRdmaModuleIsLive) {
  const TemporaryDirectory tree;
  tree.make_directory("sys/bus/pci/drivers/qede/0000:3b:00.0");
  tree.write("sys/bus/pci/drivers/qede/bind", "");
  EXPECT_THAT(pending(tree, outside({{"qedr", Driver::kOnTheWay}})),
              ElementsAre(AllOf(HasSubstr("qedr"), HasSubstr("0000:3b:00.0"))));
  EXPECT_THAT(pending(tree, outside({{"qedr", Driver::kDone}})), IsEmpty());
}

TEST(StillToCome, ADeclaredLinkIsWaitedForByName) {
  const TemporaryDirectory tree;
  tree.write("etc/rdma/links.d/10-a.conf", "[Link]\nName=rxe0\nType=rxe\nNetDev=eth0\n");
  const std::map<std::string, Driver> modules = {{"rdma_rxe", Driver::kOnTheWay}};
  EXPECT_THAT(pending(tree, outside(modules)),
              ElementsAre(AllOf(HasSubstr("rxe0"), HasSubstr("10-a.conf"))));
  tree.make_directory("sys/devices/virtual/infiniband/rxe0");
  tree.link(tree.path("sys/devices/virtual/infiniband/rxe0"), "sys/class/infiniband/rxe0");
  EXPECT_THAT(pending(tree, outside(modules, {"sys-devices-virtual-infiniband-rxe0.device"})),
              IsEmpty());
}

TEST(StillToCome, AMaskedDeclarationIsNotWaitedFor) {
  const TemporaryDirectory tree;
  tree.write("usr/lib/rdma/links.d/10-a.conf", "[Link]\nName=rxe0\nType=rxe\nNetDev=eth0\n");
  tree.link("/dev/null", "etc/rdma/links.d/10-a.conf");
  EXPECT_THAT(pending(tree, outside({{"rdma_rxe", Driver::kDone}})), IsEmpty());
}

TEST(StillToCome, ALinkThatCannotBeMadeOrNeedNotBeThereIsNotWaitedFor) {
  const TemporaryDirectory tree;
  tree.write("etc/rdma/links.d/10-a.conf", "[Link]\nName=siw0\nType=siw\nNetDev=eth0\n");
  tree.write("etc/rdma/links.d/20-b.conf",
             "[Link]\nName=rxe0\nType=rxe\nNetDev=eth0\nWaitAtBoot=no\n");
  EXPECT_THAT(pending(tree, outside({{"rdma_rxe", Driver::kDone}})), IsEmpty());
  EXPECT_THAT(pending(tree, outside({{"rdma_rxe", Driver::kDone}, {"siw", Driver::kOnTheWay}})),
              ElementsAre(HasSubstr("siw0")));
}

TEST(StillToCome, ALinkThatTheKernelRefusedIsNotWaitedFor) {
  const TemporaryDirectory tree;
  tree.write("etc/rdma/links.d/10-a.conf", "[Link]\nName=rxe0\nType=rxe\nNetDev=eth0\n");
  tree.write("etc/rdma/links.d/20-b.conf", "[Link]\nName=rxe1\nType=rxe\nNetDev=eth1\n");
  tree.write("run/rdma-boot/refused-links/rxe0", "the kernel says no\n");
  EXPECT_THAT(pending(tree, outside({{"rdma_rxe", Driver::kDone}})),
              ElementsAre(HasSubstr("rxe1")));
}

TEST(StillToCome, ADeviceIsWaitedForUntilSystemdKnowsIt) {
  const TemporaryDirectory tree;
  tree.make_directory("sys/devices/virtual/infiniband/rxe0");
  tree.link(tree.path("sys/devices/virtual/infiniband/rxe0"), "sys/class/infiniband/rxe0");
  EXPECT_THAT(pending(tree, outside({})), ElementsAre(HasSubstr("rxe0")));
}

TEST(StillToCome, ABrokenDeclarationIsReportedAndTheOthersStillCount) {
  const TemporaryDirectory tree;
  tree.write("etc/rdma/links.d/10-a.conf", "[Link]\nName=lost\nType=roce\nNetDev=eth0\n");
  tree.make_directory("etc/rdma/links.d/20-b.conf");
  tree.write("etc/rdma/links.d/30-c.conf", "[Link]\nName=siw0\nType=siw\nNetDev=eth0\n");
  const Reading reading = read_facts(tree.path(""), outside({{"siw", Driver::kOnTheWay}}));
  EXPECT_THAT(still_to_come(reading.facts), ElementsAre(HasSubstr("siw0")));
  ASSERT_THAT(reading.errors, SizeIs(2));
  EXPECT_THAT(reading.errors[0].message(), HasSubstr("line 3"));
  EXPECT_THAT(reading.errors[1].message(), HasSubstr("20-b.conf"));
}

TEST(Options, WrongValuesAreNamed) {
  const auto parse = [](std::vector<std::string> words) {
    words.insert(words.begin(), "rdma-coldplug");
    std::vector<char*> argv;
    for (std::string& word : words) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    return parse_options(static_cast<int>(words.size()), argv.data());
  };
  EXPECT_EQ(parse({})->timeout, std::chrono::seconds(30));
  EXPECT_EQ(parse({"--timeout=5"})->timeout, std::chrono::seconds(5));
  EXPECT_THAT(parse({"--timeout=0"}).error().message(), HasSubstr("--timeout=0"));
  EXPECT_THAT(parse({"--timeout=ten"}).error().message(), HasSubstr("seconds"));
  EXPECT_THAT(parse({"--nonsense"}).error().message(), HasSubstr("--nonsense"));
  EXPECT_THAT(parse({"stray"}).error().message(), HasSubstr("stray"));
  EXPECT_THAT(parse({"--root=/x"}).error().message(), HasSubstr("--list"));
}

TEST(Unit, HasAConditionForEveryAdapterThatTheProgramLooksAt) {
  std::ifstream file(RDMABOOT_SOURCE_DIR "/units/rdma-coldplug.service.in");
  std::stringstream text;
  text << file.rdbuf();
  ASSERT_THAT(text.str(), HasSubstr("[Unit]"));
  int looked_at = 0;
  for (const device::HardwareRow& entry : device::hardware_table()) {
    if (entry.binding == device::Binding::kExplicitLoad) {
      ++looked_at;
      EXPECT_THAT(text.str(), HasSubstr("ConditionPathExistsGlob=|/sys/bus/pci/drivers/" +
                                        std::string(entry.nic_driver) + "/*:*"));
    }
  }
  EXPECT_GT(looked_at, 0);
}

}  // namespace
}  // namespace rdmaboot::coldplug
