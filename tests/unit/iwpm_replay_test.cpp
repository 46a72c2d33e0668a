// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
// Our session in the place of rdma-core's iwpmd: it gets what that one got from the kernel and from
// peers, and has to say what that one said, byte for byte, except for handles (ours are random) and
// for bytes of addresses that carry nothing (ours are zero, theirs are leaked stack, to the kernel
// as to peers).
#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "iwpm/session.hpp"
#include "iwpm_fakes.hpp"

namespace rdmaboot::iwpm {
namespace {

using test::at;
using test::attribute_of;
using test::decoded;
using test::FakeWorld;
using test::golden;
using test::hex;
using test::Line;
using test::Octets;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::size_t kHandleAt = 8;
constexpr std::size_t kHandleSize = 8;

Octets without_leaks(Octets datagram) {
  if (std::to_integer<unsigned>(datagram[0] & std::byte{15}) == 4) {
    for (std::size_t address = 16; address < datagram.size(); address += 16) {
      std::fill_n(datagram.begin() + static_cast<std::ptrdiff_t>(address) + 4, 12, std::byte{0});
    }
  }
  return datagram;
}

/// A message to the kernel; each attribute of 128 bytes is an address.
Octets without_leaks_to_kernel(Octets message) {
  constexpr std::size_t kAddress = 128;
  for (std::size_t at = 16; at + 4 <= message.size();) {
    nlattr header{};
    std::memcpy(&header, message.data() + at, sizeof(header));
    const auto payload = message.begin() + static_cast<std::ptrdiff_t>(at) + 4;
    if (header.nla_len == 4 + kAddress) {
      const bool four = payload[0] == std::byte{AF_INET};
      if (!four) {
        std::fill(payload + 4, payload + 8, std::byte{0});  // the flow label
      }
      std::fill(payload + (four ? 8 : 24), payload + kAddress, std::byte{0});
    }
    at += (header.nla_len + 3U) & ~3U;
  }
  return message;
}

std::string handle_of_text(const Octets& datagram) {
  return hex(Octets(datagram.begin() + kHandleAt, datagram.begin() + kHandleAt + kHandleSize));
}

void put_handle(Octets& datagram, const Octets& from) {
  std::copy_n(from.begin() + kHandleAt, kHandleSize, datagram.begin() + kHandleAt);
}

/// What was said, ours and theirs, as comparable lines.
struct Said {
  std::vector<std::string> to_kernel;
  std::vector<std::string> to_peers;
};

class Replay {
 public:
  Replay(const std::string& file, std::uint32_t port_id)
      : lines_(golden(file)), session({}, clock, world, port_id) {
    session.greet();
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      step(i);
    }
    for (const Octets& message : world.kernel) {
      ours.to_kernel.push_back(hex(message));
    }
    for (const FakeWorld::Datagram& sent : world.peers) {
      ours.to_peers.push_back(text(sent.via, sent.peer, sent.bytes));
    }
  }

 private:
  void step(std::size_t i) {
    const Line& line = lines_[i];
    if (line.words[0] == "kernel") {
      choose_port(i);
      session.from_kernel(line.bytes);
    } else if (line.words[0] == "daemon") {
      theirs.to_kernel.push_back(hex(without_leaks_to_kernel(line.bytes)));
    } else if (line.words[0] == "heard") {
      Octets datagram = line.bytes;
      if (const auto known = our_datagrams_.find(handle_of_text(datagram));
          known != our_datagrams_.end()) {
        put_handle(datagram, known->second);
      }
      session.from_peer(via_of(line), peer_of(line), datagram);
    } else if (line.words[0] == "said") {
      Octets datagram = without_leaks(line.bytes);
      if (via_of(line) == Via::kAsking && !world.peers.empty()) {
        const auto& mine =
            our_datagrams_.emplace(handle_of_text(datagram), world.peers.back().bytes);
        put_handle(datagram, mine.first->second);
      }
      theirs.to_peers.push_back(text(via_of(line), peer_of(line), datagram));
    }
  }

  /// The port that they reserved next, if they did so before anything else happened.
  void choose_port(std::size_t i) {
    world.reserve_error = 0;
    for (std::size_t next = i + 1; next < lines_.size(); ++next) {
      if (lines_[next].words[0] == "port") {
        world.next_port = static_cast<std::uint16_t>(std::stoi(lines_[next].words[1]));
        world.reserve_error = world.next_port == 0 ? EMFILE : 0;
        return;
      }
      if (lines_[next].words[0] != "daemon") {
        return;
      }
    }
  }

  static Via via_of(const Line& line) {
    return line.words[1] == "asking" ? Via::kAsking : Via::kAnswering;
  }
  static Address peer_of(const Line& line) {
    return at(line.words[2], static_cast<std::uint16_t>(std::stoi(line.words[3])));
  }
  static std::string text(Via via, const Address& peer, const Octets& datagram) {
    return (via == Via::kAsking ? "asking " : "answering ") + peer.text() + " " + hex(datagram);
  }

  std::vector<Line> lines_;
  std::map<std::string, Octets> our_datagrams_;  ///< by the handle that theirs had

 public:
  core::ManualClock clock;
  FakeWorld world;
  Session session;
  Said ours;
  Said theirs;
};

TEST(Replay, BetweenTwoHostsTheSameIsSaidToTheKernelAndToPeers) {
  const Replay replay("hosts.txt", 291);
  EXPECT_EQ(replay.ours.to_kernel, replay.theirs.to_kernel);
  EXPECT_EQ(replay.ours.to_peers, replay.theirs.to_peers);
  // Both directions, both families, accepted and rejected, with and without a reserved port.
  const Counters& counted = replay.session.counters();
  EXPECT_EQ(counted.requests_accepted, 6U);
  EXPECT_EQ(counted.requests_rejected, 2U);
  EXPECT_EQ(counted.answered, 4U);
  EXPECT_EQ(counted.rejected, 2U);
  EXPECT_EQ(counted.datagrams_ignored, 0U);
  EXPECT_EQ(counted.messages_malformed, 0U);
  EXPECT_EQ(replay.world.wrong_releases, 0);
  EXPECT_THAT(replay.world.held, SizeIs(2)) << "those of the two listeners";
}

TEST(Replay, ARestartTakesInAllThatTheKernelLists) {
  const Replay replay("restart.txt", 434);
  // rdma-core's stopped at a port that it could not reserve again, and took in 5 of 10: there the
  // bytes differ.
  ASSERT_THAT(replay.ours.to_kernel, SizeIs(3));
  ASSERT_THAT(replay.theirs.to_kernel, SizeIs(4));
  EXPECT_EQ(replay.ours.to_kernel[0], replay.theirs.to_kernel[0]);
  EXPECT_EQ(replay.ours.to_kernel[1], replay.theirs.to_kernel[1]);
  const Octets& ours = replay.world.kernel[2];
  EXPECT_EQ(hex(attribute_of(ours, IWPM_NLA_MAPINFO_SEQ)), "1a000000");
  EXPECT_EQ(hex(attribute_of(ours, IWPM_NLA_MAPINFO_SEND_NUM)), "0a000000");
  EXPECT_EQ(hex(attribute_of(ours, IWPM_NLA_MAPINFO_ACK_NUM)), "0a000000");
  EXPECT_EQ(replay.session.kernel(), Kernel::kServed);
  // Listed twice: the two wildcards, and one address that two network namespaces have.
  std::vector<std::string> twice;
  for (const auto& [local, mapping] : replay.session.mappings().all()) {
    if (mapping.references == 2) {
      twice.push_back(local.text());
    }
  }
  EXPECT_THAT(twice,
              ::testing::UnorderedElementsAre("0.0.0.0:7204", "[::]:7205", "10.77.0.1:7200"));
  EXPECT_EQ(replay.session.mappings().find_for_peer(at("10.77.0.1", 7202))->second.mapped,
            at("10.77.0.1", 38829));
  EXPECT_EQ(replay.session.mappings().find_for_peer(at("fd77::1", 7203))->second.mapped,
            at("fd77::1", 34385));
}

TEST(Golden, EveryMessageOfBothProtocolsWasCaptured) {
  std::set<std::string> from_kernel;
  std::set<std::string> to_kernel;
  std::set<unsigned> datagrams;
  for (const char* file : {"netlink.txt", "hosts.txt", "restart.txt"}) {
    for (const Line& line : golden(file)) {
      if (line.words[0] == "kernel") {
        from_kernel.insert(line.words[1]);
        const auto message = decoded(line.bytes);
        ASSERT_TRUE(message) << line.words[1];
        EXPECT_FALSE(std::holds_alternative<Malformed>(message->body)) << line.words[1];
      } else if (line.words[0] == "daemon") {
        to_kernel.insert(line.words[1]);
      } else if (line.words[0] == "said" || line.words[0] == "heard") {
        datagrams.insert(std::to_integer<unsigned>(line.bytes[0]));
        const auto message = decode(line.bytes);
        ASSERT_TRUE(message);
        EXPECT_EQ(hex(test::octets(encode(*message).view())), hex(without_leaks(line.bytes)));
      }
    }
  }
  EXPECT_THAT(from_kernel, ElementsAre("ADD_MAPPING", "DONE", "HELLO", "MAPINFO", "MAPINFO_NUM",
                                       "QUERY_MAPPING", "REG_PID", "REMOVE_MAPPING"));
  EXPECT_THAT(to_kernel, ElementsAre("ADD_MAPPING", "HANDLE_ERR", "HELLO", "MAPINFO", "MAPINFO_NUM",
                                     "QUERY_MAPPING", "REG_PID", "REMOTE_INFO"));
  EXPECT_THAT(datagrams, ElementsAre(0x04, 0x06, 0x14, 0x16, 0x24, 0x26, 0x34, 0x36));
}

}  // namespace
}  // namespace rdmaboot::iwpm
