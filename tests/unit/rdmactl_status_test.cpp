// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views
#include <array>
#include <ctime>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "device/host_facts.hpp"
#include "json_schema.hpp"
#include "rdmactl/device_details.hpp"
#include "rdmactl/status.hpp"
#include "rdmactl/status_json.hpp"
#include "rdmactl/table.hpp"
#include "recorded_tree.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::rdmactl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr Terminal kNarrow{80, false};
constexpr Terminal kWide{0, false};
constexpr Terminal kColoured{0, true};

/// A recorded machine, seen.
struct Seen {
  device::Snapshot snapshot;
  std::vector<PortStatus> ports;
};

void see(const test::TemporaryDirectory& tree, Seen& seen) {
  device::SnapshotOptions options;
  options.root = tree.path("");
  auto snapshot = device::take_snapshot(options);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  seen.snapshot = std::move(*snapshot);
  seen.ports = judge_ports(seen.snapshot,
                           device::HostFactReader::read_recorded(seen.snapshot, options.root));
}

/// Everything a terminal would act on: control characters, and those of ISO 8859's upper half.
bool is_harmless(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if ((byte < 0x20 && byte != '\n') || byte == 0x7f || c1) {
      return false;
    }
  }
  return true;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

test::RecordedTree mixed_machine() {
  return {"mlx5-ib", "siw"};
}

TEST(StatusTable, ShowsEveryPortOnAWideTerminal) {
  const test::RecordedTree tree({"mlx5-ib", "siw"});
  tree.write("dev/infiniband/rdma_cm", "");
  Seen seen;
  see(tree, seen);
  EXPECT_EQ(
      status_text(seen.ports, kWide),
      R"(   PORT      PROTOCOL    NETDEV  STATE      SPEED  GIDS   LID  READY    DESCRIPTION   NOT YET
●  mlx5_0:1  infiniband  ibp3s0  ACTIVE  200 Gb/s     1  0x1a  address  node17 HCA-1
●  siw0:1    iwarp               ACTIVE  2.5 Gb/s     1        port     siw0          no address but link-local ones, the port has no netdev
)");
}

TEST(StatusTable, LeavesOutColumnsOnATerminalOf80) {
  const test::RecordedTree tree({"mlx5-ib", "siw"});
  tree.write("dev/infiniband/rdma_cm", "");
  Seen seen;
  see(tree, seen);
  EXPECT_EQ(status_text(seen.ports, kNarrow),
            R"(   PORT      NETDEV  STATE      SPEED   LID  READY    NOT YET
●  mlx5_0:1  ibp3s0  ACTIVE  200 Gb/s  0x1a  address
●  siw0:1            ACTIVE  2.5 Gb/s        port     no address but link-local…
)");
}

TEST(StatusTable, ShowsWhatRoceHasBesideInfiniband) {
  const test::RecordedTree tree({"mlx5-roce"});
  tree.write("dev/infiniband/rdma_cm", "");
  Seen seen;
  see(tree, seen);
  EXPECT_EQ(status_text(seen.ports, {100, false}),
            R"(   PORT      PROTOCOL  NETDEV        STATE             SPEED  READY    NOT YET
●  mlx5_0:1  roce      enp94s0f0np0  ACTIVE         100 Gb/s  address
●  mlx5_1:1  roce      enp94s0f0v0   DOWN/Disabled   10 Gb/s  chardev  port DOWN, netdev enp94s0f0v…
)");
}

TEST(StatusDetails, TellsInFullWhatTheTableCuts) {
  const test::RecordedTree tree({"siw"});
  tree.write("dev/infiniband/rdma_cm", "");
  Seen seen;
  see(tree, seen);
  EXPECT_THAT(
      details_text(seen.snapshot.devices[0], seen.ports, {}, kNarrow),
      HasSubstr("not yet: siw0:1: no address but link-local ones, the port has no netdev\n"));
}

TEST(StatusTable, NoLineIsWiderThanTheTerminal) {
  const test::RecordedTree tree = mixed_machine();
  Seen seen;
  see(tree, seen);
  for (const std::size_t width : std::vector<std::size_t>{50U, 60U, 80U, 100U, 132U}) {
    for (const std::string& line : lines_of(status_text(seen.ports, {width, false}))) {
      EXPECT_LE(columns_of(line), width) << line;
    }
  }
}

TEST(StatusTable, ColourIsOnlyForATerminal) {
  const test::RecordedTree tree({"siw"});
  Seen seen;
  see(tree, seen);
  EXPECT_THAT(status_text(seen.ports, kWide), Not(HasSubstr("\x1b")));
  EXPECT_THAT(status_text(seen.ports, kColoured), HasSubstr("\x1b[33m●\x1b[0m"));
}

TEST(StatusTable, AMachineWithoutDevicesIsOneLine) {
  const test::TemporaryDirectory tree;
  tree.make_directory("sys");
  Seen seen;
  see(tree, seen);
  EXPECT_EQ(status_text(seen.ports, kNarrow), "No RDMA device.\n");
}

TEST(StatusTable, ADeviceWithoutPortsHasALine) {
  const test::RecordedTree tree({});
  tree.add_records(
      "P: /devices/virtual/infiniband/bare0\nE: SUBSYSTEM=infiniband\nA: node_type=1: CA\\n\n");
  Seen seen;
  see(tree, seen);
  const auto lines = lines_of(status_text(seen.ports, kWide));
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines[1], AllOf(HasSubstr("bare0 "), HasSubstr("device")));
  EXPECT_THAT(lines[1], Not(HasSubstr("bare0:")));
}

TEST(StatusTable, HostileTextIsMadePrintable) {
  const test::RecordedTree tree({});
  tree.add_records(
      "P: /devices/virtual/infiniband/bad\x1b[2J0\nE: SUBSYSTEM=infiniband\nA: node_type=1: CA\\n\n"
      "A: node_desc=x\x1b]0;owned\x07\xc2\x9b\r\x7fy\\n\nA: fw_ver=\x1b[31m\\n\n");
  tree.write("sys/devices/virtual/infiniband/bad\x1b[2J0/node_desc",
             "x\x1b]0;owned\x07\xc2\x9b\ry");
  tree.write("sys/devices/virtual/infiniband/bad\x1b[2J0/fw_ver", "1\x1b[31m");
  Seen seen;
  see(tree, seen);
  ASSERT_THAT(seen.ports, SizeIs(1));
  DeviceDetails details;
  details.module = "m\x1b[0m";
  details.users = {"u\x1b[0m"};
  details.errors = {{1, "c\x1b[0m_error", 1, false}};
  details.journal.push_back({{}, {}, {{"MESSAGE", "a\x1b[0m"}, {"SYSLOG_IDENTIFIER", "\x07"}}});
  const std::string text = status_text(seen.ports, kWide) +
                           details_text(seen.snapshot.devices[0], seen.ports, details, kWide);
  EXPECT_TRUE(is_harmless(text)) << text;
  EXPECT_THAT(text, HasSubstr("x\\x1b]0;owned\\x07"));
  const std::string json =
      status_json(seen.snapshot, seen.ports).dump() + details_json(details).dump();
  EXPECT_TRUE(is_harmless(json));
  // JSON would escape them, but a program that prints the value would not.
  EXPECT_THAT(json, Not(HasSubstr("\\u001b")));
}

TEST(StatusTable, DescriptionOfMoreThanItsSixtyFourBytesIsCut) {
  const test::RecordedTree tree({"siw"});
  tree.write("sys/devices/virtual/infiniband/siw0/node_desc", std::string(2000, 'd'));
  Seen seen;
  see(tree, seen);
  EXPECT_THAT(status_text(seen.ports, kWide),
              AllOf(HasSubstr(std::string(64, 'd')), Not(HasSubstr(std::string(65, 'd')))));
}

TEST(StatusDetails, TellsALinkThatIsNarrowerThanTheDeviceCanDo) {
  device::Device device;
  DeviceDetails details;
  details.link = PciLink{"8.0 GT/s PCIe", 8};
  details.capable = PciLink{"16.0 GT/s PCIe", 16};
  EXPECT_THAT(details_text(device, {}, details, kWide),
              HasSubstr("PCI link: 8.0 GT/s PCIe x8 (the device can do 16.0 GT/s PCIe x16)\n"));
  details.link = details.capable;
  EXPECT_THAT(details_text(device, {}, details, kWide),
              HasSubstr("PCI link: 16.0 GT/s PCIe x16\n"));
}

TEST(StatusDetails, ReadsCountersThatTellOfTroubleOnly) {
  const test::RecordedTree tree({"mlx5-ib"});
  Seen seen;
  see(tree, seen);
  const std::string port = seen.snapshot.devices[0].sysfs_path.substr(1) + "/ports/1";
  tree.write(port + "/counters/port_rcv_errors", "3\n");
  tree.write(port + "/counters/port_xmit_data", "1234\n");
  tree.write(port + "/counters/symbol_error", "0\n");
  tree.write(port + "/hw_counters/out_of_sequence", "7\n");
  tree.write(port + "/hw_counters/lifespan", "10\n");
  const DeviceDetails details = read_details(seen.snapshot.devices[0], tree.path(""));
  EXPECT_THAT(details.errors, ElementsAre(AllOf(Field(&PortCounter::name, "port_rcv_errors"),
                                                Field(&PortCounter::value, 3)),
                                          AllOf(Field(&PortCounter::name, "out_of_sequence"),
                                                Field(&PortCounter::hardware, true))));
}

TEST(StatusDetails, NamesTheModuleAndWhatUsesIt) {
  const test::RecordedTree tree({"mlx5-ib"});
  Seen seen;
  see(tree, seen);
  const device::Device& device = seen.snapshot.devices[0];
  tree.link("../../../../module/mlx5_core", "sys/bus/pci/drivers/mlx5_core/module");
  tree.make_directory("sys/module/mlx5_core/holders/mlx5_ib");
  const DeviceDetails details = read_details(device, tree.path(""));
  EXPECT_THAT(details_text(device, {}, details, kWide),
              HasSubstr("module: mlx5_core, used by mlx5_ib\n"));
}

TEST(StatusDetails, JournalLinesAreCutToTheTerminal) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  DeviceDetails details;
  details.journal.push_back(
      {core::Microseconds(1'700'000'000'000'000),
       {},
       {{"MESSAGE", std::string(200, 'm')}, {"SYSLOG_IDENTIFIER", "kernel"}}});
  const auto lines = lines_of(details_text({}, {}, details, kNarrow));
  EXPECT_THAT(lines.back(), HasSubstr("        journal: Nov 14 22:13:20 kernel: mmm"));
  EXPECT_EQ(columns_of(lines.back()), 80U);
}

TEST(StatusDetails, TheJournalIsAskedForTheDeviceAndItsFunction) {
  device::Device device;
  device.name = "mlx5_0";
  device.pci_address = "0000:03:00.0";
  EXPECT_THAT(journal_about(device).any_of,
              ElementsAre(ElementsAre("RDMA_DEVICE=mlx5_0"),
                          ElementsAre("_KERNEL_DEVICE=+infiniband:mlx5_0"),
                          ElementsAre("_KERNEL_DEVICE=+pci:0000:03:00.0")));
}

TEST(StatusJson, FollowsItsSchema) {
  const test::JsonSchema schema = test::JsonSchema::of_documentation("status");
  const std::vector<std::string> machines = {"bnxt_re",  "cxgb4-iwarp", "efa",  "erdma",
                                             "hfi1-opa", "irdma",       "mana", "mlx4-mixed",
                                             "mlx5-ib",  "mlx5-roce",   "rxe",  "siw"};
  for (const std::string& machine : machines) {
    const test::RecordedTree tree({machine});
    Seen seen;
    see(tree, seen);
    nlohmann::json answer = status_json(seen.snapshot, seen.ports);
    DeviceDetails details = read_details(seen.snapshot.devices[0], tree.path(""));
    details.errors = {{1, "port_rcv_errors", 1, true}};
    details.journal = {{core::Microseconds(5), {}, {{"MESSAGE", "m"}}}};
    details.users = {"mlx5_ib"};
    answer["details"] = details_json(details);
    EXPECT_THAT(schema.problems(answer), IsEmpty()) << machine;
  }
}

TEST(StatusJson, TheCheckerOfSchemasSeesWhatIsWrong) {
  const test::JsonSchema schema = test::JsonSchema::of_documentation("status");
  const test::RecordedTree tree({"mlx5-ib"});
  Seen seen;
  see(tree, seen);
  const nlohmann::json good = status_json(seen.snapshot, seen.ports);
  nlohmann::json bad = good;
  bad["devices"][0].erase("name");
  EXPECT_THAT(schema.problems(bad), ElementsAre("/devices/0: lacks name"));
  bad = good;
  bad["devices"][0]["more"] = 1;
  EXPECT_THAT(schema.problems(bad), ElementsAre("/devices/0: has the unknown member more"));
  bad = good;
  bad["devices"][0]["ports"][0]["lid"] = "0x1";
  EXPECT_THAT(schema.problems(bad), SizeIs(1));
  bad = good;
  bad["devices"][0]["ports"][0]["readiness"]["status"] = "maybe";
  EXPECT_THAT(schema.problems(bad), SizeIs(1));
  bad = good;
  bad["devices"][0]["node_guid"] = "xyz";
  EXPECT_THAT(schema.problems(bad), SizeIs(1));
  EXPECT_THAT(test::JsonSchema(nlohmann::json{{"maxLength", 3}}).problems("four"), SizeIs(1));
}

TEST(Durations, HaveAboutThreeDigits) {
  const auto text = [](std::int64_t usec) { return duration_text(core::Microseconds(usec)); };
  EXPECT_EQ(text(0), "0 µs");
  EXPECT_EQ(text(999), "999 µs");
  EXPECT_EQ(text(1000), "1.0 ms");
  EXPECT_EQ(text(9'399), "9.3 ms");
  EXPECT_EQ(text(412'900), "412 ms");
  EXPECT_EQ(text(1'004'000), "1.004 s");
  EXPECT_EQ(text(73'100'000), "73.1 s");
}

/// A machine of so many devices with eight ports, two GIDs and a P_Key a port.
void add_large_machine(const test::RecordedTree& tree, int devices) {
  std::string text;
  for (int d = 0; d < devices; ++d) {
    std::string number(4, '0');
    for (std::size_t i = 0, rest = static_cast<std::size_t>(d); i < 4; ++i, rest /= 16) {
      number[3 - i] = "0123456789abcdef"[rest % 16];
    }
    const std::string name = "mlx5_" + std::to_string(d);
    const std::string path = "/devices/pci0000:00/0000:" + number.substr(2) + ":00.0";
    text += "P: " + path + "/infiniband/" + name + "\nE: SUBSYSTEM=infiniband\n";
    text += "A: node_type=1: CA\\n\nA: node_guid=b859:9f03:0005:" + number + "\\n\n";
    text +=
        "A: sys_image_guid=b859:9f03:0005:" + number + "\\n\nA: node_desc=host " + name + "\\n\n";
    text += "A: fw_ver=16.35.2000\\n\nA: board_id=MT_0000000010\\n\nA: hca_type=MT4119\\n\n";
    for (int p = 1; p <= 8; ++p) {
      const std::string at = "A: ports/" + std::to_string(p) + "/";
      text += at + "state=4: ACTIVE\\n\n" + at + "phys_state=5: LinkUp\\n\n" + at +
              "link_layer=InfiniBand\\n\n" + at + "rate=100 Gb/sec (4X EDR)\\n\n" + at +
              "lid=0x1\\n\n" + at + "lid_mask_count=0\\n\n" + at + "sm_lid=0x1\\n\n" + at +
              "sm_sl=0\\n\n" + at + "cap_mask=0x2651e84a\\n\n" + at +
              "gids/0=fe80:0000:0000:0000:b859:9f03:0000:0001\\n\n" + at +
              "gid_attrs/types/0=IB/RoCE v1\\n\n" + at +
              "gids/1=fe80:0000:0000:0000:b859:9f03:0000:0002\\n\n" + at +
              "gid_attrs/types/1=IB/RoCE v1\\n\n" + at + "pkeys/0=0xffff\\n\n";
    }
    const std::string verbs = "uverbs" + std::to_string(d);
    text += "\nP: " + path + "/infiniband_verbs/" + verbs + "\nN: infiniband/" + verbs +
            "\nE: SUBSYSTEM=infiniband_verbs\nA: dev=231:192\\n\nA: ibdev=" + name + "\\n\n\n";
  }
  tree.add_records(text);
  tree.write("dev/infiniband/rdma_cm", "");
}

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

TEST(StatusTable, TwoHundredDevicesOfEightPortsCostWhatTheirFilesCost) {
  // This bound is for instrumented builds on a busy machine, and finds what is quadratic: that
  // would take minutes.
  constexpr double kBound = 4.0;
  const test::RecordedTree tree({});
  add_large_machine(tree, 200);
  const double begin = processor_seconds();
  Seen seen;
  see(tree, seen);
  const std::string text = status_text(seen.ports, kNarrow);
  EXPECT_LT(processor_seconds() - begin, kBound);
  EXPECT_THAT(lines_of(text), SizeIs(1 + 200 * 8));
  EXPECT_THAT(text, HasSubstr("mlx5_199:8"));
  EXPECT_THAT(text, Not(HasSubstr("NOT YET")));
}

}  // namespace
}  // namespace rdmaboot::rdmactl
