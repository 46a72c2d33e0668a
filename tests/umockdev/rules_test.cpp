// SPDX-License-Identifier: BSD-2-Clause
// Our rules as udev itself reads them, over recorded machines: udevadm test in umockdev's testbed.

#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "core/text.hpp"
#include "device/hardware_table.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAreArray;

constexpr const char* kMlx5Ib = "/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0";

/// What udev would do with one event.
struct Outcome {
  std::map<std::string, std::string> properties;
  std::string text;  ///< all that udevadm said, with the list of commands
  /// The units that the device would pull in.
  [[nodiscard]] std::vector<std::string> wants() const {
    const auto found = properties.find("SYSTEMD_WANTS");
    std::vector<std::string> units;
    if (found != properties.end()) {
      for (const std::string_view unit : core::split(found->second, " ")) {
        units.emplace_back(unit);
      }
    }
    return units;
  }
  [[nodiscard]] bool tagged() const {
    const auto found = properties.find("TAGS");
    return found != properties.end() && found->second.find(":systemd:") != std::string::npos;
  }
};

/// The file of a recording in tests/data/umockdev.
std::string recording(const std::string& name) {
  return RDMABOOT_SOURCE_DIR "/tests/data/umockdev/" + name + ".umockdev";
}

/// Runs the simulation; nothing where the machine does not allow it (the reason is printed).
std::optional<Outcome> simulate(const std::string& file, const std::string& devpath,
                                const std::string& action = "change", bool initrd = false) {
  const std::string command = RDMABOOT_SOURCE_DIR "/tests/umockdev/udevadm-test " UDEVADM " " +
                              std::string(RDMABOOT_SOURCE_DIR "/udev-rules " UDEV_HELPERS " ") +
                              action + " '" + devpath + "' " + (initrd ? "yes " : "no ") + file +
                              " 2>&1";
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "popen";
    return std::nullopt;
  }
  Outcome outcome;
  std::array<char, 4096> chunk{};
  while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), pipe)) {
    outcome.text.append(chunk.data(), got);
  }
  const int status = ::pclose(pipe);
  constexpr int kNotPossibleHere = 77;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotPossibleHere) {
    std::fputs(outcome.text.c_str(), stderr);
    return std::nullopt;
  }
  EXPECT_EQ(status, 0) << outcome.text;
  for (const std::string_view line : core::split(outcome.text, "\n")) {
    const std::string_view trimmed = core::trim(line);
    const std::size_t equals = trimmed.find('=');
    if (equals != std::string_view::npos && trimmed.find_first_of(" :'") > equals) {
      outcome.properties.emplace(trimmed.substr(0, equals), trimmed.substr(equals + 1));
    }
  }
  EXPECT_TRUE(outcome.properties.contains("DEVPATH")) << outcome.text;
  // What udev says of a rule that it takes only grudgingly.
  EXPECT_THAT(outcome.text, Not(HasSubstr("must be specified as")));
  return outcome;
}

#define SIMULATE_OR_SKIP(name, ...)                                      \
  const auto name = simulate(__VA_ARGS__);                               \
  if (!name) {                                                           \
    GTEST_SKIP() << "udev cannot be simulated here, see the line above"; \
  }

struct Machine {
  const char* recording;
  const char* devpath;
  const char* protocol;
  std::vector<std::string> loaders;
};

std::vector<Machine> machines() {
  return {
      {"mlx5-ib", kMlx5Ib, "infiniband", {"infiniband"}},
      {"mlx5-roce",
       "/devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/infiniband/mlx5_0",
       "roce",
       {"roce"}},
      {"irdma",
       "/devices/pci0000:b0/0000:b0:02.0/0000:b1:00.1/infiniband/irdma1",
       "iwarp",
       {"iwarp"}},
      {"hfi1-opa",
       "/devices/pci0000:00/0000:00:02.0/0000:02:00.0/infiniband/hfi1_0",
       "opa",
       {"opa"}},
      {"cxgb4-iwarp",
       "/devices/pci0000:16/0000:16:00.0/0000:17:00.4/infiniband/cxgb4_0",
       "iwarp",
       {"iwarp"}},
      {"bnxt_re",
       "/devices/pci0000:40/0000:40:01.1/0000:41:00.0/infiniband/bnxt_re0",
       "roce",
       {"roce"}},
      {"efa", "/devices/pci0000:00/0000:00:1d.0/infiniband/efa_0", "efa", {}},
      {"erdma", "/devices/pci0000:00/0000:00:06.0/infiniband/erdma_0", "iwarp", {"iwarp"}},
      {"mana",
       "/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/MSFT1000:00/"
       "00000000-0000-0001-0001-000000000001/pci7870:00/7870:00:00.0/infiniband/mana_0",
       "roce",
       {"roce"}},
      {"siw", "/devices/virtual/infiniband/siw0", "iwarp", {"iwarp"}},
      {"rxe", "/devices/virtual/infiniband/foo0", "roce", {"roce"}},
      {"mlx4-mixed",
       "/devices/pci0000:00/0000:00:01.0/0000:01:00.0/infiniband/mlx4_0",
       "infiniband,roce",
       {"infiniband", "roce"}},
  };
}

TEST(Rules, EachDeviceWantsTheTargetAndTheLoadersOfItsProtocols) {
  for (const Machine& machine : machines()) {
    SIMULATE_OR_SKIP(outcome, recording(machine.recording), machine.devpath);
    std::vector<std::string> wanted = {"rdma-hw.target", "rdma-devices.target",
                                       "network-pre.target", "rdma-ndd.service"};
    for (const std::string& loader : machine.loaders) {
      wanted.push_back("rdma-load-modules@" + loader + ".service");
      if (loader == "iwarp") {
        wanted.emplace_back("iwpmd.service");
      }
    }
    EXPECT_THAT(outcome->wants(), UnorderedElementsAreArray(wanted)) << machine.recording;
    EXPECT_THAT(outcome->properties, IsSupersetOf({Pair("ID_RDMA_PROTOCOL", machine.protocol)}))
        << machine.recording;
    EXPECT_TRUE(outcome->tagged()) << machine.recording;
  }
}

constexpr const char* kNamed = "/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/ibp3s0";

/// An mlx5 device that has its name already, as after a rename in the initrd.
std::string records_with_name() {
  std::ifstream file(recording("mlx5-ib"));
  std::ostringstream text;
  text << file.rdbuf();
  std::string records = text.str();
  for (std::size_t at = 0; (at = records.find("mlx5_0", at)) != std::string::npos;) {
    records.replace(at, 6, "ibp3s0");
  }
  return records;
}

TEST(Rules, AddChangeAndMoveGiveTheSame) {
  const test::TemporaryDirectory directory;
  directory.write("machine.umockdev", records_with_name());
  const std::string machine = directory.path("machine.umockdev");
  SIMULATE_OR_SKIP(change, machine, kNamed, "change");
  for (const char* action : {"add", "move", "bind"}) {
    SIMULATE_OR_SKIP(other, machine, kNamed, action);
    EXPECT_EQ(other->wants(), change->wants()) << action;
    EXPECT_EQ(other->properties.at("ID_RDMA_PROTOCOL"), "infiniband") << action;
  }
}

TEST(Rules, RemovalWantsNothing) {
  SIMULATE_OR_SKIP(outcome, recording("mlx5-ib"), kMlx5Ib, "remove");
  EXPECT_TRUE(outcome->wants().empty());
}

TEST(Rules, InAnInitrdNetworkPreIsNotWanted) {
  const test::TemporaryDirectory directory;
  directory.write("machine.umockdev", records_with_name());
  SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"), kNamed, "add", true);
  EXPECT_THAT(outcome->wants(), UnorderedElementsAreArray({"rdma-hw.target", "rdma-devices.target",
                                                           "rdma-load-modules@infiniband.service",
                                                           "rdma-ndd.service"}));
}

TEST(Rules, CardsIdentityIsTakenFromPci) {
  SIMULATE_OR_SKIP(outcome, recording("mlx5-ib"), kMlx5Ib);
  EXPECT_THAT(outcome->properties,
              IsSupersetOf({Pair("ID_BUS", "pci"), Pair("ID_VENDOR_ID", "0x15b3"),
                            Pair("ID_MODEL_ID", "0x101b"), Pair("ID_MODEL", "MT4123")}));
}

TEST(Rules, DeviceHasANameToOrderOn) {
  SIMULATE_OR_SKIP(outcome, recording("mlx5-ib"), kMlx5Ib);
  EXPECT_EQ(outcome->properties.at("SYSTEMD_ALIAS"), "/sys/subsystem/rdma/devices/mlx5_0");
}

TEST(Rules, UmadNodeHasTheAliasThatOtherPackagesOrderOn) {
  const std::string card = "/devices/pci0000:00/0000:00:03.0/0000:03:00.0/";
  SIMULATE_OR_SKIP(umad, recording("mlx5-ib"), card + "infiniband_mad/umad0");
  EXPECT_TRUE(umad->tagged());
  EXPECT_EQ(umad->properties.at("SYSTEMD_ALIAS"), "/sys/subsystem/rdma/devices/mlx5_0:1/umad");
  SIMULATE_OR_SKIP(issm, recording("mlx5-ib"), card + "infiniband_mad/issm0");
  EXPECT_TRUE(issm->tagged());
  EXPECT_FALSE(issm->properties.contains("SYSTEMD_ALIAS"));
}

TEST(Rules, VerbsNodeIsKnownToSystemd) {
  SIMULATE_OR_SKIP(outcome, recording("mlx5-ib"),
                   "/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband_verbs/uverbs0");
  EXPECT_TRUE(outcome->tagged());
  EXPECT_TRUE(outcome->wants().empty());
}

/// A machine with one network interface of `driver`, or with a PCI function bound to it.
std::string machine_with(const device::HardwareRow& row) {
  const std::string driver(row.nic_driver);
  return "P: /devices/pci0000:00/0000:00:01.0\nE: DRIVER=" + driver +
         "\nE: SUBSYSTEM=pci\nA: vendor=0x0001\\n\nL: driver=../../../bus/pci/drivers/" + driver +
         "\n\nP: /devices/pci0000:00/0000:00:01.0/net/eth7\nE: INTERFACE=eth7\nE: IFINDEX=7\n"
         "E: SUBSYSTEM=net\nE: ID_NET_DRIVER=" +
         driver + "\nA: ifindex=7\\n\n";
}

TEST(Rules, OnlyDriversThatNeedItGetTheirRdmaHalfLoaded) {
  const test::TemporaryDirectory directory;
  std::set<std::string> loaded;
  for (const device::HardwareRow& row : device::hardware_table()) {
    directory.write("machine.umockdev", machine_with(row));
    const std::string devpath = row.match == device::MatchOn::kNet
                                    ? "/devices/pci0000:00/0000:00:01.0/net/eth7"
                                    : "/devices/pci0000:00/0000:00:01.0";
    SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"), devpath);
    const std::string load = "kmod load " + std::string(row.rdma_module);
    if (row.binding == device::Binding::kExplicitLoad) {
      EXPECT_THAT(outcome->text, HasSubstr(load)) << row.nic_driver;
      loaded.emplace(row.rdma_module);
    } else {
      EXPECT_THAT(outcome->text, Not(HasSubstr(load))) << row.nic_driver;
    }
  }
  EXPECT_FALSE(loaded.empty());
}

TEST(Rules, InterfaceOfAPlainNicLoadsNothing) {
  const test::TemporaryDirectory directory;
  device::HardwareRow plain;
  plain.nic_driver = "e1000e";
  directory.write("machine.umockdev", machine_with(plain));
  SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"),
                   "/devices/pci0000:00/0000:00:01.0/net/eth7");
  EXPECT_THAT(outcome->text, Not(HasSubstr("kmod load")));
  EXPECT_TRUE(outcome->wants().empty());
}

TEST(Rules, VerbsModuleStartsTheListForAnyDevice) {
  const test::TemporaryDirectory directory;
  directory.write("machine.umockdev",
                  "P: /devices/module/ib_uverbs\nE: SUBSYSTEM=module\n\nP: "
                  "/devices/module/ib_core\nE: SUBSYSTEM=module\n");
  SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"), "/devices/module/ib_uverbs", "add");
  EXPECT_TRUE(outcome->tagged());
  EXPECT_THAT(outcome->wants(), ::testing::ElementsAre("rdma-load-modules@rdma.service"));
  EXPECT_THAT(outcome->text, Not(HasSubstr("kmod load rdma_ucm")));
  SIMULATE_OR_SKIP(other, directory.path("machine.umockdev"), "/devices/module/ib_core", "add");
  EXPECT_TRUE(other->wants().empty());
}

TEST(Rules, ConnectionManagerComesWithTheClassOfVerbsDevices) {
  const test::TemporaryDirectory directory;
  directory.write(
      "machine.umockdev",
      "P: /devices/class/infiniband_verbs\nE: SUBSYSTEM=class\n\nP: /devices/class/infiniband\nE: "
      "SUBSYSTEM=class\n");
  SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"), "/devices/class/infiniband_verbs",
                   "add");
  EXPECT_THAT(outcome->text, HasSubstr("kmod load rdma_ucm"));
  EXPECT_TRUE(outcome->wants().empty());
  SIMULATE_OR_SKIP(other, directory.path("machine.umockdev"), "/devices/class/infiniband", "add");
  EXPECT_THAT(other->text, Not(HasSubstr("kmod load")));
}

// udev from 257 on does not start the programs of rules in a simulation.
#define SKIP_WHERE_PROGRAMS_ARE_SKIPPED(outcome)                                \
  if ((outcome).text.find("kipping execution of") != std::string::npos) {       \
    GTEST_SKIP() << "this udevadm does not run programs, the VM scenario does"; \
  }

TEST(RenameRules, AdapterIsRenamedOnAddAndNobodyHearsOfTheOldName) {
  SIMULATE_OR_SKIP(outcome, recording("mlx5-ib"), kMlx5Ib, "add");
  SKIP_WHERE_PROGRAMS_ARE_SKIPPED(*outcome);
  EXPECT_THAT(outcome->text, HasSubstr("\nrename mlx5_0 ibp3s0\n"));
  EXPECT_TRUE(outcome->wants().empty());
  EXPECT_FALSE(outcome->properties.contains("SYSTEMD_ALIAS"));
  EXPECT_FALSE(outcome->tagged());
  EXPECT_THAT(outcome->text, Not(HasSubstr("Created db file")));
  EXPECT_THAT(outcome->text, Not(HasSubstr("IMPORT rdma_id"))) << "there is nothing to ask about";
}

TEST(RenameRules, OnlyAddRenames) {
  for (const char* const action : {"change", "move", "bind", "remove"}) {
    SIMULATE_OR_SKIP(outcome, recording("mlx5-ib"), kMlx5Ib, action);
    EXPECT_THAT(outcome->text, Not(HasSubstr("\nrename mlx5_0"))) << action;
    EXPECT_FALSE(outcome->properties.contains("RDMA_NAME_POLICY")) << action;
  }
}

TEST(RenameRules, DeviceRenamedInTheInitrdIsLeftAlone) {
  const test::TemporaryDirectory directory;
  directory.write("machine.umockdev", records_with_name());
  SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"), kNamed, "add");
  SKIP_WHERE_PROGRAMS_ARE_SKIPPED(*outcome);
  EXPECT_THAT(outcome->text, Not(HasSubstr("\nrename ibp3s0")));
  EXPECT_EQ(outcome->properties.at("ID_RDMA_PROTOCOL"), "infiniband");
  EXPECT_THAT(outcome->wants(), ::testing::Contains("rdma-hw.target"));
}

TEST(RenameRules, SoftwareDeviceKeepsItsNameUnlessAPolicySaysOtherwise) {
  SIMULATE_OR_SKIP(by_default, recording("rxe"), "/devices/virtual/infiniband/foo0", "add");
  EXPECT_FALSE(by_default->properties.contains("RDMA_NAME_POLICY"));
  EXPECT_THAT(by_default->text, Not(HasSubstr("rdma_rename")));
  EXPECT_THAT(by_default->wants(), ::testing::Contains("rdma-hw.target"));
  const test::TemporaryDirectory directory;
  directory.write("59-admin.rules",
                  R"(SUBSYSTEM=="infiniband", ENV{RDMA_NAME_POLICY}="NAME_FIXED storage0")"
                  "\n");
  SIMULATE_OR_SKIP(outcome, recording("rxe") + " " + directory.path("59-admin.rules"),
                   "/devices/virtual/infiniband/foo0", "add");
  SKIP_WHERE_PROGRAMS_ARE_SKIPPED(*outcome);
  EXPECT_THAT(outcome->text, HasSubstr("\nrename foo0 storage0\n"));
}

TEST(RenameRules, AdminsOwnRuleThatRenamesIsNotUndoneByTheDefault) {
  const test::TemporaryDirectory directory;
  directory.write("59-admin.rules",
                  R"(ACTION=="add", SUBSYSTEM=="infiniband", PROGRAM="rdma_rename %k NAME_GUID")"
                  "\n");
  SIMULATE_OR_SKIP(outcome, recording("mlx5-ib") + " " + directory.path("59-admin.rules"), kMlx5Ib,
                   "add");
  SKIP_WHERE_PROGRAMS_ARE_SKIPPED(*outcome);
  EXPECT_THAT(outcome->text, HasSubstr("\nrename mlx5_0 ibxb8599f0300050a2c\n"));
  EXPECT_THAT(outcome->text, Not(HasSubstr("ibp3s0")));
  EXPECT_FALSE(outcome->tagged());
}

TEST(RenameRules, ManagementNodesFollowARename) {
  SIMULATE_OR_SKIP(moved, recording("mlx5-ib"), kMlx5Ib, "move");
  const char* const trigger =
      "udevadm trigger --action=change --subsystem-match=infiniband_mad "
      "--attr-match=ibdev=mlx5_0";
  EXPECT_THAT(moved->text, HasSubstr(trigger));
  SIMULATE_OR_SKIP(changed, recording("mlx5-ib"), kMlx5Ib, "change");
  EXPECT_THAT(changed->text, Not(HasSubstr("udevadm trigger")));
}

TEST(Rules, OnlyADeviceWithADescriptionWantsTheDaemon) {
  const test::TemporaryDirectory directory;
  const std::string device = "P: /devices/virtual/infiniband/x0\nE: SUBSYSTEM=infiniband\n";
  directory.write("machine.umockdev", device + "A: node_desc=x0\\n\n");
  SIMULATE_OR_SKIP(with, directory.path("machine.umockdev"), "/devices/virtual/infiniband/x0");
  EXPECT_THAT(with->wants(), ::testing::Contains("rdma-ndd.service"));
  directory.write("machine.umockdev", device + "\n");
  SIMULATE_OR_SKIP(without, directory.path("machine.umockdev"), "/devices/virtual/infiniband/x0");
  EXPECT_THAT(without->wants(), Not(::testing::Contains("rdma-ndd.service")));
}

// udev from 257 on does not write to sysfs in a simulation.
#define SKIP_WHERE_ATTRIBUTES_ARE_SKIPPED(outcome)                                  \
  if ((outcome).text.find("kipping writing") != std::string::npos ||                \
      (outcome).text.find("kipping execution of") != std::string::npos) {           \
    GTEST_SKIP() << "this udevadm does not write attributes, the VM scenario does"; \
  }

constexpr const char* kSoft = "/devices/virtual/infiniband/foo0";

TEST(DescriptionRule, NewAndRenamedDevicesAreDescribedByUdev) {
  for (const char* const action : {"add", "move"}) {
    SIMULATE_OR_SKIP(outcome, recording("rxe"), kSoft, action);
    SKIP_WHERE_ATTRIBUTES_ARE_SKIPPED(*outcome);
    EXPECT_THAT(outcome->text, HasSubstr("\ndescribed vm1 foo0\n")) << action;
    EXPECT_THAT(outcome->wants(), ::testing::Contains("rdma-ndd.service"));
  }
  SIMULATE_OR_SKIP(change, recording("rxe"), kSoft, "change");
  EXPECT_THAT(change->text, Not(HasSubstr("\ndescribed vm1"))) << "the daemon's business";
}

TEST(DescriptionRule, TextIsNotReadAsAPattern) {
  const test::TemporaryDirectory directory;
  // udev would put the device's name for $kernel and %k.
  directory.write("hostname", "a$kernel%k$$");
  SIMULATE_OR_SKIP(outcome, recording("rxe") + " " + directory.path("hostname"), kSoft, "add");
  SKIP_WHERE_ATTRIBUTES_ARE_SKIPPED(*outcome);
  EXPECT_THAT(outcome->text, HasSubstr("\ndescribed a$kernel%k$$ foo0\n"));
}

TEST(DescriptionRule, HostWithoutANameDeviceToBeRenamedAndAdminsServiceAreLeftToTheDaemon) {
  const test::TemporaryDirectory directory;
  const std::string rxe = recording("rxe") + " ";
  for (const char* const name : {"localhost", "(none)", ""}) {
    directory.write("hostname", name);
    SIMULATE_OR_SKIP(outcome, rxe + directory.path("hostname"), kSoft, "add");
    EXPECT_THAT(outcome->text, Not(HasSubstr("described " + std::string(name) + " foo0")));
  }
  directory.link("/dev/null", "rdma-ndd.service");
  directory.write("drop-in/rdma-ndd.service.d/format.conf",
                  "[Service]\nEnvironment=RDMA_NDD_ND_FORMAT=x\n");
  for (const char* const own : {"rdma-ndd.service", "drop-in/rdma-ndd.service.d"}) {
    SIMULATE_OR_SKIP(outcome, rxe + directory.path(own), kSoft, "add");
    EXPECT_THAT(outcome->text, Not(HasSubstr("described vm1"))) << own;
  }
  SIMULATE_OR_SKIP(renamed, recording("mlx5-ib"), kMlx5Ib, "add");
  EXPECT_THAT(renamed->text, Not(HasSubstr("described vm1")));
}

TEST(Rules, DeviceThatIsAlreadyGoneStillHasItsTargetAndNoProtocol) {
  const test::TemporaryDirectory directory;
  directory.write("machine.umockdev",
                  "P: /devices/virtual/infiniband/gone0\nE: NAME=gone0\nE: SUBSYSTEM=infiniband\n");
  SIMULATE_OR_SKIP(outcome, directory.path("machine.umockdev"),
                   "/devices/virtual/infiniband/gone0");
  EXPECT_FALSE(outcome->properties.contains("ID_RDMA_PROTOCOL"));
  EXPECT_THAT(outcome->wants(), Not(::testing::Contains(HasSubstr("rdma-load-modules"))));
  EXPECT_THAT(outcome->wants(), ::testing::Contains("rdma-hw.target"));
}

}  // namespace
}  // namespace rdmaboot
