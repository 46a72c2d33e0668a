// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// An iwpm::Session in a fake world, as the tests of sessions share it.

#include <algorithm>
#include <cstdint>
#include <memory>

#include <gtest/gtest.h>

#include "iwpm/session.hpp"
#include "iwpm_fakes.hpp"

namespace rdmaboot::iwpm {

inline constexpr std::uint32_t kOurPortId = 358;  // of the captured daemon
inline constexpr std::uint32_t kNoPortMap = IWPM_FLAGS_NO_PORT_MAP;

/// A session with everything around it; it is greeted and the kernel serves it.
class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }

  void start() {
    session = std::make_unique<Session>(settings, clock, world, kOurPortId);
    session->greet();
    say(test::KernelSays::hello(4));
    say(test::KernelSays::finished(0));
    say(test::KernelSays::finished(1));
    forget();
  }
  void forget() {
    world.kernel.clear();
    world.peers.clear();
  }
  void say(const test::Octets& message) { session->from_kernel(message); }
  void from(Via via, const Address& peer, const WireMessage& message) {
    session->from_peer(via, peer, encode(message).view());
  }
  /// What the last datagram that went out says.
  WireMessage last_sent() {
    EXPECT_FALSE(world.peers.empty());
    return world.peers.empty() ? WireMessage{}
                               : decode(world.peers.back().bytes).value_or(WireMessage{});
  }
  /// Lets time pass as an event loop would: each deadline test::at its time.
  void pass(core::Microseconds time) {
    const core::Microseconds end = clock.now() + time;
    int turns = 0;
    for (auto next = session->next_deadline(); next && *next <= end;
         next = session->next_deadline()) {
      clock.advance(std::max(core::Microseconds(0), *next - clock.now()));
      session->deadline();
      ASSERT_LT(++turns, 10000) << "the session spins";
    }
    clock.advance(end - clock.now());
  }
  void query(std::uint16_t local_port = 5000, std::uint32_t sequence = 10) {
    say(test::KernelSays::query(sequence, test::at("10.0.0.1", local_port), kRemote, kNoPortMap));
  }
  /// The error code of the last message to the kernel, which has to answer a query.
  std::uint16_t query_error() {
    EXPECT_FALSE(world.kernel.empty());
    if (world.kernel.empty()) {
      return 0;
    }
    EXPECT_EQ(test::operation_of(world.kernel.back()), unsigned{RDMA_NL_IWPM_QUERY_MAPPING});
    return test::u16_of(world.kernel.back(), IWPM_NLA_RQUERY_MAPPING_ERR);
  }
  WireMessage request(std::uint64_t handle, std::uint16_t port = 7200) {
    WireMessage message;
    message.handle = handle;
    message.connecting = test::at("10.0.0.2", 6000);
    message.accepting = test::at("10.0.0.1", port);
    message.connecting_mapped = test::at("10.0.0.2", 6001);
    return message;
  }

  const Address kRemote = test::at("10.0.0.2", 7300);
  const Address kPeer = test::at("10.0.0.2", kMapperPort);
  const Address kAsker = test::at("10.0.0.2", 50000);
  core::ManualClock clock;
  test::FakeWorld world;
  Settings settings;
  std::unique_ptr<Session> session;
};

}  // namespace rdmaboot::iwpm
