// SPDX-License-Identifier: BSD-2-Clause
#include "device/protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rdmaboot::device {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ne;

constexpr auto kEthernet = LinkLayer::kEthernet;
constexpr auto kIb = LinkLayer::kInfiniBand;

ProtocolEvidence device(std::optional<std::string> netlink, NodeType type,
                        std::vector<LinkLayer> links, std::string driver = "") {
  return {std::move(netlink), type, std::move(links), std::move(driver)};
}

struct KnownDriver {
  const char* driver;
  const char* netlink;
  NodeType type;
  LinkLayer link;
  Protocol expected;
};

// What each driver of kernels 6.1 to 7.0 registers: node_type, port_immutable and get_link_layer in
// drivers/infiniband/{hw,sw}.
constexpr KnownDriver kDrivers[] = {
    {"mlx5_core", "ib", NodeType::kCa, kIb, Protocol::kInfiniBand},
    {"mlx5_core", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"mlx4_core", "ib", NodeType::kCa, kIb, Protocol::kInfiniBand},
    {"ib_mthca", "ib", NodeType::kCa, kIb, Protocol::kInfiniBand},
    {"ib_qib", "ib", NodeType::kCa, kIb, Protocol::kInfiniBand},
    {"hfi1", "opa", NodeType::kCa, kIb, Protocol::kOpa},
    {"ice", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"ice", "iw", NodeType::kRnic, kEthernet, Protocol::kIwarp},
    {"i40e", "iw", NodeType::kRnic, kEthernet, Protocol::kIwarp},
    {"cxgb4", "iw", NodeType::kRnic, kEthernet, Protocol::kIwarp},
    {"bnxt_en", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"be2net", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"qede", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"qede", "iw", NodeType::kRnic, kEthernet, Protocol::kIwarp},
    {"hns3", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"mana", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"ionic", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"erdma", "iw", NodeType::kRnic, kEthernet, Protocol::kIwarp},
    {"erdma", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"vmw_pvrdma", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},
    {"enic", "usnic", NodeType::kUsnicUdp, kEthernet, Protocol::kUsnic},
    {"efa", "", NodeType::kUnspecified, LinkLayer::kUnknown, Protocol::kEfa},
    {"", "roce", NodeType::kCa, kEthernet, Protocol::kRoce},   // soft-RoCE
    {"", "iw", NodeType::kRnic, kEthernet, Protocol::kIwarp},  // soft-iWARP
};

TEST(Protocol, EveryKnownDriverIsRecognisedOverNetlink) {
  for (const KnownDriver& row : kDrivers) {
    EXPECT_THAT(decide_protocols(device(row.netlink, row.type, {row.link}, row.driver)),
                ElementsAre(row.expected))
        << row.driver << ' ' << row.netlink;
  }
}

TEST(Protocol, EveryKnownDriverIsRecognisedFromSysfsAlone) {
  for (const KnownDriver& row : kDrivers) {
    EXPECT_THAT(decide_protocols(device(std::nullopt, row.type, {row.link}, row.driver)),
                ElementsAre(row.expected))
        << row.driver << ' ' << row.netlink;
  }
}

TEST(Protocol, UnknownDriverIsRecognisedToo) {
  EXPECT_THAT(decide_protocols(device("roce", NodeType::kCa, {kEthernet}, "from_the_future")),
              ElementsAre(Protocol::kRoce));
  EXPECT_THAT(decide_protocols(device(std::nullopt, NodeType::kRnic, {kEthernet}, "new_iw")),
              ElementsAre(Protocol::kIwarp));
}

TEST(Protocol, MixedDualPortHasBothProtocols) {
  EXPECT_THAT(decide_protocols(device("ib", NodeType::kCa, {kIb, kEthernet}, "mlx4_core")),
              ElementsAre(Protocol::kInfiniBand, Protocol::kRoce));
  EXPECT_THAT(decide_protocols(device("roce", NodeType::kCa, {kEthernet, kIb}, "mlx4_core")),
              ElementsAre(Protocol::kRoce, Protocol::kInfiniBand));
  EXPECT_THAT(decide_protocols(device(std::nullopt, NodeType::kCa, {kIb, kEthernet}, "mlx4_core")),
              ElementsAre(Protocol::kInfiniBand, Protocol::kRoce));
}

TEST(Protocol, SecondPortOfAnIwarpOrOpaDeviceIsLikeTheFirst) {
  EXPECT_THAT(decide_protocols(device("iw", NodeType::kRnic, {kEthernet, kEthernet})),
              ElementsAre(Protocol::kIwarp, Protocol::kIwarp));
  EXPECT_THAT(decide_protocols(device("opa", NodeType::kCa, {kIb, kIb}, "another_opa")),
              ElementsAre(Protocol::kOpa, Protocol::kOpa));
}

TEST(Protocol, EthernetOnlyDeviceIsNeverInfiniBandWhateverIsSaid) {
  for (const char* said : {"ib", "opa", "roce", "iw", "usnic", "", "nonsense"}) {
    for (unsigned type = 0; type <= 8; ++type) {
      for (const char* driver : {"mlx5_core", "hfi1", "efa", ""}) {
        const auto protocols = decide_protocols(
            device(said, node_type_from_number(type), {kEthernet, kEthernet}, driver));
        EXPECT_THAT(protocols, Each(Ne(Protocol::kInfiniBand))) << said << type << driver;
        EXPECT_THAT(protocols, Each(Ne(Protocol::kOpa))) << said << type << driver;
      }
    }
  }
}

TEST(Protocol, EthernetPortWithRoceSwitchedOffIsNotRoce) {
  EXPECT_THAT(decide_protocols(device("", NodeType::kCa, {kEthernet}, "mlx5_core")),
              ElementsAre(Protocol::kUnknown));
}

TEST(Protocol, NetlinkWordNobodyKnowsLeavesTheDecisionToSysfs) {
  EXPECT_THAT(decide_protocols(device("warp9", NodeType::kCa, {kIb})),
              ElementsAre(Protocol::kInfiniBand));
}

TEST(Protocol, DeviceWithoutPortsStillHasOneAnswer) {
  EXPECT_THAT(decide_protocols(device("roce", NodeType::kCa, {})), ElementsAre(Protocol::kRoce));
  EXPECT_THAT(decide_protocols({}), ElementsAre(Protocol::kUnknown));
}

TEST(Protocol, UnspecifiedTransportOfAnotherDriverIsNotEfa) {
  EXPECT_THAT(decide_protocols(device("", NodeType::kUnspecified, {LinkLayer::kUnknown}, "other")),
              ElementsAre(Protocol::kUnknown));
}

TEST(NodeType, NumberCountsAndMalformedTextIsNothing) {
  EXPECT_EQ(parse_node_type("1: CA\n"), NodeType::kCa);
  EXPECT_EQ(parse_node_type("4: RNIC\n"), NodeType::kRnic);
  EXPECT_EQ(parse_node_type("7: unspecified\n"), NodeType::kUnspecified);
  EXPECT_EQ(parse_node_type("99: <unknown>\n"), NodeType::kOther);
  for (const char* text : {"", "\n", "CA", "1", ": CA", "-1: CA", "1x: CA", "99999999999: CA"}) {
    EXPECT_EQ(parse_node_type(text), std::nullopt) << text;
  }
}

TEST(LinkLayerText, WordIsReadAndGarbageIsNothing) {
  EXPECT_EQ(parse_link_layer("InfiniBand\n"), kIb);
  EXPECT_EQ(parse_link_layer("Ethernet\n"), kEthernet);
  EXPECT_EQ(parse_link_layer("Unknown\n"), LinkLayer::kUnknown);
  for (const char* text : {"", "\n", "Ethernet InfiniBand", "\x01", "Ether\x1b[0m"}) {
    EXPECT_EQ(parse_link_layer(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_link_layer(std::string(5000, 'a')), std::nullopt);
}

TEST(ProtocolName, EveryProtocolHasItsOwnWord) {
  EXPECT_EQ(protocol_name(Protocol::kInfiniBand), "infiniband");
  EXPECT_EQ(protocol_name(Protocol::kRoce), "roce");
  EXPECT_EQ(protocol_name(Protocol::kIwarp), "iwarp");
  EXPECT_EQ(protocol_name(Protocol::kOpa), "opa");
  EXPECT_EQ(protocol_name(Protocol::kUsnic), "usnic");
  EXPECT_EQ(protocol_name(Protocol::kEfa), "efa");
  EXPECT_EQ(protocol_name(Protocol::kUnknown), "unknown");
}

}  // namespace
}  // namespace rdmaboot::device
