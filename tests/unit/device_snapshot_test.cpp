// SPDX-License-Identifier: BSD-2-Clause
#include "device/snapshot.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/sysfs_reader.hpp"
#include "recorded_tree.hpp"

namespace rdmaboot::device {
namespace {

using test::RecordedTree;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kRecordings[] = {"mlx5-ib", "mlx5-roce", "hfi1-opa", "cxgb4-iwarp",
                                       "irdma",   "bnxt_re",   "efa",      "siw",
                                       "rxe",     "mlx4-mixed"};

Snapshot snapshot_of(const test::TemporaryDirectory& tree) {
  SnapshotOptions options;
  options.root = tree.path("");
  return take_snapshot(options).value();
}

Snapshot snapshot_with(const test::TemporaryDirectory& tree, const SnapshotSeams& seams) {
  SnapshotOptions options;
  options.root = tree.path("");
  return take_snapshot(options, seams).value();
}

const Device& device_in(const Snapshot& snapshot, std::string_view name) {
  const Device* const device = snapshot.find(name);
  if (device == nullptr) {
    throw std::runtime_error("no device " + std::string(name));
  }
  return *device;
}

std::vector<std::string> names_of(const Snapshot& snapshot) {
  std::vector<std::string> names;
  for (const Device& device : snapshot.devices) {
    names.push_back(device.name);
  }
  return names;
}

std::vector<std::string> names_of(const std::vector<Netdev>& netdevs) {
  std::vector<std::string> names;
  for (const Netdev& netdev : netdevs) {
    names.push_back(netdev.name);
  }
  return names;
}

std::string notes_of(const Snapshot& snapshot) {
  std::string text;
  for (const core::Error& note : snapshot.notes) {
    text += note.message() + "\n";
  }
  return text;
}

/// A device with one port, as records.
std::string records_of(const std::string& name, const std::string& attributes = "") {
  return "P: /devices/virtual/infiniband/" + name +
         "\nE: SUBSYSTEM=infiniband\nA: node_type=1: CA\\n\nA: node_guid=0000:0000:0000:0001\\n\n" +
         attributes + "\n";
}

// ---- What each kind of hardware looks like

TEST(Recordings, AreAllReadWithoutANote) {
  for (const char* const name : kRecordings) {
    const Snapshot snapshot = snapshot_of(RecordedTree({name}));
    EXPECT_EQ(notes_of(snapshot), "") << name;
    EXPECT_TRUE(snapshot.consistent) << name;
    EXPECT_FALSE(snapshot.devices.empty()) << name;
    for (const Device& device : snapshot.devices) {
      EXPECT_FALSE(device.ports.empty()) << name;
      EXPECT_TRUE(device.node_guid) << name;
      EXPECT_FALSE(device.index) << "only a running kernel knows it";
    }
  }
}

TEST(Infiniband, PortHasLidPartitionsAndItsIpoibNetdev) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"mlx5-ib"}));
  const Device& device = device_in(snapshot, "mlx5_0");
  EXPECT_EQ(device.protocol, Protocol::kInfiniBand);
  EXPECT_EQ(device.node_type, NodeType::kCa);
  EXPECT_EQ(device.node_guid->to_string(), "b859:9f03:0005:0a2c");
  EXPECT_EQ(device.firmware_version, "20.31.1014");
  EXPECT_EQ(device.board_id, "MT_0000000223");
  EXPECT_EQ(device.hca_type, "MT4123");
  EXPECT_EQ(device.node_description, "node17 HCA-1");
  EXPECT_EQ(device.driver, "mlx5_core");
  EXPECT_EQ(device.pci_address, "0000:03:00.0");
  EXPECT_EQ(device.numa_node, 1U);
  EXPECT_EQ(device.sysfs_path,
            "/sys/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0");
  const Port& port = *device.find_port(PortNumber{1});
  EXPECT_EQ(port.state, PortState::kActive);
  EXPECT_EQ(port.physical_state, PhysicalState::kLinkUp);
  EXPECT_EQ(port.link_layer, LinkLayer::kInfiniBand);
  EXPECT_EQ(port.lid->value, 0x1aU);
  EXPECT_EQ(port.sm_lid->value, 1U);
  EXPECT_EQ(port.lid_mask, 0);
  EXPECT_EQ(port.capabilities, 0x2651e848U);
  EXPECT_EQ(port.rate->megabits_per_second, 200000U);
  ASSERT_EQ(port.gids.size(), 1U);
  EXPECT_EQ(port.gids[0].type, GidType::kInfiniBand);
  ASSERT_EQ(port.pkeys.size(), 2U) << "entries that are not in use are left out";
  EXPECT_EQ(port.pkeys[1].pkey.value, 0x8001);
  EXPECT_THAT(names_of(port.netdevs), ElementsAre("ibp3s0"));
  EXPECT_EQ(port.netdevs[0].index, 4U);
  EXPECT_FALSE(port.active_mtu) << "sysfs does not say";
}

TEST(Infiniband, IpoibChildDoesNotHideTheNetdevOfThePort) {
  const RecordedTree tree({"mlx5-ib"});
  tree.add_records(
      "P: /devices/pci0000:00/0000:00:03.0/0000:03:00.0/net/ibp3s0.8001\nE: SUBSYSTEM=net\n"
      "A: type=32\\n\nA: dev_port=0\\n\nA: parent=ibp3s0\\n\n");
  EXPECT_THAT(names_of(snapshot_of(tree).devices[0].ports[0].netdevs), ElementsAre("ibp3s0"));
}

TEST(CharacterDevices, BelongToTheirDeviceAndPort) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"mlx4-mixed"}));
  const auto& nodes = device_in(snapshot, "mlx4_0").character_devices;
  ASSERT_EQ(nodes.size(), 5U);
  EXPECT_EQ(nodes[0].name, "issm0");
  EXPECT_EQ(nodes[3].name, "umad1");
  EXPECT_EQ(nodes[3].kind, CharacterDeviceKind::kUmad);
  EXPECT_EQ(nodes[3].port->value, 2U);
  EXPECT_EQ(nodes[4].node, "/dev/infiniband/uverbs0");
  EXPECT_EQ(nodes[4].major, 231U);
  EXPECT_EQ(nodes[4].minor, 192U);
  EXPECT_FALSE(nodes[4].port);
}

TEST(VirtualFunction, NamesItsPhysicalFunctionAndMayHaveNoGuid) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"mlx5-roce"}));
  const Device& function = device_in(snapshot, "mlx5_1");
  EXPECT_EQ(function.pci_address, "0000:5e:00.2");
  EXPECT_EQ(function.physical_function, "0000:5e:00.0");
  EXPECT_TRUE(function.node_guid->is_zero());
  EXPECT_EQ(function.ports[0].state, PortState::kDown);
  EXPECT_EQ(device_in(snapshot, "mlx5_0").physical_function, "");
}

TEST(Roce, HoleInTheGidTableKeepsTheIndexes) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"mlx5-roce"}));
  const Port& port = device_in(snapshot, "mlx5_0").ports[0];
  EXPECT_EQ(port.protocol, Protocol::kRoce);
  ASSERT_EQ(port.gids.size(), 6U);
  EXPECT_EQ(port.gids[3].index, 3U);
  EXPECT_EQ(port.gids[4].index, 6U);
  EXPECT_EQ(port.gids[4].type, GidType::kRoceV1);
  EXPECT_EQ(port.gids[5].type, GidType::kRoceV2);
  EXPECT_TRUE(port.gids[3].gid.is_ipv4_mapped());
  EXPECT_EQ(port.gids[3].netdev, "enp94s0f0np0");
}

TEST(Roce, VlanOfAGidComesAfterThePortsOwnNetdev) {
  const RecordedTree tree({"bnxt_re"});
  const std::string port =
      "sys/devices/pci0000:40/0000:40:01.1/0000:41:00.0/infiniband/bnxt_re0/ports/1/";
  tree.write(port + "gids/4", "fe80:0000:0000:0000:8616:0cff:fe1d:2e31\n");
  tree.write(port + "gid_attrs/ndevs/4", "a-vlan\n");
  EXPECT_THAT(names_of(snapshot_of(tree).devices[0].ports[0].netdevs),
              ElementsAre("ens3f0np0", "a-vlan"));
}

TEST(OmniPath, IsToldFromInfinibandThoughItsLinkLayerSaysSo) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"hfi1-opa"}));
  const Device& device = device_in(snapshot, "hfi1_0");
  EXPECT_EQ(device.protocol, Protocol::kOpa);
  EXPECT_EQ(device.ports[0].link_layer, LinkLayer::kInfiniBand);
  EXPECT_FALSE(device.hca_type);
}

TEST(Iwarp, PortsHaveTheirOwnNetdevsAndGidsWithoutRoceType) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"cxgb4-iwarp"}));
  const Device& device = device_in(snapshot, "cxgb4_0");
  EXPECT_EQ(device.protocol, Protocol::kIwarp);
  ASSERT_EQ(device.ports.size(), 2U);
  EXPECT_THAT(names_of(device.ports[0].netdevs), ElementsAre("enp23s0f4"));
  EXPECT_THAT(names_of(device.ports[1].netdevs), ElementsAre("enp23s0f4d1"));
  EXPECT_EQ(device.ports[1].state, PortState::kDown);
  ASSERT_EQ(device.ports[0].gids.size(), 1U);
  EXPECT_EQ(device.ports[0].gids[0].type, GidType::kUnknown);
  EXPECT_THAT(device.ports[0].pkeys, IsEmpty());
}

TEST(Irdma, OneDriverSpeaksTwoProtocols) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"irdma"}));
  EXPECT_EQ(device_in(snapshot, "irdma0").protocol, Protocol::kRoce);
  EXPECT_EQ(device_in(snapshot, "irdma1").protocol, Protocol::kIwarp);
}

TEST(Efa, IsNeitherInfinibandNorRoceAndHasNoNumaNode) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"efa"}));
  const Device& device = device_in(snapshot, "efa_0");
  EXPECT_EQ(device.protocol, Protocol::kEfa);
  EXPECT_EQ(device.node_type, NodeType::kUnspecified);
  EXPECT_EQ(device.ports[0].link_layer, LinkLayer::kUnknown);
  EXPECT_FALSE(device.numa_node) << "-1 says that the firmware does not know";
}

TEST(SoftDevices, HaveNoHardwareAboveThem) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"rxe", "siw"}));
  for (const char* const name : {"foo0", "siw0"}) {
    const Device& device = device_in(snapshot, name);
    EXPECT_EQ(device.driver, "");
    EXPECT_EQ(device.pci_address, "");
    EXPECT_EQ(device.parent_path, "");
    EXPECT_EQ(device.firmware_version, "");
  }
  EXPECT_EQ(device_in(snapshot, "foo0").protocol, Protocol::kRoce);
  EXPECT_EQ(device_in(snapshot, "siw0").protocol, Protocol::kIwarp);
}

TEST(SoftRoce, NetdevIsKnownBeforeItsFirstGid) {
  const RecordedTree tree({"rxe"});
  std::filesystem::remove_all(tree.path("sys/devices/virtual/infiniband/foo0/ports/1/gids"));
  EXPECT_THAT(names_of(snapshot_of(tree).devices[0].ports[0].netdevs), ElementsAre("dummy0"));
}

TEST(MixedPorts, EachHasItsOwnProtocolAndNetdev) {
  const Snapshot snapshot = snapshot_of(RecordedTree({"mlx4-mixed"}));
  const Device& device = device_in(snapshot, "mlx4_0");
  EXPECT_EQ(device.protocol, Protocol::kInfiniBand) << "of the first port";
  EXPECT_EQ(device.ports[0].protocol, Protocol::kInfiniBand);
  EXPECT_EQ(device.ports[1].protocol, Protocol::kRoce);
  EXPECT_EQ(device.ports[0].lid_mask, 1);
  EXPECT_THAT(names_of(device.ports[0].netdevs), ElementsAre("ibs1"));
  EXPECT_THAT(names_of(device.ports[1].netdevs), ElementsAre("ens1d1"));
}

TEST(SubFunction, FindsThePciFunctionAboveItsAuxiliaryDevice) {
  const RecordedTree tree({});
  tree.add_records(
      "P: /devices/pci0000:00/0000:00:01.0\nE: SUBSYSTEM=pci\nA: numa_node=3\\n\n"
      "L: driver=../../../bus/pci/drivers/mlx5_core\n\n"
      "P: /devices/pci0000:00/0000:00:01.0/mlx5_core.sf.4\nE: SUBSYSTEM=auxiliary\n"
      "A: sfnum=88\\n\nL: driver=../../../../bus/auxiliary/drivers/mlx5_core.sf\n\n"
      "P: /devices/pci0000:00/0000:00:01.0/mlx5_core.sf.4/infiniband/mlx5_2\n"
      "E: SUBSYSTEM=infiniband\nL: device=../../../mlx5_core.sf.4\n");
  const Snapshot snapshot = snapshot_of(tree);
  const Device& device = device_in(snapshot, "mlx5_2");
  EXPECT_EQ(device.parent_path, "/sys/devices/pci0000:00/0000:00:01.0/mlx5_core.sf.4");
  EXPECT_EQ(device.pci_address, "0000:00:01.0");
  EXPECT_EQ(device.driver, "mlx5_core.sf");
  EXPECT_EQ(device.numa_node, 3U);
}

TEST(PciAddress, HasItsFormAndNoOther) {
  EXPECT_TRUE(is_pci_address("0000:03:00.0"));
  EXPECT_TRUE(is_pci_address("10000:e1:00.7"));
  for (const char* const wrong :
       {"", "0000:03:00", "0000:03:00.0x", "000:03:00.0", "0000:03:00.", "pci0000:00",
        "mlx5_core.sf.4", "0000-03:00.0", "123456789:03:00.0"}) {
    EXPECT_FALSE(is_pci_address(wrong)) << wrong;
  }
}

// ---- The list of devices

TEST(Snapshot, DevicesAreInTheNaturalOrderOfTheirNames) {
  const RecordedTree tree({});
  tree.add_records(records_of("mlx5_10") + records_of("mlx5_2") + records_of("mlx5_1"));
  EXPECT_THAT(names_of(snapshot_of(tree)), ElementsAre("mlx5_1", "mlx5_2", "mlx5_10"));
}

TEST(Snapshot, MachineWithoutRdmaIsEmptyAndMachineWithoutSysfsIsAnError) {
  const test::TemporaryDirectory tree;
  SnapshotOptions options;
  options.root = tree.path("");
  const auto refused = take_snapshot(options);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("/sys: No such file or directory"));
  tree.make_directory("sys/class");
  EXPECT_THAT(snapshot_of(tree).devices, IsEmpty());
  options.root = tree.path("no such directory");
  EXPECT_EQ(take_snapshot(options).error().error_number, ENOENT);
}

TEST(Snapshot, WhatIsNotWantedIsNotRead) {
  const RecordedTree tree({"mlx5-ib"});
  SnapshotOptions options;
  options.root = tree.path("");
  options.gids = false;
  options.pkeys = false;
  const Snapshot snapshot = take_snapshot(options).value();
  EXPECT_THAT(snapshot.devices[0].ports[0].gids, IsEmpty());
  EXPECT_THAT(snapshot.devices[0].ports[0].pkeys, IsEmpty());
}

TEST(Snapshot, NoMorePartitionKeysAreReadThanAreEnough) {
  const RecordedTree tree({"mlx5-ib"});
  SnapshotOptions options;
  options.root = tree.path("");
  options.most_pkeys = 1;
  const Snapshot snapshot = take_snapshot(options).value();
  ASSERT_EQ(snapshot.devices[0].ports[0].pkeys.size(), 1U);
  EXPECT_EQ(snapshot.devices[0].ports[0].pkeys[0].pkey.value, 0xffff);
}

TEST(Snapshot, DeviceThatVanishesInTheMiddleIsLeftOut) {
  const RecordedTree tree({"rxe", "siw"});
  SnapshotSeams seams;
  int readings = 0;
  seams.after_reading = [&] {
    if (++readings == 1) {
      std::filesystem::remove(tree.path("sys/class/infiniband/siw0"));
    }
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  EXPECT_THAT(names_of(snapshot), ElementsAre("foo0"));
  EXPECT_TRUE(snapshot.consistent);
  EXPECT_EQ(readings, 2) << "once more, and then nothing had changed";
}

TEST(Snapshot, DeviceThatComesInTheMiddleIsThere) {
  const RecordedTree tree({"rxe"});
  SnapshotSeams seams;
  bool added = false;
  seams.after_reading = [&] {
    if (!std::exchange(added, true)) {
      tree.add_recording("siw");
    }
  };
  EXPECT_THAT(names_of(snapshot_with(tree, seams)), ElementsAre("foo0", "siw0"));
}

TEST(Snapshot, AnotherDeviceUnderTheSameNameIsReadAgain) {
  const RecordedTree tree({});
  tree.add_records(records_of("rxe0"));
  SnapshotSeams seams;
  bool replaced = false;
  seams.after_reading = [&] {
    if (!std::exchange(replaced, true)) {
      // Both exist for a moment, so that the file system cannot give the same number again.
      tree.write("sys/devices/other/node_guid", "0000:0000:0000:0002\n");
      std::filesystem::remove(tree.path("sys/class/infiniband/rxe0"));
      tree.link("../../devices/other", "sys/class/infiniband/rxe0");
    }
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  EXPECT_EQ(snapshot.devices.at(0).node_guid->value, 2U);
  EXPECT_TRUE(snapshot.consistent);
}

TEST(Snapshot, EndlessChangeEndsAndShowsOnlyWhatIsThere) {
  const RecordedTree tree({});
  tree.add_records(records_of("stays") + records_of("dev0"));
  SnapshotSeams seams;
  int readings = 0;
  seams.after_reading = [&] {
    const std::string base = "sys/class/infiniband/dev";
    std::filesystem::remove(tree.path(base + std::to_string(readings)));
    ++readings;
    tree.add_records(records_of("dev" + std::to_string(readings)));
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  EXPECT_EQ(readings, kMaxReadings);
  EXPECT_FALSE(snapshot.consistent);
  EXPECT_THAT(names_of(snapshot), ElementsAre("stays"));
}

// ---- What nobody should find in sysfs

TEST(HostileSysfs, GarbageInEveryAttributeGivesNotesAndEmptyValues) {
  const RecordedTree tree({"mlx5-roce"});
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(tree.path("sys/devices"))) {
    if (entry.is_regular_file()) {
      files.push_back(entry.path());
    }
  }
  for (const auto& file : files) {
    std::ofstream(file) << std::string("\x1b]0;\0\xff:;\n\n%s", 11);
  }
  const Snapshot snapshot = snapshot_of(tree);
  ASSERT_EQ(snapshot.devices.size(), 2U);
  const Port& port = snapshot.devices[0].ports.at(0);
  EXPECT_FALSE(port.state);
  EXPECT_FALSE(port.lid);
  EXPECT_FALSE(port.rate);
  EXPECT_THAT(port.gids, IsEmpty());
  EXPECT_THAT(port.netdevs, IsEmpty());
  EXPECT_EQ(port.protocol, Protocol::kUnknown);
  EXPECT_FALSE(snapshot.devices[0].node_guid);
  EXPECT_THAT(notes_of(snapshot), HasSubstr("parse port state \"\\x1b]0;\\x00\\xff:;"));
  EXPECT_THAT(notes_of(snapshot), HasSubstr("/ports/1/state: expected a number"));
}

TEST(HostileSysfs, NodeDescriptionIsKeptAsItIs) {
  const RecordedTree tree({});
  tree.add_records(records_of("rxe0", "A: node_desc=\x1b[2J\\n\n"));
  EXPECT_EQ(snapshot_of(tree).devices[0].node_description, "\x1b[2J");
}

TEST(HostileSysfs, AttributeOfAMegabyteIsOneNoteAndTheRestIsRead) {
  const RecordedTree tree({"rxe"});
  const std::string device = "sys/devices/virtual/infiniband/foo0/";
  tree.write(device + "node_desc", std::string(1U << 20U, 'x'));
  const Snapshot snapshot = snapshot_of(tree);
  EXPECT_FALSE(snapshot.devices[0].node_description);
  EXPECT_EQ(snapshot.devices[0].ports[0].gids.size(), 2U);
  ASSERT_EQ(snapshot.notes.size(), 1U);
  EXPECT_EQ(snapshot.notes[0].error_number, EFBIG);
}

TEST(HostileSysfs, PortNamesThatAreNoPortsAreNoted) {
  const RecordedTree tree({"rxe"});
  const std::string ports = "sys/devices/virtual/infiniband/foo0/ports/";
  tree.make_directory(ports + "999999999999");
  tree.make_directory(ports + "0");
  tree.make_directory(ports + "one");
  tree.make_directory(ports + "01");
  const Snapshot snapshot = snapshot_of(tree);
  ASSERT_EQ(snapshot.devices[0].ports.size(), 1U) << "01 is the port 1 again";
  EXPECT_THAT(notes_of(snapshot), HasSubstr("\"999999999999\""));
  EXPECT_THAT(notes_of(snapshot), HasSubstr("\"one\""));
}

TEST(HostileSysfs, PortThatLostItsFilesHasEmptyValues) {
  const RecordedTree tree({"rxe"});
  tree.make_directory("sys/devices/virtual/infiniband/foo0/ports/2");
  const Snapshot snapshot = snapshot_of(tree);
  const Port& port = *snapshot.devices[0].find_port(PortNumber{2});
  EXPECT_FALSE(port.state);
  EXPECT_EQ(port.link_layer, LinkLayer::kUnknown);
  EXPECT_THAT(notes_of(snapshot), HasSubstr("/ports/2/state: No such file or directory"));
}

TEST(HostileSysfs, DirectoryInThePlaceOfAnAttributeIsNoted) {
  const RecordedTree tree({"rxe"});
  const std::string state = "sys/devices/virtual/infiniband/foo0/ports/1/state";
  std::filesystem::remove(tree.path(state));
  tree.make_directory(state);
  const Snapshot snapshot = snapshot_of(tree);
  EXPECT_FALSE(snapshot.devices[0].ports[0].state);
  ASSERT_EQ(snapshot.notes.size(), 1U);
  EXPECT_EQ(snapshot.notes[0].error_number, EISDIR);
}

TEST(HostileSysfs, LinkLoopsAndLinksOutOfTheTreeAreNotDevices) {
  const RecordedTree tree({"rxe"});
  const RecordedTree outside({"siw"});
  tree.link("loop", "sys/class/infiniband/loop");
  tree.link(outside.path("sys/class/infiniband/siw0"), "sys/class/infiniband/siw0");
  tree.link("../../../../../../../.." + outside.path("sys/class/infiniband/siw0"),
            "sys/class/infiniband/siw1");
  tree.link(".", "sys/devices/virtual/infiniband/foo0/device");
  EXPECT_THAT(names_of(snapshot_of(tree)), ElementsAre("foo0"));
}

TEST(HostileSysfs, LinkToAFileOfTheHostIsNotReadAsAnAttribute) {
  const RecordedTree tree({"rxe"});
  const std::string description = "sys/devices/virtual/infiniband/foo0/node_desc";
  std::filesystem::remove(tree.path(description));
  tree.link("/etc/hostname", description);
  EXPECT_FALSE(snapshot_of(tree).devices[0].node_description);
}

TEST(HostileSysfs, NetdevNamesThatAreNoneAreLeftOut) {
  const RecordedTree tree({"rxe"});
  const std::string device = "sys/devices/virtual/infiniband/foo0/";
  for (const char* const wrong : {"../../..", "a/b", "", ".", "far-too-long-name", "a b", "a:b"}) {
    tree.write(device + "parent", wrong);
    tree.write(device + "ports/1/gid_attrs/ndevs/0", wrong);
    tree.write(device + "ports/1/gid_attrs/ndevs/1", wrong);
    EXPECT_THAT(snapshot_of(tree).devices[0].ports[0].netdevs, IsEmpty()) << wrong;
  }
}

TEST(HostileSysfs, FilesWhereDirectoriesBelongAreNoCrash) {
  const test::TemporaryDirectory tree;
  tree.write("sys/class/infiniband", "");
  SnapshotOptions options;
  options.root = tree.path("");
  EXPECT_EQ(take_snapshot(options).error().error_number, ENOTDIR);
  const test::TemporaryDirectory other;
  other.write("sys/class/infiniband/mlx5_0", "");
  EXPECT_THAT(snapshot_of(other).devices, IsEmpty());
}

// ---- A running kernel adds to it

NetlinkFacts facts_about(const std::string& name, const std::string& protocol) {
  NetlinkFact fact;
  fact.device.index = 7;
  fact.device.name = name;
  fact.device.protocol = protocol;
  fact.device.name_assign_type = os::NameAssignType::kUser;
  os::NetlinkPort port;
  port.device_index = 7;
  port.port = 1;
  port.netdev_name = "veth0";
  port.netdev_index = 12;
  fact.ports.push_back(port);
  NetlinkFacts facts;
  facts.devices.push_back(fact);
  return facts;
}

TEST(Netlink, AddsIndexNetdevAndWhoGaveTheName) {
  const RecordedTree tree({"siw"});
  SnapshotSeams seams;
  seams.netlink = [] { return facts_about("siw0", "iw"); };
  const Snapshot snapshot = snapshot_with(tree, seams);
  const Device& device = device_in(snapshot, "siw0");
  EXPECT_EQ(device.index, 7U);
  EXPECT_EQ(device.named_by_user, true);
  EXPECT_EQ(device.protocol, Protocol::kIwarp);
  ASSERT_EQ(device.ports[0].netdevs.size(), 1U);
  EXPECT_EQ(device.ports[0].netdevs[0], (Netdev{"veth0", 12}));
}

TEST(Netlink, FillsWhatSysfsLeftEmptyAndOverridesNothing) {
  const RecordedTree tree({"mlx5-ib"});
  const std::string port =
      "sys/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0/ports/1/";
  std::filesystem::remove(tree.path(port + "state"));
  SnapshotSeams seams;
  seams.netlink = [] {
    NetlinkFacts facts = facts_about("mlx5_0", "ib");
    facts.devices[0].device.node_guid = 99;
    facts.devices[0].ports[0].state = 2;
    facts.devices[0].ports[0].lid = 99;
    facts.devices[0].ports[0].capability_flags = 0xffff00000001U;
    return facts;
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  EXPECT_EQ(snapshot.devices[0].ports[0].state, PortState::kInit);
  EXPECT_EQ(snapshot.devices[0].ports[0].lid->value, 0x1aU);
  EXPECT_EQ(snapshot.devices[0].ports[0].capabilities, 0x2651e848U);
  EXPECT_EQ(snapshot.devices[0].node_guid->to_string(), "b859:9f03:0005:0a2c");
}

TEST(Netlink, OtherDevicesAndNumbersOutOfRangeAreOfNoConsequence) {
  const RecordedTree tree({"rxe"});
  SnapshotSeams seams;
  seams.netlink = [] {
    NetlinkFacts facts = facts_about("elsewhere", "iw");
    NetlinkFact fact = facts_about("foo0", "roce").devices[0];
    fact.ports[0].state = 250;
    fact.ports[0].physical_state = 250;
    fact.ports.push_back(fact.ports[0]);
    fact.ports[1].port = 200;
    facts.devices.push_back(fact);
    return facts;
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  EXPECT_THAT(names_of(snapshot), ElementsAre("foo0"));
  EXPECT_EQ(snapshot.devices[0].protocol, Protocol::kRoce);
  EXPECT_EQ(snapshot.devices[0].ports.size(), 1U);
}

TEST(Netlink, ThatDoesNotAnswerIsANoteAndSysfsHasToDo) {
  const RecordedTree tree({"rxe"});
  SnapshotSeams seams;
  seams.netlink = [] {
    NetlinkFacts facts;
    facts.errors.push_back(core::fail("ask", "RDMA netlink", EPERM).value());
    return facts;
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  EXPECT_EQ(snapshot.devices[0].protocol, Protocol::kRoce);
  EXPECT_FALSE(snapshot.devices[0].index);
  EXPECT_THAT(notes_of(snapshot), HasSubstr("ask RDMA netlink"));
}

TEST(Netlink, IsNotAskedWhereThereIsNoDevice) {
  const test::TemporaryDirectory tree;
  tree.make_directory("sys/class/infiniband");
  SnapshotSeams seams;
  seams.netlink = []() -> NetlinkFacts {
    ADD_FAILURE() << "a socket of that family would make the kernel look for a module";
    return {};
  };
  EXPECT_THAT(snapshot_with(tree, seams).devices, IsEmpty());
}

TEST(Verbs, TellMtusAndTheGidTable) {
  const RecordedTree tree({"rxe", "siw"});
  SnapshotSeams seams;
  std::vector<os::VerbsQuestion> asked;
  seams.verbs = [&](const std::vector<os::VerbsQuestion>& questions, bool gids) {
    asked = questions;
    EXPECT_TRUE(gids);
    os::VerbsDevice device;
    device.name = "foo0";
    device.ports.push_back({1, 1024, 4096, 8});
    os::VerbsGid gid;
    gid.port = 1;
    gid.index = 5;
    gid.bytes[15] = 1;
    gid.type = os::VerbsGidType::kRoceV2;
    gid.netdev = "bond0";
    device.gids = {gid};
    os::VerbsFacts facts;
    facts.devices.push_back(device);
    facts.errors.push_back(core::fail("open verbs device", "siw0", EACCES).value());
    return facts;
  };
  const Snapshot snapshot = snapshot_with(tree, seams);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_THAT(asked[0].ports, ElementsAre(1));
  const Port& port = device_in(snapshot, "foo0").ports[0];
  EXPECT_EQ(port.active_mtu, 1024U);
  EXPECT_EQ(port.max_mtu, 4096U);
  ASSERT_EQ(port.gids.size(), 1U) << "in the place of what sysfs says";
  EXPECT_EQ(port.gids[0].index, 5U);
  EXPECT_EQ(port.gids[0].type, GidType::kRoceV2);
  EXPECT_THAT(names_of(port.netdevs), ElementsAre("dummy0", "bond0"));
  EXPECT_EQ(device_in(snapshot, "siw0").ports[0].gids.size(), 1U)
      << "a device that could not be opened still has sysfs";
  EXPECT_THAT(notes_of(snapshot), HasSubstr("open verbs device siw0: Permission denied"));
}

// ---- Size

TEST(Snapshot, TwoHundredDevicesWithEightPortsAreReadInAFifthOfASecond) {
  const RecordedTree tree({});
  std::string attributes;
  for (int port = 1; port <= 8; ++port) {
    const std::string base = "A: ports/" + std::to_string(port) + "/";
    attributes += base + "state=4: ACTIVE\\n\n" + base + "phys_state=5: LinkUp\\n\n" + base +
                  "link_layer=Ethernet\\n\n" + base + "rate=100 Gb/sec (4X EDR)\\n\n" + base +
                  "lid=0x0\\n\n" + base + "lid_mask_count=0\\n\n" + base + "sm_lid=0x0\\n\n" +
                  base + "cap_mask=0x0\\n\n" + base + "pkeys/0=0xffff\\n\n";
    for (int gid = 0; gid < 4; ++gid) {
      const std::string index = std::to_string(gid);
      attributes += base + "gids/" + index + "=fe80::" + index + "\\n\n" + base +
                    "gid_attrs/types/" + index + "=RoCE v2\\n\n" + base + "gid_attrs/ndevs/" +
                    index + "=eth0\\n\n";
    }
  }
  constexpr std::size_t kDevices = 200;
  for (std::size_t i = 0; i < kDevices; ++i) {
    tree.add_records(records_of("mlx5_" + std::to_string(i), attributes));
  }
#if defined(__SANITIZE_ADDRESS__)
  constexpr double kLimitSeconds = 2.0;
#elif !defined(__OPTIMIZE__)
  constexpr double kLimitSeconds = 0.4;
#else
  constexpr double kLimitSeconds = 0.2;
#endif
  // Processor time, which is nearly all there is with files in memory: the clock on the wall would
  // measure what else the machine does. The best of several, because caches are part of that.
  double best = std::numeric_limits<double>::max();
  for (int attempt = 0; attempt < 5; ++attempt) {
    const std::clock_t start = std::clock();
    const Snapshot snapshot = snapshot_of(tree);
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    ASSERT_EQ(snapshot.devices.size(), kDevices);
    ASSERT_EQ(snapshot.devices[7].ports.size(), 8U);
    ASSERT_EQ(snapshot.devices[7].ports[7].gids.size(), 4U);
  }
  RecordProperty("milliseconds", static_cast<int>(best * 1000));
  EXPECT_LT(best, kLimitSeconds);
}

}  // namespace
}  // namespace rdmaboot::device
