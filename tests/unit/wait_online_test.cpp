// SPDX-License-Identifier: BSD-2-Clause
// link: wait-online-policy
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "device/readiness.hpp"
#include "json_schema.hpp"
#include "recorded_tree.hpp"
#include "temporary_directory.hpp"
#include "wait-online/config.hpp"
#include "wait-online/glance.hpp"
#include "wait-online/report.hpp"
#include "wait-online/targets.hpp"

namespace rdmaboot::wait_online {
namespace {

using device::AddressMatch;
using device::CharacterDeviceKind;
using device::Device;
using device::Gid;
using device::HostFacts;
using device::Lid;
using device::LinkLayer;
using device::PhysicalState;
using device::PKey;
using device::Port;
using device::PortNumber;
using device::PortState;
using device::Protocol;
using device::Readiness;
using device::Snapshot;
using device::Verdict;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Level = device::Level;

Port port_of(Protocol protocol, std::uint32_t number = 1) {
  Port port;
  port.number = PortNumber{number};
  port.protocol = protocol;
  port.link_layer =
      protocol == Protocol::kInfiniBand ? LinkLayer::kInfiniBand : LinkLayer::kEthernet;
  port.state = PortState::kActive;
  port.physical_state = PhysicalState::kLinkUp;
  if (protocol == Protocol::kInfiniBand) {
    port.lid = Lid{7};
    port.pkeys.push_back({0, PKey{0xffff}});
  } else {
    port.netdevs.push_back({"eth0", 2});
    port.gids.push_back({0, *Gid::parse("fe80::1"), {}, "eth0"});
    port.gids.push_back({1, *Gid::parse("::ffff:192.0.2.7"), {}, "eth0"});
  }
  return port;
}

Device device_of(const std::string& name, Protocol protocol, std::uint32_t ports = 1) {
  Device device;
  device.name = name;
  device.protocol = protocol;
  device.character_devices.push_back(
      {CharacterDeviceKind::kUverbs, "uverbs0", "/dev/infiniband/uverbs0", {}, 231, 192});
  for (std::uint32_t number = 1; number <= ports; ++number) {
    device.ports.push_back(port_of(protocol, number));
  }
  return device;
}

HostFacts all_nodes_open() {
  HostFacts facts;
  facts.nodes = {{"/dev/infiniband/uverbs0", 0},
                 {"/dev/infiniband/umad0", 0},
                 {HostFacts::kConnectionManagerNode, 0}};
  return facts;
}

Verdict judged(const Device& device, Level level, const HostFacts& facts = all_nodes_open(),
               std::optional<AddressMatch> address = {}) {
  return judge(device, &device.ports.at(0), facts, {level, std::move(address)});
}

std::string missing(const Device& device, Level level, const HostFacts& facts = all_nodes_open(),
                    std::optional<AddressMatch> address = {}) {
  const Verdict verdict = judged(device, level, facts, std::move(address));
  EXPECT_EQ(verdict.missing.empty(), verdict.readiness == Readiness::kReady);
  return verdict.missing;
}

TEST(Readiness, APortThatIsAllThereIsReadyAtEveryLevel) {
  for (const Protocol protocol : {Protocol::kInfiniBand, Protocol::kRoce}) {
    for (const Level level : {Level::kDevice, Level::kChardev, Level::kPort, Level::kAddress}) {
      EXPECT_EQ(missing(device_of("d", protocol), level), "") << name_of(level);
    }
  }
}

TEST(Readiness, EachLevelContainsTheOneBefore) {
  // What a level lacks, every higher one lacks as well, and says the same.
  Device device = device_of("d", Protocol::kRoce);
  device.ports[0].gids.clear();
  EXPECT_EQ(missing(device, Level::kPort), "");
  EXPECT_THAT(missing(device, Level::kAddress), HasSubstr("no GID"));
  device.ports[0].state = PortState::kDown;
  EXPECT_EQ(missing(device, Level::kChardev), "");
  EXPECT_EQ(missing(device, Level::kAddress), missing(device, Level::kPort));
  const HostFacts no_nodes;
  EXPECT_EQ(missing(device, Level::kDevice, no_nodes), "");
  EXPECT_EQ(missing(device, Level::kAddress, no_nodes), "/dev/infiniband/uverbs0 is not there");
}

TEST(Readiness, EveryNodeThatAProgramNeedsHasToOpen) {
  Device device = device_of("d", Protocol::kInfiniBand);
  device.character_devices.push_back(
      {CharacterDeviceKind::kUmad, "umad0", "/dev/infiniband/umad0", PortNumber{1}, 231, 0});
  device.character_devices.push_back(
      {CharacterDeviceKind::kUmad, "umad1", "/dev/infiniband/umad1", PortNumber{2}, 231, 1});
  device.character_devices.push_back(
      {CharacterDeviceKind::kIssm, "issm0", "/dev/infiniband/issm0", PortNumber{1}, 231, 64});
  EXPECT_EQ(missing(device, Level::kChardev), "")
      << "umad1 is another port's, issm0 is not to be opened";
  for (const char* const node :
       {"/dev/infiniband/uverbs0", "/dev/infiniband/umad0", HostFacts::kConnectionManagerNode}) {
    HostFacts facts = all_nodes_open();
    facts.nodes.erase(node);
    EXPECT_EQ(missing(device, Level::kChardev, facts), std::string(node) + " is not there");
    facts.nodes[node] = EIO;
    EXPECT_THAT(missing(device, Level::kChardev, facts), HasSubstr("Input/output error"));
    facts.nodes[node] = EPERM;
    EXPECT_EQ(missing(device, Level::kChardev, facts), "") << "a device policy around us";
  }
  HostFacts facts = all_nodes_open();
  facts.nodes["/dev/infiniband/umad0"] = EACCES;
  EXPECT_EQ(missing(device, Level::kChardev, facts), "") << "umad is for root alone";
  facts.nodes["/dev/infiniband/uverbs0"] = EACCES;
  EXPECT_THAT(missing(device, Level::kChardev, facts), HasSubstr("Permission denied"));
  device.character_devices.clear();
  EXPECT_THAT(missing(device, Level::kChardev), HasSubstr("no uverbs node"));
}

TEST(Readiness, APortSaysWhomItWaitsFor) {
  Device device = device_of("d", Protocol::kInfiniBand);
  Port& port = device.ports[0];
  port.state = PortState::kInit;
  EXPECT_EQ(missing(device, Level::kPort), "port INIT, waiting for a subnet manager");
  port.state = PortState::kArmed;
  EXPECT_THAT(missing(device, Level::kPort), HasSubstr("port ARMED, the subnet manager"));
  port.state = PortState::kDown;
  port.physical_state = PhysicalState::kPolling;
  EXPECT_EQ(missing(device, Level::kPort), "port DOWN, physical state Polling");
  port.state.reset();
  EXPECT_EQ(missing(device, Level::kPort), "port in no known state");
  port.state = PortState::kActive;
  EXPECT_THAT(missing(device, Level::kPort), HasSubstr("physical state is Polling"));
  port.physical_state.reset();
  EXPECT_EQ(missing(device, Level::kPort), "") << "nobody can tell, which is no fault";
}

TEST(Readiness, DisabledIsBrokenOnInfiniBandAndNotYetOnEthernet) {
  Device device = device_of("d", Protocol::kInfiniBand);
  device.ports[0].state = PortState::kDown;
  device.ports[0].physical_state = PhysicalState::kDisabled;
  EXPECT_EQ(judged(device, Level::kPort).readiness, Readiness::kBroken);
  EXPECT_EQ(judged(device, Level::kPort, {}).readiness, Readiness::kBroken)
      << "whatever else is missing";
  EXPECT_EQ(judged(device, Level::kChardev).readiness, Readiness::kReady);

  device = device_of("d", Protocol::kRoce);
  device.ports[0].state = PortState::kDown;
  device.ports[0].physical_state = PhysicalState::kDisabled;
  EXPECT_EQ(judged(device, Level::kPort).readiness, Readiness::kNotYet);
  EXPECT_EQ(missing(device, Level::kPort), "port DOWN, netdev eth0 is down or has no carrier");
  device.ports[0].netdevs.clear();
  EXPECT_EQ(missing(device, Level::kPort), "port DOWN, it has no netdev here");
}

TEST(Readiness, AFatalErrorIsBrokenAtEveryLevel) {
  HostFacts facts = all_nodes_open();
  facts.fatal_devices.insert("d");
  for (const Level level : {Level::kDevice, Level::kAddress}) {
    EXPECT_EQ(judged(device_of("d", Protocol::kRoce), level, facts).readiness, Readiness::kBroken);
    EXPECT_EQ(judged(device_of("e", Protocol::kRoce), level, facts).readiness, Readiness::kReady);
  }
}

TEST(Readiness, InfiniBandHasAnAddressWhenItHasALidAndAPKey) {
  Device device = device_of("d", Protocol::kInfiniBand);
  device.ports[0].pkeys.clear();
  EXPECT_EQ(missing(device, Level::kAddress), "no P_Key");
  device.ports[0].lid = Lid{0};
  EXPECT_THAT(missing(device, Level::kAddress), HasSubstr("no LID"));
  device.ports[0].lid.reset();
  EXPECT_THAT(missing(device, Level::kAddress), HasSubstr("no LID"));
}

TEST(Readiness, AnIpAddressOfInfiniBandIsThatOfItsNetdev) {
  Device device = device_of("d", Protocol::kInfiniBand);
  const auto wanted = AddressMatch::parse("192.0.2.0/24").value();
  EXPECT_EQ(missing(device, Level::kAddress, all_nodes_open(), wanted),
            "no address 192.0.2.0/24, the port has no netdev");
  device.ports[0].netdevs.push_back({"ib0", 3});
  HostFacts facts = all_nodes_open();
  facts.netdev_addresses["ib0"] = {*Gid::parse("::ffff:192.0.2.9")};
  EXPECT_EQ(missing(device, Level::kAddress, facts, wanted), "");
}

TEST(Readiness, RoceNeedsAGidThatIsNotLinkLocal) {
  Device device = device_of("d", Protocol::kRoce);
  auto& gids = device.ports[0].gids;
  gids[1].gid = *Gid::parse("::ffff:169.254.3.4");
  EXPECT_EQ(missing(device, Level::kAddress), "no GID but link-local ones on netdev eth0");
  gids[1].gid = *Gid::parse("2001:db8::1");
  EXPECT_EQ(missing(device, Level::kAddress), "");
}

TEST(Readiness, AWantedAddressHasToBeInTheGidTableItself) {
  const Device device = device_of("d", Protocol::kRoce);
  HostFacts facts = all_nodes_open();
  facts.netdev_addresses["eth0"] = {*Gid::parse("::ffff:198.51.100.1")};
  EXPECT_EQ(missing(device, Level::kAddress, facts, AddressMatch::parse("192.0.2.7").value()), "");
  EXPECT_EQ(missing(device, Level::kAddress, facts, AddressMatch::parse("192.0.2.0/24").value()),
            "");
  EXPECT_EQ(missing(device, Level::kAddress, facts, AddressMatch::parse("198.51.100.1").value()),
            "no GID for 198.51.100.1 on netdev eth0");
}

TEST(Readiness, IwarpHasAnAddressWhenItsNetdevHasOne) {
  Device device = device_of("d", Protocol::kIwarp);
  EXPECT_EQ(missing(device, Level::kAddress), "no address but link-local ones on netdev eth0")
      << "its GID is made from the MAC";
  HostFacts facts = all_nodes_open();
  facts.netdev_addresses["eth0"] = {*Gid::parse("fe80::2"), *Gid::parse("::ffff:192.0.2.7")};
  EXPECT_EQ(missing(device, Level::kAddress, facts), "");
  EXPECT_EQ(missing(device, Level::kAddress, facts, AddressMatch::parse("192.0.2.8").value()),
            "no address 192.0.2.8 on netdev eth0");
}

TEST(Readiness, ADeviceWithoutPortsIsReadyAsADeviceOnly) {
  Device device = device_of("d", Protocol::kRoce, 0);
  EXPECT_EQ(judge(device, nullptr, all_nodes_open(), {Level::kChardev, {}}).readiness,
            Readiness::kReady);
  EXPECT_EQ(judge(device, nullptr, all_nodes_open(), {Level::kAddress, {}}).missing,
            "the device has shown no port");
}

TEST(AddressMatch, PrefixesEndWhereTheySay) {
  const auto matches = [](const char* pattern, const char* gid) {
    return AddressMatch::parse(pattern).value().matches(*Gid::parse(gid));
  };
  EXPECT_TRUE(matches("192.0.2.128/25", "::ffff:192.0.2.200"));
  EXPECT_FALSE(matches("192.0.2.128/25", "::ffff:192.0.2.100"));
  EXPECT_TRUE(matches("0.0.0.0/0", "::ffff:203.0.113.1"));
  EXPECT_FALSE(matches("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(matches("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(matches("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(matches("2001:db8::1", "2001:db8::1"));
  EXPECT_FALSE(matches("2001:db8::1/128", "2001:db8::2"));
}

TEST(AddressMatch, WhatIsNoAddressIsRefused) {
  for (const char* const text :
       {"", "/", "192.0.2", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/", "2001:db8::1/129", "host",
        "fe80::1", "fe80::/10", "192.0.2.1/24/24"}) {
    EXPECT_FALSE(AddressMatch::parse(text)) << text;
  }
}

Target target(std::string_view text) {
  return parse_target(text).value();
}

TEST(Targets, EachFormIsUnderstood) {
  EXPECT_EQ(target("all").kind, Target::Kind::kAll);
  EXPECT_EQ(target("any").kind, Target::Kind::kAny);
  EXPECT_EQ(target("mlx5_0").name, "mlx5_0");
  EXPECT_FALSE(target("mlx5_0").port);
  EXPECT_EQ(target("mlx5_0:2").port, PortNumber{2});
  EXPECT_EQ(target("netdev=eth0").kind, Target::Kind::kNetdev);
  EXPECT_EQ(target("netdev\\x3dib\\x2d0").name, "ib-0") << "as systemd-escape writes it";
  EXPECT_EQ(target("pci=03:00.0").name, "0000:03:00.0");
  EXPECT_EQ(target("pci=0000:AF:00.1").name, "0000:af:00.1");
}

TEST(Targets, AnythingElseIsRefusedWithWhatWasExpected) {
  for (const char* const text : {"", ":1", "mlx5_0:", "mlx5_0:0", "mlx5_0:x", "a/b", "a b", "..",
                                 "netdev=", "netdev=a/b", "pci=", "pci=3", "foo=bar"}) {
    const auto parsed = parse_target(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message(), HasSubstr("expected")) << text;
  }
  EXPECT_FALSE(parse_target(std::string(600, 'a')));
}

Wanted wanted(std::initializer_list<const char*> targets, Level level = Level::kPort) {
  Wanted all;
  for (const char* const text : targets) {
    all.targets.push_back(target(text));
  }
  all.demand.level = level;
  return all;
}

Snapshot snapshot_of(std::vector<Device> devices) {
  Snapshot snapshot;
  snapshot.devices = std::move(devices);
  return snapshot;
}

Readiness outcome(const Wanted& all, const Snapshot& snapshot) {
  return evaluate(all, snapshot, all_nodes_open()).readiness;
}

TEST(Evaluate, AListedRailThatIsMissingIsWaitedForAndNamed) {
  const Snapshot snapshot = snapshot_of({device_of("mlx5_0", Protocol::kInfiniBand)});
  const Evaluation evaluation =
      evaluate(wanted({"mlx5_0:1", "mlx5_1:1", "mlx5_0:2"}), snapshot, all_nodes_open());
  EXPECT_EQ(evaluation.readiness, Readiness::kNotYet);
  ASSERT_THAT(evaluation.lines, SizeIs(3));
  EXPECT_EQ(describe(evaluation.lines[0]), "mlx5_0:1: ready");
  EXPECT_EQ(describe(evaluation.lines[1]), "mlx5_1:1: not yet: no such device");
  EXPECT_EQ(describe(evaluation.lines[2]), "mlx5_0:2: not yet: the device has no such port");
}

TEST(Evaluate, AllNeedsEveryPortAndAtLeastOne) {
  Snapshot snapshot;
  EXPECT_EQ(outcome(wanted({"all"}), snapshot), Readiness::kNotYet);
  snapshot.devices.push_back(device_of("a", Protocol::kRoce, 2));
  EXPECT_EQ(outcome(wanted({"all"}), snapshot), Readiness::kReady);
  snapshot.devices[0].ports[1].state = PortState::kDown;
  EXPECT_EQ(outcome(wanted({"all"}), snapshot), Readiness::kNotYet);
  EXPECT_EQ(outcome(wanted({"a"}), snapshot), Readiness::kNotYet) << "a device is all of its ports";
  EXPECT_EQ(outcome(wanted({"a:1"}), snapshot), Readiness::kReady);
  EXPECT_EQ(outcome(wanted({"any"}), snapshot), Readiness::kReady);
}

TEST(Evaluate, OneBrokenPortBreaksAllButNotAny) {
  Snapshot snapshot = snapshot_of({device_of("a", Protocol::kInfiniBand, 2)});
  Port& port = snapshot.devices[0].ports[1];
  port.state = PortState::kDown;
  port.physical_state = PhysicalState::kDisabled;
  EXPECT_EQ(outcome(wanted({"all"}), snapshot), Readiness::kBroken);
  EXPECT_EQ(outcome(wanted({"any"}), snapshot), Readiness::kReady);
  EXPECT_EQ(outcome(wanted({"any", "a:2"}), snapshot), Readiness::kBroken);
  snapshot.devices[0].ports[0].state = PortState::kInit;
  EXPECT_EQ(outcome(wanted({"any"}), snapshot), Readiness::kNotYet) << "the other may still come";
  EXPECT_EQ(outcome(wanted({"a:2", "b:1"}), snapshot), Readiness::kBroken);
}

TEST(Evaluate, OneOfTheTargetsIsEnoughIfAskedFor) {
  Wanted one = wanted({"gone", "a:2"});
  one.one_is_enough = true;
  Snapshot snapshot = snapshot_of({device_of("a", Protocol::kRoce, 2)});
  EXPECT_EQ(outcome(one, snapshot), Readiness::kReady);
  snapshot.devices[0].ports[1].state = PortState::kDown;
  EXPECT_EQ(outcome(one, snapshot), Readiness::kNotYet);
}

TEST(Evaluate, PortsAreFoundByNetdevAndByPciAddress) {
  Snapshot snapshot =
      snapshot_of({device_of("a", Protocol::kRoce), device_of("b", Protocol::kRoce)});
  snapshot.devices[1].pci_address = "0000:AF:00.0";
  snapshot.devices[1].ports[0].netdevs = {{"eth7", 7}, {"eth7.100", 8}};
  const auto subjects = [&](const char* text) {
    std::vector<std::string> found;
    for (const Line& line : evaluate(wanted({text}), snapshot, all_nodes_open()).lines) {
      found.push_back(describe(line));
    }
    return found;
  };
  EXPECT_THAT(subjects("netdev=eth7.100"), ElementsAre("b:1: ready"));
  EXPECT_THAT(subjects("pci=af:00.0"), ElementsAre("b:1: ready"));
  EXPECT_THAT(subjects("netdev=eth9"),
              ElementsAre("netdev=eth9: not yet: no RDMA port belongs to this netdev"));
  EXPECT_THAT(subjects("pci=b0:00.0"),
              ElementsAre("pci=b0:00.0: not yet: no RDMA device at this PCI address"));
}

TEST(Evaluate, RecordedHardwareIsJudgedAsItStands) {
  const auto status_of = [](std::string_view recording, const char* text, Level level) {
    const test::RecordedTree tree({recording});
    device::SnapshotOptions options;
    options.root = tree.path("");
    return outcome(wanted({text}, level), device::take_snapshot(options).value());
  };
  EXPECT_EQ(status_of("mlx5-ib", "all", Level::kDevice), Readiness::kReady);
  EXPECT_EQ(status_of("mlx5-ib", "mlx5_0:1", Level::kAddress), Readiness::kReady);
  EXPECT_EQ(status_of("mlx5-ib", "pci=0000:03:00.0", Level::kPort), Readiness::kReady);
}

TEST(Glance, ANodeThatComesGoesOrIsAnotherOneIsSeen) {
  const test::TemporaryDirectory directory;
  EXPECT_EQ(nodes_in(directory.path("nowhere")), "");
  directory.write("uverbs0", "");
  const std::string one = nodes_in(directory.path(""));
  EXPECT_EQ(nodes_in(directory.path("")), one);
  directory.write("rdma_cm", "");
  const std::string two = nodes_in(directory.path(""));
  EXPECT_NE(two, one);
  std::filesystem::permissions(directory.path("rdma_cm"), std::filesystem::perms::none);
  EXPECT_NE(nodes_in(directory.path("")), two) << "its mode has changed";
  std::filesystem::remove(directory.path("rdma_cm"));
  EXPECT_EQ(nodes_in(directory.path("")), one);
}

TEST(Report, TheSummaryNamesTheFirstFew) {
  Evaluation evaluation;
  for (int i = 0; i < 5; ++i) {
    evaluation.lines.push_back(
        {"all", "d" + std::to_string(i), PortNumber{1}, {Readiness::kNotYet, "port DOWN"}});
  }
  evaluation.lines[0].verdict = {Readiness::kReady, {}};
  EXPECT_EQ(summary(evaluation),
            "d1:1: not yet: port DOWN; d2:1: not yet: port DOWN; d3:1: not yet: port DOWN; "
            "and 1 more");
}

TEST(Report, JsonHasALineForEachPort) {
  const Snapshot snapshot = snapshot_of({device_of("a", Protocol::kRoce)});
  const auto answer =
      nlohmann::json::parse(to_json(evaluate(wanted({"a", "b:2"}), snapshot, all_nodes_open()),
                                    Level::kPort, std::chrono::milliseconds(12)));
  EXPECT_THAT(test::JsonSchema::of_documentation("wait").problems(answer), IsEmpty());
  EXPECT_EQ(answer.at("status"), "not yet");
  EXPECT_EQ(answer.at("level"), "port");
  EXPECT_EQ(answer.at("waited_ms"), 12);
  const auto& ports = answer.at("ports");
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].at("device"), "a");
  EXPECT_EQ(ports[0].at("port"), 1);
  EXPECT_TRUE(ports[0].at("missing").is_null());
  EXPECT_TRUE(ports[1].at("device").is_null());
  EXPECT_EQ(ports[1].at("target"), "b:2");
  EXPECT_EQ(ports[1].at("missing"), "no such device");
}

TEST(Report, ExitStatusTellsNotYetFromBroken) {
  EXPECT_EQ(exit_status(Readiness::kReady), 0);
  EXPECT_EQ(exit_status(Readiness::kNotYet), 1);
  EXPECT_EQ(exit_status(Readiness::kBroken), 2);
}

std::vector<std::string> messages(const std::vector<core::Error>& errors) {
  std::vector<std::string> texts;
  for (const core::Error& error : errors) {
    texts.push_back(error.message());
  }
  return texts;
}

TEST(Config, EveryKeyIsTaken) {
  Settings settings;
  std::vector<core::Error> errors;
  parse_config(
      "[Wait]\nTargets=mlx5_0:1 mlx5_1:1\nTargets=netdev=eth0\nRequire=any\nLevel=path\n"
      "Address=192.0.2.0/24\nPeers=10.0.0.1@o2ib node7\nTimeout=0\n",
      "f", settings, errors);
  EXPECT_THAT(messages(errors), IsEmpty());
  EXPECT_THAT(settings.targets, SizeIs(3));
  EXPECT_EQ(settings.one_is_enough, true);
  EXPECT_EQ(settings.level, Level::kPath);
  EXPECT_THAT(settings.peers, ElementsAre("10.0.0.1@o2ib", "node7"));
  EXPECT_EQ(settings.address->text, "192.0.2.0/24");
  EXPECT_EQ(settings.timeout, std::chrono::seconds(0));
}

TEST(Config, WrongLinesAreNamedAndGoodOnesStillApply) {
  Settings settings;
  std::vector<core::Error> errors;
  parse_config(
      "Targets=a\n[Wait]\nTargets=mlx5_0:0 mlx5_1\nAims=b\nLevel=way\nTimeout=1h\n"
      "Require=some\nAddress=fe80::1\nnonsense\n[Other]\nTimeout=3\n"
      "[Wait]\nPeers=-rf 10.0.0.1@o2ib/x\n",
      "/etc/f", settings, errors);
  EXPECT_THAT(
      messages(errors),
      ::testing::UnorderedElementsAre(
          HasSubstr("/etc/f:1: use section"), HasSubstr("/etc/f:3: read target \"mlx5_0:0\""),
          HasSubstr("/etc/f:4: use key \"Aims\""), HasSubstr("/etc/f:5: read level \"way\""),
          HasSubstr("/etc/f:6: read time-out"), HasSubstr("/etc/f:7: read \"some\""),
          HasSubstr("/etc/f:8: read address"), HasSubstr("line 9 of /etc/f"),
          HasSubstr("/etc/f:11: use section [Other]"), HasSubstr("/etc/f:13: read peer \"-rf\""),
          HasSubstr("/etc/f:13: read peer \"10.0.0.1@o2ib/x\"")))
      << "each names file and line";
  EXPECT_THAT(errors,
              ::testing::Each(::testing::Property(&core::Error::message, HasSubstr("expected"))));
  ASSERT_THAT(settings.targets, SizeIs(1));
  EXPECT_EQ(settings.targets[0].name, "mlx5_1");
}

TEST(Config, DropInsAddToTheListAndAnEmptyOneClearsIt) {
  const test::TemporaryDirectory tree;
  tree.write("etc/rdma/wait-online.conf", "[Wait]\nTargets=a\nTimeout=5\n");
  tree.write("usr/lib/rdma/wait-online.conf.d/10-more.conf", "[Wait]\nTargets=b\n");
  std::vector<core::Error> errors;
  EXPECT_THAT(read_config(tree.path(""), errors).targets, SizeIs(2));
  tree.write("etc/rdma/wait-online.conf.d/20-other.conf", "[Wait]\nTargets=\nTargets=c\n");
  const Settings settings = read_config(tree.path(""), errors);
  EXPECT_THAT(messages(errors), IsEmpty());
  ASSERT_THAT(settings.targets, SizeIs(1));
  EXPECT_EQ(settings.targets[0].name, "c");
  EXPECT_EQ(settings.timeout, std::chrono::seconds(5));
}

TEST(Config, AFileThatIsTooLargeOrNoFileIsAnErrorAndTheRestApplies) {
  const test::TemporaryDirectory tree;
  tree.write("etc/rdma/wait-online.conf", std::string(10U << 20U, '#'));
  tree.make_directory("etc/rdma/wait-online.conf.d/10-directory.conf");
  tree.write("etc/rdma/wait-online.conf.d/20-good.conf", "[Wait]\nTargets=b\n");
  tree.link("30-loop.conf", "etc/rdma/wait-online.conf.d/30-loop.conf");
  std::vector<core::Error> errors;
  const Settings settings = read_config(tree.path(""), errors);
  EXPECT_THAT(settings.targets, SizeIs(1));
  EXPECT_THAT(messages(errors),
              ElementsAre(HasSubstr("wait-online.conf"), HasSubstr("10-directory.conf"),
                          HasSubstr("30-loop.conf")));
}

TEST(Config, TheCommandLineWins) {
  Settings line;
  Settings file;
  Wanted none = settle(line, file).value();
  EXPECT_EQ(none.targets.at(0).kind, Target::Kind::kAll);
  EXPECT_EQ(none.demand.level, Level::kPort);
  file.targets = {target("a"), target("b")};
  file.one_is_enough = true;
  file.level = Level::kDevice;
  EXPECT_TRUE(settle(line, file)->one_is_enough);
  line.targets = {target("c")};
  EXPECT_EQ(settle(line, file)->targets.at(0).name, "c");
  EXPECT_FALSE(settle(line, file)->one_is_enough) << "that was said of the list in the file";
  EXPECT_EQ(settle(line, file)->demand.level, Level::kDevice);
  line.address = AddressMatch::parse("192.0.2.1").value();
  EXPECT_EQ(settle(line, file)->demand.level, Level::kAddress);
  file.level.reset();
  file.address = line.address;
  line.address.reset();
  EXPECT_EQ(settle(line, file)->demand.level, Level::kAddress);
}

TEST(Config, APeerAsksForLevelPathAndLevelPathForAPeer) {
  Settings line;
  Settings file;
  file.address = AddressMatch::parse("192.0.2.1").value();
  file.peers = {"10.0.0.1@o2ib"};
  EXPECT_EQ(settle(line, file)->demand.level, Level::kPath);
  EXPECT_THAT(settle(line, file)->peers, ElementsAre("10.0.0.1@o2ib"));
  line.level = Level::kPort;
  EXPECT_EQ(settle(line, file)->demand.level, Level::kPort) << "the command line wants less";
  line.level.reset();
  line.peers = {"node7"};
  EXPECT_THAT(settle(line, file)->peers, ElementsAre("node7")) << "not both";
  line.peers.clear();
  line.level = Level::kPath;
  file.peers.clear();
  const auto nobody = settle(line, file);
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().message(), HasSubstr("Peers= in wait-online.conf"));
}

TEST(Config, PeersAreBoundedAndAnEmptyValueClearsThem) {
  Settings settings;
  std::vector<core::Error> errors;
  std::string many = "[Wait]\nPeers=a b\nPeers=\nPeers=";
  for (std::size_t i = 0; i <= kMostPeers; ++i) {
    many += "p" + std::to_string(i) + " ";
  }
  parse_config(many, "f", settings, errors);
  EXPECT_THAT(settings.peers, SizeIs(kMostPeers));
  EXPECT_EQ(settings.peers.front(), "p0");
  EXPECT_THAT(messages(errors), ElementsAre(HasSubstr("f:4: add peer")));
}

TEST(Evaluate, APortIsAskedFromOnceItHasEveryLowerLevel) {
  Snapshot snapshot = snapshot_of({device_of("a", Protocol::kRoce, 2)});
  snapshot.devices[0].ports[1].state = PortState::kDown;
  const Wanted all = wanted({"a"}, Level::kPath);
  Paths paths;
  const Evaluation first = evaluate(all, snapshot, all_nodes_open(), paths);
  ASSERT_THAT(first.lines, SizeIs(2));
  EXPECT_TRUE(first.lines[0].wants_path);
  EXPECT_EQ(describe(first.lines[0]), "a:1: not yet: no peer was asked yet");
  EXPECT_FALSE(first.lines[1].wants_path);
  EXPECT_THAT(describe(first.lines[1]), HasSubstr("port DOWN"));
  snapshot.devices[0].ports[1].state = PortState::kActive;
  paths["a:1"].proven = true;
  EXPECT_EQ(evaluate(all, snapshot, all_nodes_open(), paths).readiness, Readiness::kNotYet);
  paths["a:2"].proven = true;
  EXPECT_EQ(evaluate(all, snapshot, all_nodes_open(), paths).readiness, Readiness::kReady);
  EXPECT_EQ(evaluate(wanted({"a"}, Level::kAddress), snapshot, all_nodes_open()).readiness,
            Readiness::kReady);
}

}  // namespace
}  // namespace rdmaboot::wait_online
