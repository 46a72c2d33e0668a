// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "iwpm/options.hpp"
#include "iwpm/saved.hpp"
#include "iwpm/session.hpp"
#include "iwpm/settings.hpp"
#include "iwpm_fakes.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::iwpm {
namespace {

using namespace std::chrono_literals;
using test::at;
using test::decoded;
using test::FakeWorld;
using test::golden;
using test::hex;
using test::KernelSays;
using test::Line;
using test::Octets;
using test::u16_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint32_t kOurPortId = 358;  // of the captured daemon
constexpr std::uint32_t kNoPortMap = IWPM_FLAGS_NO_PORT_MAP;

template <typename Body>
Body body_of(const Octets& bytes) {
  const auto message = decoded(bytes);
  return message ? std::get<Body>(message->body) : Body{};
}

// Codecs -----------------------------------------------------------------------------------------

TEST(NetlinkCodec, EveryCapturedKernelMessageIsUnderstood) {
  std::map<std::string, int> seen;
  for (const Line& line : golden("netlink.txt")) {
    if (line.words[0] != "kernel") {
      continue;
    }
    const auto message = decoded(line.bytes);
    ASSERT_TRUE(message) << line.words[1];
    EXPECT_FALSE(std::holds_alternative<Malformed>(message->body)) << line.words[1];
    ++seen[line.words[1]];
  }
  EXPECT_THAT(seen, SizeIs(6));
}

TEST(NetlinkCodec, ThirdPartyAttributesAndAddressesAreRead) {
  const auto message =
      body_of<QueryMapping>(KernelSays::query(4, at("fd00::1", 5), at("fd00::2", 6), kNoPortMap));
  EXPECT_EQ(message.local, at("fd00::1", 5));
  EXPECT_EQ(message.remote, at("fd00::2", 6));
  EXPECT_EQ(message.flags, kNoPortMap);
  Address link_local = at("fe80::1", 7);
  link_local.scope = 3;
  EXPECT_EQ(body_of<AddMapping>(KernelSays::add(1, link_local, 0)).local.scope, 3U);
}

TEST(NetlinkCodec, FlagsAreOptionalBecauseAbiThreeHasNone) {
  const Octets message = KernelSays(3, RDMA_NL_IWPM_ADD_MAPPING, 9)
                             .value(1, std::uint32_t{1})
                             .address(2, at("10.0.0.1", 7))
                             .done();
  EXPECT_EQ(body_of<AddMapping>(message).flags, 0U);
  EXPECT_EQ(decoded(message)->client, 3);
}

TEST(NetlinkCodec, EveryCutOfAMessageIsRefusedOrMalformed) {
  const Octets whole = KernelSays::query(4, at("10.0.0.1", 5), at("10.0.0.2", 6), 1);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Octets cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(decoded(cut)) << size;
    if (size >= 16) {
      const auto length = static_cast<std::uint32_t>(size);
      std::memcpy(cut.data(), &length, sizeof(length));
      // The last attribute is optional: without it the message is whole again.
      const bool without_flags = size == whole.size() - 8;
      EXPECT_EQ(std::holds_alternative<Malformed>(decoded(cut)->body), !without_flags) << size;
    }
  }
}

TEST(NetlinkCodec, WrongAttributeSizesAndFamiliesAreMalformed) {
  const auto is_malformed = [](const Octets& bytes) {
    return std::holds_alternative<Malformed>(decoded(bytes)->body);
  };
  EXPECT_TRUE(is_malformed(KernelSays(2, RDMA_NL_IWPM_ADD_MAPPING, 1)
                               .value(1, std::uint64_t{1})
                               .address(2, at("10.0.0.1", 1))
                               .done()));
  const std::array<std::uint8_t, 128> other_family{1};
  EXPECT_TRUE(is_malformed(KernelSays(2, RDMA_NL_IWPM_REMOVE_MAPPING, 1)
                               .value(1, std::uint32_t{1})
                               .attribute(2, other_family.data(), other_family.size())
                               .done()));
  EXPECT_TRUE(is_malformed(KernelSays::query(1, at("10.0.0.1", 1), at("fd00::1", 1), 0)));
  EXPECT_TRUE(is_malformed(KernelSays(2, 77, 1).done()));
  EXPECT_TRUE(is_malformed(KernelSays(2, RDMA_NL_IWPM_HELLO, 1).value(1, std::uint8_t{4}).done()));
}

TEST(WireCodec, CapturedDatagramsComeBackAsTheyWereButForLeakedBytes) {
  std::map<std::string, int> seen;
  for (const Line& line : golden("wire.txt")) {
    const auto message = decode(line.bytes);
    ASSERT_TRUE(message);
    Octets clean = line.bytes;
    if (message->connecting.family == Family::kIpv4) {
      for (std::size_t part = 16; part < clean.size(); part += 16) {
        std::fill_n(clean.begin() + static_cast<std::ptrdiff_t>(part) + 4, 12, std::byte{0});
      }
    }
    EXPECT_EQ(hex(test::octets(encode(*message).view())), hex(clean));
    ++seen[line.words[0] + (message->connecting.family == Family::kIpv4 ? "4" : "6")];
  }
  EXPECT_THAT(seen, SizeIs(7));  // the IPv6 reject is in hosts.txt (iwpm_replay_test)
}

TEST(WireCodec, OnlyTheLengthOfTheTypeIsTaken) {
  for (std::size_t size = 0; size <= 2000; ++size) {
    for (const unsigned type : {0U, 1U, 2U, 3U}) {
      Octets datagram(size);
      if (size > 0) {
        datagram[0] = static_cast<std::byte>((type << 4U) | 4U);
      }
      EXPECT_EQ(decode(datagram).has_value(), size == (type == 0 ? 64U : 48U)) << size;
    }
  }
}

TEST(WireCodec, OtherVersionsAreRefused) {
  Octets datagram(kWireSize);
  for (unsigned first = 0; first < 256; ++first) {
    datagram[0] = static_cast<std::byte>(first);
    const bool good = first == 0x14 || first == 0x24 || first == 0x34 || first == 0x16 ||
                      first == 0x26 || first == 0x36;
    EXPECT_EQ(decode(datagram).has_value(), good) << first;
  }
}

TEST(Saved, TheLastLineOfAnAddressCounts) {
  const std::string first = "2 1 1 10.0.0.1 7200 0 10.0.0.1 40000\n";
  const std::string second = "2 3 0 10.0.0.1 7200 0 10.0.0.1 40001\n";
  const auto saved = parse_saved(first + second);
  ASSERT_THAT(saved, SizeIs(1));
  EXPECT_EQ(saved[0].references, 3U);
  EXPECT_EQ(saved[0].mapped.port, 40001);
  EXPECT_THAT(parse_saved(first + saved_line(at("10.0.0.1", 7200), nullptr)), IsEmpty());
  EXPECT_THAT(parse_saved(first + saved_line(at("10.0.0.1", 7200), nullptr) + second), SizeIs(1));
  EXPECT_THAT(parse_saved(first + second.substr(0, second.size() - 1)), SizeIs(1))
      << "half a line is none";
}

TEST(Saved, NoLineIsLongerThanItsLimit) {
  Mapping mapping;
  mapping.references = 4'000'000'000;
  mapping.client = 255;
  mapping.reservation = 1;
  Address longest = at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
  longest.scope = 4'000'000'000;
  mapping.mapped = longest;
  const std::string line = saved_line(longest, &mapping);
  EXPECT_LE(line.size(), kSavedLine);
  EXPECT_THAT(parse_saved(line), SizeIs(1));
}

TEST(Saved, WhatIsNotAMappingIsPassedOver) {
  EXPECT_THAT(parse_saved("2 1 1 10.0.0.1 7200 0 10.0.0.1 40000\n"), SizeIs(1));
  for (const char* wrong :
       {"", "2 1 1 10.0.0.1 7200 0 10.0.0.1", "2 0 1 10.0.0.1 1 0 10.0.0.1 2",
        "2 1 1 10.0.0.1 70000 0 10.0.0.1 2", "2 1 1 10.0.0.1 1 0 fd00::1 2", "a b c d e f g h"}) {
    EXPECT_THAT(parse_saved(std::string(wrong) + "\n"), IsEmpty()) << wrong;
  }
}

// Against the real thing
// ---------------------------------------------------------------------------

TEST(Golden, TheSameKernelTrafficGivesTheSameBytesAsRdmaCores) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  const std::vector<Line> lines = golden("netlink.txt");
  std::vector<std::string> theirs;
  const std::vector<std::uint16_t> their_ports{47323, 46555};
  std::size_t port = 0;
  session.greet();
  const auto relay = [&] {
    // Both ends are this host: requests come back to us.
    const Address host = at("10.9.0.1", 0);
    while (!world.peers.empty()) {
      const auto datagram = world.peers.front();
      world.peers.erase(world.peers.begin());
      const bool to_mapper = datagram.peer.port == kMapperPort;
      session.from_peer(to_mapper ? Via::kAnswering : Via::kAsking,
                        host.with_port(to_mapper ? 50841 : kMapperPort), datagram.bytes);
    }
  };
  for (const Line& line : lines) {
    if (line.words[0] == "daemon") {
      theirs.push_back(line.words[1] + " " + hex(line.bytes));
      continue;
    }
    world.next_port = their_ports[std::min(port, their_ports.size() - 1)];
    const std::size_t held = world.held.size();
    session.from_kernel(line.bytes);
    port += world.held.size() > held ? 1U : 0U;
    relay();
  }
  std::vector<std::string> ours;
  for (const Octets& message : world.kernel) {
    ours.push_back(theirs[ours.size()].substr(0, theirs[ours.size()].find(' ') + 1) + hex(message));
  }
  EXPECT_EQ(ours, theirs);
  EXPECT_THAT(world.held, IsEmpty());
  EXPECT_EQ(session.kernel(), Kernel::kServed);
}

// Start and version ------------------------------------------------------------------------------

TEST(Start, AKernelThatAnswersIsServedAfterItsListEnds) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  session.greet();
  EXPECT_EQ(session.kernel(), Kernel::kAsked);
  session.from_kernel(KernelSays::hello(4));
  EXPECT_EQ(session.kernel(), Kernel::kListed);
  session.from_kernel(KernelSays::finished(0));
  EXPECT_EQ(session.kernel(), Kernel::kListed);
  session.from_kernel(KernelSays::finished(1));
  EXPECT_EQ(session.kernel(), Kernel::kServed);
}

TEST(Start, AnErrorMeansAnOldKernelAndBothClientsAreAsked) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  session.greet();
  session.from_kernel(KernelSays::error(0, -EINVAL));
  ASSERT_THAT(world.kernel, SizeIs(3));
  EXPECT_EQ(u16_of(world.kernel[1], IWPM_NLA_MAPINFO_ULIB_VER), 3);
  EXPECT_EQ(decoded(world.kernel[1])->client, kClientIwcm);
  EXPECT_EQ(decoded(world.kernel[2])->client, kClientLegacy);
  session.from_kernel(KernelSays::finished(1));
  session.from_kernel(KernelSays::error(2, -EINVAL));
  EXPECT_EQ(session.kernel(), Kernel::kServed);
  EXPECT_EQ(session.version(), 3);
}

TEST(Start, AKernelWithoutTheConnectionManagerIsGreetedAgainWhenADeviceComes) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  session.greet();
  for (std::uint32_t sequence = 0; sequence < 3; ++sequence) {
    session.from_kernel(KernelSays::error(sequence, -EINVAL));
  }
  EXPECT_EQ(session.kernel(), Kernel::kAbsent);
  EXPECT_FALSE(session.next_deadline());
  session.device_added();
  EXPECT_EQ(session.kernel(), Kernel::kAsked);
  session.from_kernel(KernelSays::hello(4));
  session.from_kernel(KernelSays::finished(4));
  EXPECT_EQ(session.kernel(), Kernel::kServed);
}

TEST(Start, ABusyKernelIsGreetedAgainAndKeepsItsVersion) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  session.greet();
  session.from_kernel(KernelSays::error(0, -EBUSY));
  EXPECT_EQ(session.kernel(), Kernel::kAsked);
  ASSERT_TRUE(session.next_deadline());
  clock.advance(1s);
  session.deadline();
  ASSERT_THAT(world.kernel, SizeIs(2));
  session.from_kernel(KernelSays::hello(4));
  EXPECT_EQ(session.kernel(), Kernel::kListed);
  EXPECT_EQ(session.version(), 4);
}

TEST(Start, ABusyKernelIsAskedForItsListAgainAndNothingIsDroppedBefore) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  session.recall({{at("10.0.0.1", 7200), at("10.0.0.1", 40000), 1, kClientIwcm, true}});
  session.greet();
  session.from_kernel(KernelSays::hello(4));
  session.from_kernel(KernelSays::error(1, -EBUSY));
  EXPECT_EQ(session.kernel(), Kernel::kListed) << "not ready yet";
  EXPECT_THAT(session.mappings().all(), SizeIs(1));
  clock.advance(1s);
  session.deadline();
  ASSERT_THAT(world.kernel, SizeIs(3));
  session.from_kernel(KernelSays::mapinfo(6, at("10.0.0.1", 7200), at("10.0.0.1", 40000), 0));
  session.from_kernel(KernelSays::mapinfo_count(7, 1));
  session.from_kernel(KernelSays::finished(2));
  EXPECT_EQ(session.kernel(), Kernel::kServed);
  EXPECT_THAT(session.mappings().all(), SizeIs(1));
}

TEST(Start, AGreetingWhoseAnswerWasLostIsSentAgain) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, kOurPortId);
  session.greet();
  session.kernel_overrun();
  clock.advance(1s);
  session.deadline();
  ASSERT_THAT(world.kernel, SizeIs(2));
  EXPECT_EQ(test::operation_of(world.kernel[1]), unsigned{RDMA_NL_IWPM_HELLO});
}

// Settings ---------------------------------------------------------------------------------------

TEST(ReadSettings, TheFileOfRdmaCoreIsUnderstood) {
  SettingsRead read;
  add_settings("# comment\nnl_sock_rbuf_size=419430400\n", "iwpmd.conf", read);
  EXPECT_THAT(read.errors, IsEmpty());
  EXPECT_EQ(read.settings.netlink_buffer, 419430400U);
}

TEST(ReadSettings, GoodLinesCountBesideWrongOnes) {
  SettingsRead read;
  add_settings(
      "peer_timeout = 3 # seconds\nrate_limit=many\nnonsense=1\nlisten_address=10.0.0.1, fd00::1\n"
      "allow_network=10.0.0.0/33\nallow_network=fd00::/8 10.1.0.0/16\npeer_timeout=0\n[x]\na=b\n",
      "f", read);
  EXPECT_EQ(read.settings.peer_timeout, 3s);
  EXPECT_THAT(read.settings.listen, SizeIs(2));
  EXPECT_THAT(read.settings.allow, SizeIs(2));
  ASSERT_THAT(read.errors, SizeIs(5));
  EXPECT_THAT(read.errors[0].message(), HasSubstr("line 2 of f"));
  EXPECT_THAT(read.errors[0].message(), HasSubstr("expected a number from 0 to 1000000"));
  EXPECT_THAT(read.errors[1].message(), HasSubstr("nl_sock_rbuf_size"));
}

TEST(ReadSettings, DropInsAddToTheFileAndNothingIsTheDefault) {
  const test::TemporaryDirectory tree;
  EXPECT_EQ(read_settings(tree.path("")).settings.peer_timeout, 2s);
  tree.write("etc/iwpmd.conf", "peer_timeout=4\nrate_limit=5\n");
  tree.write("run/iwpmd.conf.d/10.conf", "peer_timeout=6\n");
  const SettingsRead read = read_settings(tree.path(""));
  EXPECT_EQ(read.settings.peer_timeout, 6s);
  EXPECT_EQ(read.settings.rate_limit, 5U);
}

TEST(Networks, ContainWhatTheirPrefixSays) {
  EXPECT_TRUE(parse_network("10.0.0.0/9")->contains(at("10.127.0.1", 1)));
  EXPECT_FALSE(parse_network("10.0.0.0/9")->contains(at("10.128.0.1", 1)));
  EXPECT_TRUE(parse_network("0.0.0.0/0")->contains(at("8.8.8.8", 1)));
  EXPECT_FALSE(parse_network("0.0.0.0/0")->contains(at("fd00::1", 1)));
  EXPECT_TRUE(parse_network("fd00::1")->contains(at("fd00::1", 1)));
  EXPECT_FALSE(parse_network("fd00::1")->contains(at("fd00::2", 1)));
  EXPECT_FALSE(parse_network("10.0.0.0/"));
  EXPECT_FALSE(parse_network("10.0.0/8"));
}

TEST(Options, WhatRdmaCoresTakesIsTaken) {
  const auto parse = [](std::vector<const char*> words) {
    words.insert(words.begin(), "iwpmd");
    std::vector<char*> arguments;
    for (const char* word : words) {
      arguments.push_back(const_cast<char*>(word));
    }
    arguments.push_back(nullptr);
    return parse_options(static_cast<int>(words.size()), arguments.data());
  };
  EXPECT_EQ(parse({"--systemd"}), Verb::kServe);
  EXPECT_EQ(parse({"-s", "-f"}), Verb::kServe);
  EXPECT_EQ(parse({"--dump"}), Verb::kDump);
  EXPECT_FALSE(parse({"--nonsense"}));
  EXPECT_FALSE(parse({"more"}));
}

}  // namespace
}  // namespace rdmaboot::iwpm
