// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/types.hpp"

#include <gtest/gtest.h>

namespace rdmaboot::device {
namespace {

TEST(Gid, IsReadAsSysfsShowsItAndInAnySpellingOfIpv6) {
  constexpr std::string_view kFull = "fe80:0000:0000:0000:b859:9f03:0005:0a2c";
  const Gid gid = Gid::parse(kFull).value();
  EXPECT_EQ(gid.to_string(), kFull);
  EXPECT_EQ(gid.bytes[0], 0xfe);
  EXPECT_EQ(gid.bytes[15], 0x2c);
  EXPECT_EQ(Gid::parse("fe80::b859:9f03:5:a2c\n").value(), gid);
  EXPECT_EQ(Gid::parse("::ffff:10.0.0.5").value().to_string(),
            "0000:0000:0000:0000:0000:ffff:0a00:0005");
}

TEST(Gid, ThatIsNoAddressIsRefusedAndItsTextMadeSafe) {
  EXPECT_FALSE(Gid::parse(""));
  EXPECT_FALSE(Gid::parse("fe80:0000:0000:0000:b859:9f03:0005"));
  EXPECT_FALSE(Gid::parse("fe80:0000:0000:0000:b859:9f03:0005:0a2c:1"));
  EXPECT_FALSE(Gid::parse("fe80::1%eth0"));
  EXPECT_FALSE(Gid::parse(std::string_view("::1\0", 4)));
  EXPECT_FALSE(Gid::parse(std::string(100000, ':')));
  const auto refused = Gid::parse("\x1b[31mred");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "parse GID \"\\x1b[31mred\": expected eight groups of hexadecimal digits, or an IPv6 "
            "address");
}

TEST(Gid, KnowsWhatItWasMadeFrom) {
  EXPECT_TRUE(Gid{}.is_zero());
  EXPECT_FALSE(Gid::parse("::1").value().is_zero());
  EXPECT_TRUE(Gid::parse("fe80::1").value().is_link_local());
  EXPECT_TRUE(Gid::parse("febf::1").value().is_link_local());
  EXPECT_FALSE(Gid::parse("fec0::1").value().is_link_local());
  EXPECT_TRUE(Gid::parse("::ffff:1.2.3.4").value().is_ipv4_mapped());
  EXPECT_FALSE(Gid::parse("::1.2.3.4").value().is_ipv4_mapped());
}

TEST(Guid, NeedsAllItsDigits) {
  EXPECT_EQ(Guid::parse("b859:9f03:0005:0a2c").value().value, 0xb8599f0300050a2cU);
  EXPECT_EQ(Guid::parse("0xb8599f0300050a2c\n").value().to_string(), "b859:9f03:0005:0a2c");
  EXPECT_TRUE(Guid::parse("0000:0000:0000:0000").value().is_zero());
  for (const char* const wrong : {"", "b859:9f03:0005", "b859:9f03:0005:0a2", "b859:9f03:0005:0a2g",
                                  "b8599:f03:0005:0a2c", "-859:9f03:0005:0a2c", "0x1"}) {
    EXPECT_FALSE(Guid::parse(wrong)) << wrong;
  }
}

TEST(PKey, TellsPartitionFromMembership) {
  const PKey full = PKey::parse("0x8001").value();
  const PKey limited = PKey::parse("0x0001").value();
  EXPECT_EQ(full.partition(), limited.partition());
  EXPECT_TRUE(full.is_full_member());
  EXPECT_FALSE(limited.is_full_member());
  EXPECT_EQ(limited.to_string(), "0x0001");
  EXPECT_FALSE(PKey::parse("0x10000"));
  EXPECT_FALSE(PKey::parse("0x"));
}

TEST(Lid, MayHaveThirtyTwoBitsAsInOmniPath) {
  EXPECT_EQ(Lid::parse("0x1a").value().value, 26U);
  EXPECT_EQ(Lid::parse("26").value().to_string(), "0x1a");
  EXPECT_EQ(Lid::parse("0xffffffff").value().to_string(), "0xffffffff");
  EXPECT_TRUE(Lid::parse("0x0").value().is_zero());
  EXPECT_FALSE(Lid::parse("0x100000000"));
  EXPECT_FALSE(Lid::parse("-1"));
}

TEST(PortNumber, StartsAtOneAndHasAnEnd) {
  EXPECT_EQ(PortNumber::parse("2").value().value, 2U);
  EXPECT_FALSE(PortNumber::parse("0"));
  EXPECT_FALSE(PortNumber::parse("999999999999"));
  EXPECT_FALSE(PortNumber::parse("1x"));
  EXPECT_FALSE(PortNumber::parse(".."));
}

TEST(LinkRate, ReadsEveryFormOfTheKernel) {
  const auto check = [](std::string_view text, std::uint32_t megabits, std::uint32_t lanes,
                        std::string_view signalling) {
    const auto rate = LinkRate::parse(text);
    ASSERT_TRUE(rate) << text;
    EXPECT_EQ(rate->megabits_per_second, megabits) << text;
    EXPECT_EQ(rate->lanes, lanes) << text;
    EXPECT_EQ(rate->signalling, signalling) << text;
  };
  check("100 Gb/sec (4X EDR)", 100000, 4, "EDR");
  check("2.5 Gb/sec (1X SDR)\n", 2500, 1, "SDR");
  check("10 Gb/sec (4X)", 10000, 4, "");
  check("800 Gb/sec (4X XDR)", 800000, 4, "XDR");
  check("300 Gb/sec (12X EDR)", 300000, 12, "EDR");
  check("40 Gb/sec", 40000, 0, "");
}

TEST(LinkRate, RefusesWhatTheKernelNeverWrites) {
  for (const char* const wrong :
       {"", "100", "Gb/sec", "fast Gb/sec (4X EDR)", "100 Gb/sec (4Y EDR)", "100 Gb/sec (X EDR)",
        "-1 Gb/sec (4X EDR)", "4294968 Gb/sec (4X)", "100 Gb/sec (4X EDR) and more",
        "99999999999 Gb/sec (4X EDR)", "1.7 Gb/sec (1X)"}) {
    EXPECT_FALSE(LinkRate::parse(wrong)) << wrong;
  }
}

TEST(PortStates, AreReadByTheirNumberWhateverTheWordIs) {
  EXPECT_EQ(parse_port_state("4: ACTIVE").value(), PortState::kActive);
  EXPECT_EQ(parse_port_state("2: anything\n").value(), PortState::kInit);
  EXPECT_FALSE(parse_port_state("6: NEW"));
  EXPECT_FALSE(parse_port_state("ACTIVE"));
  EXPECT_FALSE(parse_port_state(""));
  EXPECT_EQ(parse_physical_state("5: LinkUp").value(), PhysicalState::kLinkUp);
  EXPECT_EQ(parse_physical_state("0: <unknown>").value(), PhysicalState::kNop);
  EXPECT_FALSE(parse_physical_state("8: NEW"));
  EXPECT_FALSE(parse_physical_state(" : LinkUp"));
}

TEST(PortStates, HaveTheNamesOfTheKernel) {
  EXPECT_EQ(name_of(PortState::kActive), "ACTIVE");
  EXPECT_EQ(name_of(PortState::kActiveDefer), "ACTIVE_DEFER");
  EXPECT_EQ(name_of(PhysicalState::kTraining), "PortConfigurationTraining");
  EXPECT_EQ(name_of(LinkLayer::kEthernet), "Ethernet");
  EXPECT_EQ(name_of(GidType::kRoceV2), "RoCE v2");
}

TEST(GidTypes, OneWordOfTheKernelForTwoTypesIsToldApartByTheLink) {
  EXPECT_EQ(parse_gid_type("IB/RoCE v1\n", LinkLayer::kInfiniBand), GidType::kInfiniBand);
  EXPECT_EQ(parse_gid_type("IB/RoCE v1", LinkLayer::kEthernet), GidType::kRoceV1);
  EXPECT_EQ(parse_gid_type("IB/RoCE v1", LinkLayer::kUnknown), GidType::kUnknown);
  EXPECT_EQ(parse_gid_type("RoCE v2", LinkLayer::kEthernet), GidType::kRoceV2);
  EXPECT_EQ(parse_gid_type("RoCE v3", LinkLayer::kEthernet), GidType::kUnknown);
}

}  // namespace
}  // namespace rdmaboot::device
