// SPDX-License-Identifier: BSD-2-Clause
// link: responder-policy
//
// rdma-responder: its configuration, whom it admits, and when it tries again.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rdmaboot/engine/responder.hpp"
#include "responder/policy.hpp"
#include "responder/service.hpp"
#include "responder/settings.hpp"

namespace rdmaboot::responder {
namespace {

using testing::HasSubstr;

SettingsRead read(const std::string& lines) {
  SettingsRead settings;
  add_settings("[Responder]\n" + lines, "responder.conf", settings);
  return settings;
}

device::AddressedPort a_port() {
  device::AddressedPort port;
  port.device = "rxe0";
  port.port = device::PortNumber{1};
  port.netdev = "eth0";
  port.ipv4 = 0x0a000001;
  return port;
}

TEST(ResponderSettings, EveryKeyIsTaken) {
  const SettingsRead got = read(
      "Device=eth0\nAddress=10.0.0.1@o2ib2\nPort=1987\nAllow=10.0.0.0/24@o2ib2 10.0.0.9\n"
      "Allow=10.1.0.1\nBuffer=2M\nMaxPeers=3\nMaxConnections=4\nMaxConnectionsOfAPeer=2\n"
      "MaxMemory=1G\n");
  EXPECT_TRUE(got.errors.empty());
  EXPECT_EQ(got.settings.netdev, "eth0");
  EXPECT_EQ(got.settings.ipv4, 0x0a000001U);
  EXPECT_EQ(got.settings.network, 2);
  EXPECT_EQ(got.settings.port, 1987);
  ASSERT_EQ(got.settings.allowed.size(), 3U);
  EXPECT_EQ(got.settings.allowed[0].prefix_bits, 24);
  EXPECT_EQ(got.settings.allowed[2].nid, engine::Nid::o2ib(0x0a010001));
  EXPECT_EQ(got.settings.buffer, 2U << 20);
  EXPECT_EQ(got.settings.max_peers, 3U);
  EXPECT_EQ(got.settings.max_connections, 4U);
  EXPECT_EQ(got.settings.max_connections_of_a_peer, 2U);
  EXPECT_EQ(got.settings.max_memory, 1U << 30);
}

TEST(ResponderSettings, AWrongLineIsNamedAndTheOthersCount) {
  const SettingsRead got = read("Port=0\nDevice=eth1\n");
  ASSERT_EQ(got.errors.size(), 1U);
  EXPECT_THAT(got.errors[0].message(), HasSubstr("line 2 of responder.conf"));
  EXPECT_EQ(got.settings.port, 987);
  EXPECT_EQ(got.settings.netdev, "eth1");
}

TEST(ResponderSettings, ValuesOutOfRangeAreRefused) {
  for (const char* const line :
       {"Port=65536", "Port=x", "Buffer=1", "Buffer=2G", "Buffer=99999999999999999999",
        "Buffer=18446744073709551615G", "MaxPeers=0", "MaxConnections=0",
        "MaxConnectionsOfAPeer=128", "MaxMemory=1M", "Device=", "Device=a/b",
        "Device=0123456789abcdef", "Address=fe80::1", "Address=10.0.0.1@tcp", "Allow=everybody",
        "Allow=10.0.0.0/33", "Unknown=1"}) {
    EXPECT_EQ(read(line).errors.size(), 1U) << line;
  }
}

TEST(ResponderSettings, AnotherSectionIsRefused) {
  SettingsRead settings;
  add_settings("Port=1\n[Other]\nPort=2\n", "responder.conf", settings);
  EXPECT_EQ(settings.errors.size(), 2U);
  EXPECT_EQ(settings.settings.port, 987);
}

TEST(ResponderSettings, ALongAllowListEnds) {
  std::string lines;
  for (std::size_t count = 0; count <= kMostAllowed; ++count) {
    lines += "Allow=10.0.0.1\n";
  }
  const SettingsRead got = read(lines);
  EXPECT_EQ(got.settings.allowed.size(), kMostAllowed);
  EXPECT_EQ(got.errors.size(), 1U);
}

TEST(ResponderPolicy, AnEmptyAllowListAdmitsThisHostAlone) {
  const engine::Settings settings = engine_settings({}, a_port(), 1);
  ASSERT_EQ(settings.allowed.size(), 1U);
  EXPECT_EQ(settings.allowed[0].nid, engine::Nid::o2ib(0x0a000001));
  EXPECT_EQ(settings.allowed[0].prefix_bits, 32);
  EXPECT_TRUE(settings.check_source_address);
}

TEST(ResponderPolicy, ThisHostIsAdmittedBesideTheList) {
  const SettingsRead got = read("Allow=10.0.0.2\n");
  EXPECT_EQ(engine_settings(got.settings, a_port(), 1).allowed.size(), 2U);
}

TEST(ResponderPolicy, LimitsBoundTheEngine) {
  const SettingsRead got = read(
      "MaxPeers=3\nMaxConnections=4\nMaxConnectionsOfAPeer=2\n"
      "MaxMemory=8M\nAddress=10.0.0.1@o2ib7\nPort=9\n");
  const engine::Settings settings = engine_settings(got.settings, a_port(), 77);
  EXPECT_EQ(settings.nid, engine::Nid::o2ib(0x0a000001, 7));
  EXPECT_EQ(settings.port, 9);
  EXPECT_EQ(settings.incarnation, 77U);
  EXPECT_EQ(settings.max_peers, 3U);
  EXPECT_EQ(settings.max_connections, 4U);
  EXPECT_EQ(settings.max_half_open, 4U);
  EXPECT_EQ(settings.max_connections_of_a_peer, 2U);
  EXPECT_EQ(settings.max_half_open_of_a_peer, 2U);
  EXPECT_EQ(settings.max_memory, 8U << 20);
}

TEST(ResponderPolicy, SaysWhatItWaitsForAndWhereItServes) {
  EXPECT_EQ(wanted_text({}), "an RDMA port with an IPv4 address");
  EXPECT_EQ(wanted_text(read("Address=10.0.0.1\nDevice=eth0\n").settings),
            "an RDMA port with address 10.0.0.1 on eth0");
  EXPECT_EQ(serving_text(a_port(), engine::Nid::o2ib(0x0a000001)),
            "10.0.0.1@o2ib on rxe0 port 1 (eth0)");
}

TEST(ResponderRetry, PausesDoubleUpToABoundAndBeginAnew) {
  Retry retry;
  EXPECT_EQ(retry.failed(), kFirstPause);
  EXPECT_EQ(retry.failed(), 2 * kFirstPause);
  for (int count = 0; count < 20; ++count) {
    EXPECT_LE(retry.failed(), kLongestPause);
  }
  EXPECT_EQ(retry.failed(), kLongestPause);
  retry.reset();
  EXPECT_EQ(retry.failed(), kFirstPause);
}

TEST(ResponderBuffer, IsAsLargeAsAskedAndZero) {
  const auto buffer = Buffer::allocate(10000);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->span().size(), 10000U);
  EXPECT_TRUE(std::all_of(buffer->span().begin(), buffer->span().end(),
                          [](std::byte each) { return each == std::byte{0}; }));
  EXPECT_FALSE(Buffer::allocate(0));
}

}  // namespace
}  // namespace rdmaboot::responder
