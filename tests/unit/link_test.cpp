// SPDX-License-Identifier: BSD-2-Clause
// link: link-policy
#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file.hpp"
#include "device/declared_link.hpp"
#include "json_schema.hpp"
#include "link/options.hpp"
#include "link/plan.hpp"
#include "link/show.hpp"
#include "link/state.hpp"
#include "os/network_interfaces.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::link {
namespace {

using device::DeclaredLink;
using device::SoftLinkType;
using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kGood = "[Link]\nName=rxe0\nType=rxe\nNetDev=eth0\n";

// ---- declarations ----

std::vector<std::string> messages(const std::vector<core::Error>& errors) {
  std::vector<std::string> out;
  for (const core::Error& error : errors) {
    out.push_back(error.message());
  }
  return out;
}

TEST(Declaration, EveryKeyIsTaken) {
  const auto file = device::parse_link_file(
      "# a comment\n[Link]\nName=rxe_storage.1\nType=siw\nNetDev=eth* bond0\n"
      "MACAddress=52-54-00-AB-cd-01 52:54:00:00:00:02\nPath=pci-0000:03:*\nWaitAtBoot=no\n",
      "a.conf");
  EXPECT_THAT(file.errors, IsEmpty());
  ASSERT_TRUE(file.link);
  EXPECT_EQ(file.link->name, "rxe_storage.1");
  EXPECT_EQ(file.link->type, SoftLinkType::kSiw);
  EXPECT_THAT(file.link->match.names, ElementsAre("eth*", "bond0"));
  EXPECT_THAT(file.link->match.addresses, ElementsAre("52:54:00:ab:cd:01", "52:54:00:00:00:02"));
  EXPECT_THAT(file.link->match.paths, ElementsAre("pci-0000:03:*"));
  EXPECT_FALSE(file.link->wait_at_boot);
  EXPECT_EQ(file.link->file, "a.conf");
}

TEST(Declaration, AnUnknownKeyIsNamedWithItsLineAndTheRestApplies) {
  const auto file = device::parse_link_file(std::string(kGood) + "Mtu=9000\n", "a.conf");
  EXPECT_THAT(messages(file.errors),
              ElementsAre(AllOf(HasSubstr("line 5 of a.conf"), HasSubstr("WaitAtBoot="))));
  EXPECT_TRUE(file.link);
}

TEST(Declaration, AWrongValueOfWhatTheLinkIsGivesNoLink) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"[Link]\nName=rxe%d\nType=rxe\nNetDev=eth0\n", "line 2"},
      {"[Link]\nName=../x\nType=rxe\nNetDev=eth0\n", "line 2"},
      {"[Link]\nName=.lock\nType=rxe\nNetDev=eth0\n", "line 2"},
      {"[Link]\nName=" + std::string(64, 'x') + "\nType=rxe\nNetDev=eth0\n", "line 2"},
      {"[Link]\nName=rxe0\nType=RoCE\nNetDev=eth0\n", "line 3"},
      {"[Link]\nName=rxe0\nType=rxe\nNetDev=\n", "line 4"},
      {"[Link]\nName=rxe0\nType=rxe\nNetDev=/dev/eth0\n", "line 4"},
      {"[Link]\nName=rxe0\nType=rxe\nMACAddress=52:54:00:00:00\n", "line 4"},
      {"[Link]\nName=rxe0\nType=rxe\nMACAddress=52:54:00:00:00:0g\n", "line 4"},
      {"[Link]\nName=rxe0\nType=rxe\nPath=\n", "line 4"},
      {"[Link]\nName=rxe0\nType=rxe\n", "NetDev=, MACAddress= or Path="},
      {"[Link]\nName=rxe0\nNetDev=eth0\n", "Type=rxe or Type=siw"},
      {"[Link]\nType=rxe\nNetDev=eth0\n", "expected Name="},
      {"Name=rxe0\nType=rxe\nNetDev=eth0\n", "[Link] before"},
      {"[Network]\nName=rxe0\nType=rxe\nNetDev=eth0\n", "no other section"},
      {std::string("[Link]\nName=rx\0e0\nType=rxe\nNetDev=eth0\n", 39), "line 2"},
  };
  for (const auto& [text, where] : wrong) {
    const auto file = device::parse_link_file(text, "a.conf");
    EXPECT_FALSE(file.link) << text;
    ASSERT_THAT(file.errors, Not(IsEmpty())) << text;
    EXPECT_THAT(file.errors.front().message(), AllOf(HasSubstr("a.conf"), HasSubstr(where)))
        << text;
  }
}

TEST(Declaration, AWrongWaitAtBootLeavesTheLinkAsItIs) {
  const auto file = device::parse_link_file(std::string(kGood) + "WaitAtBoot=maybe\n", "a.conf");
  EXPECT_THAT(messages(file.errors), ElementsAre(HasSubstr("line 5")));
  ASSERT_TRUE(file.link);
  EXPECT_TRUE(file.link->wait_at_boot);
}

TEST(Declaration, ASecondLinkInAFileIsAnErrorAndTheFirstApplies) {
  const auto file = device::parse_link_file(
      std::string(kGood) + "[Link]\nName=rxe1\nType=siw\nNetDev=eth1\n", "a.conf");
  EXPECT_THAT(messages(file.errors),
              ElementsAre(HasSubstr("line 6"), HasSubstr("line 7"), HasSubstr("line 8")));
  ASSERT_TRUE(file.link);
  EXPECT_EQ(file.link->name, "rxe0");
  EXPECT_EQ(file.link->type, SoftLinkType::kRxe);
}

TEST(Declaration, ATextWithoutEntriesDeclaresNothing) {
  for (const char* const text : {"", "\n\n", "# nothing yet\n", "[Link]\n"}) {
    const auto file = device::parse_link_file(text, "a.conf");
    EXPECT_FALSE(file.link) << text;
    EXPECT_THAT(file.errors, IsEmpty()) << text;
  }
}

TEST(Declaration, ErrorsOfOneFileAreBounded) {
  std::string text = kGood;
  for (int i = 0; i < 10'000; ++i) {
    text += "Nonsense=1\n";
  }
  const auto file = device::parse_link_file(text, "a.conf");
  EXPECT_THAT(file.errors, SizeIs(device::kMostLinkErrors + 1));
  EXPECT_THAT(file.errors.back().message(), HasSubstr("9984 more errors"));
  EXPECT_TRUE(file.link);
}

TEST(Declarations, LayersMasksAndGoodFilesBesideBadOnesApply) {
  const TemporaryDirectory tree;
  tree.write("usr/lib/rdma/links.d/10-a.conf", "[Link]\nName=vendor\nType=rxe\nNetDev=eth0\n");
  tree.write("etc/rdma/links.d/10-a.conf", kGood);
  tree.write("usr/lib/rdma/links.d/20-b.conf", "[Link]\nName=masked\nType=rxe\nNetDev=eth1\n");
  tree.link("/dev/null", "etc/rdma/links.d/20-b.conf");
  tree.write("run/rdma/links.d/30-c.conf", "[Link]\nName=siw0\nType=siw\nNetDev=eth1\n");
  tree.write("etc/rdma/links.d/40-big.conf", std::string(10 << 20, '#'));
  tree.make_directory("etc/rdma/links.d/50-directory.conf");
  tree.write("etc/rdma/links.d/60-other.conf", "[Link]\nName=rxe0\nType=rxe\nNetDev=eth9\n");
  tree.write("etc/rdma/links.d/README", "not a declaration");
  const auto declared = device::read_declared_links(tree.path(""));
  ASSERT_THAT(declared.links, SizeIs(2));
  EXPECT_EQ(declared.links[0].name, "rxe0");
  EXPECT_EQ(declared.links[0].file, tree.path("etc/rdma/links.d/10-a.conf"));
  EXPECT_EQ(declared.links[1].name, "siw0");
  EXPECT_THAT(messages(declared.errors),
              ElementsAre(AllOf(HasSubstr("40-big.conf"), HasSubstr("1048576")),
                          HasSubstr("50-directory.conf"),
                          AllOf(HasSubstr("60-other.conf"), HasSubstr("10-a.conf"))));
  EXPECT_THAT(declared.unusable, ElementsAre("40-big.conf", "50-directory.conf", "60-other.conf"));
  EXPECT_TRUE(declared.complete);
}

TEST(Declarations, AnUnreadableFileIsNamed) {
  const TemporaryDirectory tree;
  // Unreadable for root too.
  tree.link("10-a.conf", "etc/rdma/links.d/10-a.conf");
  const auto declared = device::read_declared_links(tree.path(""));
  EXPECT_THAT(messages(declared.errors),
              ElementsAre(HasSubstr("10-a.conf: Too many levels of symbolic links")));
  EXPECT_THAT(declared.unusable, ElementsAre("10-a.conf"));
}

TEST(Declarations, TheFingerprintFollowsEveryChange) {
  const TemporaryDirectory tree;
  tree.write("etc/rdma/links.d/10-a.conf", kGood);
  const auto first = device::read_declared_links(tree.path("")).fingerprint;
  EXPECT_EQ(device::read_declared_links(tree.path("")).fingerprint, first);
  tree.write("etc/rdma/links.d/10-a.conf", "[Link]\nName=rxe0\nType=rxe\nNetDev=eth1\n");
  const auto second = device::read_declared_links(tree.path("")).fingerprint;
  EXPECT_NE(second, first);
  tree.write("etc/rdma/links.d/20-b.conf", "");
  EXPECT_NE(device::read_declared_links(tree.path("")).fingerprint, second);
}

TEST(Match, EveryKeyThatIsGivenHasToFit) {
  const os::NetworkInterface eth0{"eth0", 2, "52:54:00:00:00:01", "pci-0000:03:00.0"};
  const auto fits = [&](device::NetdevMatch match) { return device::matches(match, eth0); };
  EXPECT_TRUE(fits({{"eth?"}, {}, {}}));
  EXPECT_FALSE(fits({{"ens*"}, {}, {}}));
  EXPECT_TRUE(fits({{"ens*", "eth0"}, {}, {}}));
  EXPECT_TRUE(fits({{}, {"52:54:00:00:00:01"}, {}}));
  EXPECT_FALSE(fits({{"eth0"}, {"52:54:00:00:00:02"}, {}}));
  EXPECT_TRUE(fits({{}, {}, {"pci-0000:03:*"}}));
  EXPECT_FALSE(fits({{"eth0"}, {}, {"pci-0000:04:*"}}));
}

TEST(Match, TheLoopbackInterfaceIsNeverMeant) {
  EXPECT_FALSE(device::matches({{"*"}, {}, {}}, {"lo", 1, "", ""}));
  EXPECT_TRUE(device::matches({{"*"}, {}, {}}, {"lo0", 2, "", ""}));
}

TEST(Interfaces, AnAddressThatWasTakenOverDoesNotCount) {
  const TemporaryDirectory tree;
  const auto add = [&](const std::string& name, const char* index, const char* assigned) {
    tree.write("sys/class/net/" + name + "/ifindex", std::string(index) + "\n");
    tree.write("sys/class/net/" + name + "/address", "52:54:00:00:00:01\n");
    tree.write("sys/class/net/" + name + "/addr_assign_type", std::string(assigned) + "\n");
  };
  add("eth0", "3", "0");
  add("bond0", "2", "2");
  tree.write("sys/class/net/bonding_masters", "bond0\n");
  const auto found = os::network_interfaces(*os::Tree::open(tree.path("")), true);
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_THAT(*found, SizeIs(2));
  EXPECT_EQ((*found)[0].name, "bond0");
  EXPECT_EQ((*found)[0].address, "");
  EXPECT_EQ((*found)[1].name, "eth0");
  EXPECT_EQ((*found)[1].address, "52:54:00:00:00:01");
  EXPECT_EQ((*found)[1].index, 3U);
}

// ---- plan ----

DeclaredLink declared(const std::string& name, const std::string& netdev,
                      SoftLinkType type = SoftLinkType::kRxe) {
  DeclaredLink link;
  link.name = name;
  link.type = type;
  link.match.names = {netdev};
  link.file = "/etc/rdma/links.d/" + name + ".conf";
  return link;
}

/// A machine with eth0 and eth1, and rdma_rxe loaded.
Facts machine(std::vector<DeclaredLink> links) {
  Facts facts;
  facts.declared.links = std::move(links);
  facts.netdevs = {{"lo", 1, "", ""},
                   {"eth0", 2, "52:54:00:00:00:01", "pci-0000:03:00.0"},
                   {"eth1", 3, "52:54:00:00:00:02", "pci-0000:04:00.0"}};
  facts.types[SoftLinkType::kRxe].availability = os::Availability::kLive;
  return facts;
}

ExistingDevice rxe(std::uint32_t index, const std::string& name, const std::string& netdev) {
  return {index, name, SoftLinkType::kRxe, netdev};
}

MadeLink made(const std::string& name, std::uint32_t index, const std::string& netdev) {
  return {name, SoftLinkType::kRxe, index, netdev, name + ".conf"};
}

/// "create rxe0 eth0", one a step.
std::vector<std::string> plan(const Facts& facts) {
  std::vector<std::string> out;
  for (const Step& step : make_plan(facts)) {
    out.push_back(std::string(name_of(step.action)) + " " + step.link +
                  (step.netdev.empty() ? "" : " " + step.netdev));
  }
  return out;
}

std::string reason(const Facts& facts) {
  const auto steps = make_plan(facts);
  return steps.empty() ? std::string() : steps.back().reason;
}

TEST(Plan, NothingDeclaredNothingDone) {
  Facts facts = machine({});
  facts.devices = {rxe(0, "rxe0", "eth0"), {1, "mlx5_0", std::nullopt, ""}};
  EXPECT_THAT(plan(facts), IsEmpty());
}

TEST(Plan, ADeclaredLinkIsMadeWhenItsInterfaceIsThere) {
  EXPECT_THAT(plan(machine({declared("rxe0", "eth1")})), ElementsAre("create rxe0 eth1"));
  EXPECT_THAT(plan(machine({declared("rxe0", "eth7")})), ElementsAre("wait rxe0"));
  DeclaredLink by_address = declared("rxe0", "*");
  by_address.match = {{}, {"52:54:00:00:00:02"}, {}};
  EXPECT_THAT(plan(machine({by_address})), ElementsAre("create rxe0 eth1"));
}

TEST(Plan, AModuleThatCanBeLoadedIsNoObstacle) {
  Facts facts = machine({declared("rxe0", "eth0")});
  facts.types[SoftLinkType::kRxe] = {os::Availability::kLoadable, true};
  EXPECT_THAT(plan(facts), ElementsAre("create rxe0 eth0"));
  facts.types[SoftLinkType::kRxe].may_load = false;
  EXPECT_THAT(plan(facts), ElementsAre("refuse rxe0 eth0"));
  EXPECT_THAT(reason(facts), HasSubstr("rdma_boot.load=0"));
  facts.types[SoftLinkType::kRxe] = {os::Availability::kLive, false};
  EXPECT_THAT(plan(facts), ElementsAre("create rxe0 eth0"));
}

TEST(Plan, AKernelWithoutTheTypeIsRefusedWithWhatWouldBringIt) {
  Facts facts = machine({declared("siw0", "eth0", SoftLinkType::kSiw)});
  EXPECT_THAT(plan(facts), ElementsAre("refuse siw0 eth0"));
  EXPECT_THAT(reason(facts),
              AllOf(HasSubstr("siw"), HasSubstr("Debian"), HasSubstr("CONFIG_RDMA_SIW")));
  facts.types[SoftLinkType::kSiw].availability = os::Availability::kDenied;
  EXPECT_THAT(reason(facts), HasSubstr("denied"));
}

TEST(Plan, AnExistingLinkOfThatNameAndTypeOnThatInterfaceIsAdopted) {
  Facts facts = machine({declared("rxe0", "eth0")});
  facts.devices = {rxe(5, "rxe0", "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("adopt rxe0 eth0"));
}

TEST(Plan, AnotherDeviceOfThatNameIsLeftAloneAndSaid) {
  Facts facts = machine({declared("rxe0", "eth0")});
  facts.devices = {rxe(5, "rxe0", "eth1")};
  EXPECT_THAT(plan(facts), ElementsAre("refuse rxe0 eth0"));
  EXPECT_THAT(reason(facts), HasSubstr("rxe on eth1"));
  facts.devices = {{5, "rxe0", SoftLinkType::kSiw, "eth0"}};
  EXPECT_THAT(plan(facts), ElementsAre("refuse rxe0 eth0"));
  facts.devices = {{5, "rxe0", std::nullopt, ""}};
  EXPECT_THAT(reason(facts), HasSubstr("hardware"));
}

TEST(Plan, AHandMadeLinkOnTheInterfaceIsNamed) {
  Facts facts = machine({declared("rxe0", "eth0")});
  facts.devices = {rxe(5, "byhand", "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("refuse rxe0 eth0"));
  EXPECT_THAT(reason(facts), HasSubstr("byhand"));
}

TEST(Plan, LinksOfBothTypesFitOnOneInterface) {
  Facts facts = machine({declared("rxe0", "eth0"), declared("siw0", "eth0", SoftLinkType::kSiw)});
  facts.types[SoftLinkType::kSiw].availability = os::Availability::kLive;
  EXPECT_THAT(plan(facts), ElementsAre("create rxe0 eth0", "create siw0 eth0"));
}

TEST(Plan, LinksThatShareAPatternTakeOneInterfaceEach) {
  EXPECT_THAT(plan(machine({declared("a", "eth*"), declared("b", "eth*"), declared("c", "eth*")})),
              ElementsAre("create a eth0", "create b eth1", "refuse c eth0"));
}

TEST(Plan, WhatWasMadeStaysWhileItIsDeclared) {
  Facts facts = machine({declared("rxe0", "eth0")});
  facts.devices = {rxe(5, "rxe0", "eth0")};
  facts.made = {made("rxe0", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("keep rxe0 eth0"));
  facts.devices = {rxe(5, "renamed", "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("keep rxe0 eth0")) << "a device is known by its index";
}

TEST(Plan, WhatWasMadeGoesWithItsDeclaration) {
  Facts facts = machine({});
  facts.devices = {rxe(5, "rxe0", "eth0"), rxe(6, "byhand", "eth1")};
  facts.made = {made("rxe0", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("delete rxe0 eth0"));
  EXPECT_EQ(make_plan(facts).front().device_index, 5U);
}

TEST(Plan, AHandMadeLinkThatTookTheNameLaterIsNotRemoved) {
  Facts facts = machine({});
  facts.devices = {rxe(7, "rxe0", "eth0")};
  facts.made = {made("rxe0", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("forget rxe0 eth0"));
}

TEST(Plan, ADeclarationThatCannotBeReadKeepsItsLink) {
  Facts facts = machine({});
  facts.devices = {rxe(5, "rxe0", "eth0")};
  facts.made = {made("rxe0", 5, "eth0")};
  facts.declared.unusable = {"rxe0.conf"};
  EXPECT_THAT(plan(facts), ElementsAre("keep rxe0 eth0"));
  facts.declared.unusable = {"other.conf"};
  EXPECT_THAT(plan(facts), ElementsAre("delete rxe0 eth0"));
  facts.declared.complete = false;
  EXPECT_THAT(plan(facts), ElementsAre("keep rxe0 eth0"));
}

TEST(Plan, AnInterfaceThatCameBackGetsItsLinkAgain) {
  Facts facts = machine({declared("rxe0", "eth0")});
  facts.made = {made("rxe0", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("forget rxe0 eth0", "create rxe0 eth0"));
}

TEST(Plan, ALinkStaysOnItsInterfaceWhenThatIsRenamed) {
  Facts facts = machine({declared("rxe0", "old0")});
  facts.devices = {rxe(5, "rxe0", "eth0")};
  facts.made = {made("rxe0", 5, "old0")};
  EXPECT_THAT(plan(facts), ElementsAre("keep rxe0 eth0"));
  EXPECT_THAT(reason(facts), HasSubstr("old0 is called eth0 now"));
}

TEST(Plan, ALinkMovesToAnInterfaceThatIsMeantNow) {
  Facts facts = machine({declared("rxe0", "eth1")});
  facts.devices = {rxe(5, "rxe0", "eth0")};
  facts.made = {made("rxe0", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("delete rxe0 eth1", "create rxe0 eth1"));
  EXPECT_EQ(make_plan(facts).front().device_index, 5U);
  facts.declared.links = {declared("rxe0", "eth7")};
  EXPECT_THAT(plan(facts), ElementsAre("delete rxe0 eth0", "wait rxe0"))
      << "eth0 still has its name, so the declaration was changed";
}

TEST(Plan, AnotherTypeIsMadeAnew) {
  Facts facts = machine({declared("x", "eth0", SoftLinkType::kSiw)});
  facts.types[SoftLinkType::kSiw].availability = os::Availability::kLive;
  facts.devices = {rxe(5, "x", "eth0")};
  facts.made = {made("x", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("delete x eth0", "create x eth0"));
}

TEST(Plan, ANameOrInterfaceThatIsFreedCanBeUsedAtOnce) {
  Facts facts = machine({declared("new", "eth0")});
  facts.devices = {rxe(5, "old", "eth0")};
  facts.made = {made("old", 5, "eth0")};
  EXPECT_THAT(plan(facts), ElementsAre("delete old eth0", "create new eth0"));
}

TEST(Refusal, TheKernelsErrnoIsPutIntoWords) {
  EXPECT_THAT(explain_refusal(SoftLinkType::kRxe, EPERM), HasSubstr("VLAN"));
  EXPECT_THAT(explain_refusal(SoftLinkType::kSiw, EPERM), Not(HasSubstr("VLAN")));
  EXPECT_THAT(explain_refusal(SoftLinkType::kRxe, ENFILE), HasSubstr("of this name"));
  EXPECT_EQ(explain_refusal(SoftLinkType::kRxe, ENOMEM), "");
}

// ---- state, output, options ----

TEST(State, WhatIsWrittenIsReadAgain) {
  const TemporaryDirectory directory;
  const StateStore store(directory.path("run/rdma-boot/links"));
  EXPECT_THAT(store.read().made, IsEmpty());
  EXPECT_THAT(store.read().errors, IsEmpty());
  const auto lock = store.lock();
  ASSERT_TRUE(lock) << lock.error().message();
  MadeLink link = made("rxe0", 7, "eth0");
  link.type = SoftLinkType::kSiw;
  ASSERT_TRUE(store.write(link));
  ASSERT_TRUE(store.write(made("a", 8, "eth1")));
  const State state = store.read();
  EXPECT_THAT(state.errors, IsEmpty());
  ASSERT_THAT(state.made, SizeIs(2));
  EXPECT_EQ(state.made[0].name, "a");
  EXPECT_EQ(state.made[1].name, "rxe0");
  EXPECT_EQ(state.made[1].type, SoftLinkType::kSiw);
  EXPECT_EQ(state.made[1].device_index, 7U);
  EXPECT_EQ(state.made[1].netdev, "eth0");
  EXPECT_EQ(state.made[1].file, "rxe0.conf");
  EXPECT_TRUE(store.forget("rxe0"));
  EXPECT_TRUE(store.forget("rxe0")) << "forgotten already";
  EXPECT_THAT(store.read().made, SizeIs(1));
}

TEST(State, ADamagedFileIsToldAndLeft) {
  const TemporaryDirectory directory;
  directory.write("rxe0", "[Made]\nType=rxe\n");
  directory.write("rxe1", "[Made]\nType=rxe\nDevice=-1\n");
  directory.write("rxe2", encode(made("rxe2", 1, "eth0")));
  const State state = StateStore(directory.path("")).read();
  EXPECT_THAT(state.errors, SizeIs(2));
  ASSERT_THAT(state.made, SizeIs(1));
  EXPECT_EQ(state.made[0].name, "rxe2");
}

TEST(State, ARefusedLinkIsToldUntilItIsThere) {
  const TemporaryDirectory directory;
  const StateStore store(directory.path("links"), directory.path("run/refused"));
  EXPECT_TRUE(store.accept("rxe0")) << "was not refused";
  ASSERT_TRUE(store.refuse("rxe0", "the kernel says no"));
  EXPECT_EQ(*core::read_file(directory.path("run/refused/rxe0")), "the kernel says no\n");
  ASSERT_TRUE(store.accept("rxe0"));
  EXPECT_FALSE(core::read_file(directory.path("run/refused/rxe0")));
  ASSERT_TRUE(store.refuse("rxe0", "x"));
  ASSERT_TRUE(store.refuse("rxe1", "x"));
  ASSERT_TRUE(store.accept_all_but({"rxe1", "rxe2"}));
  EXPECT_FALSE(core::read_file(directory.path("run/refused/rxe0"))) << "not declared any more";
  EXPECT_TRUE(core::read_file(directory.path("run/refused/rxe1")));
}

TEST(State, TheDeclarationsOfTheLastRunAreRememberedBesideTheLinks) {
  const TemporaryDirectory directory;
  const StateStore store(directory.path("links"));
  EXPECT_EQ(store.last_applied(), std::nullopt);
  ASSERT_TRUE(store.lock());
  ASSERT_TRUE(store.applied(SIZE_MAX));
  EXPECT_EQ(store.last_applied(), SIZE_MAX);
  EXPECT_THAT(store.read().made, IsEmpty());
  EXPECT_THAT(store.read().errors, IsEmpty());
  directory.write("links/.applied", "nonsense");
  EXPECT_EQ(store.last_applied(), std::nullopt);
}

TEST(Show, TextHasALineALinkAndJsonTheSame) {
  Facts facts = machine({declared("rxe0", "eth0"), declared("siw0", "eth0", SoftLinkType::kSiw)});
  facts.devices = {rxe(5, "rxe0", "eth0")};
  facts.made = {made("rxe0", 5, "eth0")};
  const auto steps = make_plan(facts);
  const std::string text = as_text(steps);
  EXPECT_THAT(text, AllOf(HasSubstr("rxe0  rxe   eth0       made     rxe0.conf\n"),
                          HasSubstr("refused"), HasSubstr("CONFIG_RDMA_SIW")));
  const auto json = nlohmann::json::parse(as_json(steps));
  EXPECT_THAT(test::JsonSchema::of_documentation("link").problems(json), IsEmpty());
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0]["link"], "rxe0");
  EXPECT_EQ(json[0]["state"], "made");
  EXPECT_EQ(json[1]["type"], "siw");
  EXPECT_EQ(json[1]["state"], "refused");
  EXPECT_EQ(as_text({}), "no link is declared\n");
  EXPECT_EQ(nlohmann::json::parse(as_json({})).size(), 0U);
}

TEST(Options, VerbsAndTheirOptionsAreTakenAndOthersNamed) {
  const auto parse = [](std::vector<std::string> words) {
    words.insert(words.begin(), "rdma-link");
    std::vector<char*> argv;
    for (std::string& word : words) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    return parse_options(static_cast<int>(words.size()), argv.data());
  };
  EXPECT_EQ(parse({"apply"})->netdev, "");
  EXPECT_EQ(parse({"apply", "eth0"})->netdev, "eth0");
  EXPECT_TRUE(parse({"apply", "--if-changed"})->if_changed);
  EXPECT_THAT(parse({"apply", "--if-changed", "eth0"}).error().message(), HasSubstr("alone"));
  EXPECT_THAT(parse({"list", "--if-changed"}).error().message(), HasSubstr("--if-changed"));
  EXPECT_EQ(parse({"apply", "/sys/devices/virtual/net/my-bond"})->netdev, "my-bond");
  EXPECT_TRUE(parse({"list", "--json"})->json);
  EXPECT_EQ(parse({"check", "--root=/x"})->root, "/x");
  EXPECT_THAT(parse({}).error().message(), HasSubstr("apply"));
  EXPECT_THAT(parse({"remove"}).error().message(), HasSubstr("remove"));
  EXPECT_THAT(parse({"list", "eth0"}).error().message(), HasSubstr("fewer"));
  EXPECT_THAT(parse({"apply", "--json"}).error().message(), HasSubstr("--json"));
  EXPECT_THAT(parse({"list", "--root=/x"}).error().message(), HasSubstr("check"));
  EXPECT_THAT(parse({"apply", "--nonsense"}).error().message(), HasSubstr("--nonsense"));
}

}  // namespace
}  // namespace rdmaboot::link
