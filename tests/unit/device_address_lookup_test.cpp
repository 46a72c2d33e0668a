// SPDX-License-Identifier: BSD-2-Clause
//
// From a network device or an IPv4 address to the RDMA port and its GID.
#include "device/address_lookup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rdmaboot::device {
namespace {

constexpr std::uint32_t kAddress = 0x0a000001;  // 10.0.0.1

GidEntry gid(std::uint32_t index, const std::string& text, GidType type,
             const std::string& netdev) {
  return {index, *Gid::parse(text), type, netdev};
}

Port roce_port(const std::string& netdev) {
  Port port;
  port.number = PortNumber{1};
  port.protocol = Protocol::kRoce;
  port.state = PortState::kActive;
  port.active_mtu = 1024;
  port.netdevs = {{netdev, {}}};
  port.gids = {gid(0, "fe80::1", GidType::kRoceV2, netdev),
               gid(2, "::ffff:10.0.0.1", GidType::kRoceV1, netdev),
               gid(5, "::ffff:10.0.0.1", GidType::kRoceV2, netdev)};
  return port;
}

Snapshot machine(const std::string& name, Port port) {
  Device device;
  device.name = name;
  device.ports = {std::move(port)};
  Snapshot snapshot;
  snapshot.devices = {device};
  return snapshot;
}

TEST(AddressLookup, TheGidIsFoundByItsValueAndVersionTwoGoesFirst) {
  const auto ports = addressed_ports(machine("rxe0", roce_port("eth0")), {{"eth0", kAddress}});
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports[0].device, "rxe0");
  EXPECT_EQ(ports[0].port, PortNumber{1});
  EXPECT_EQ(ports[0].gid_index, 5U);
  EXPECT_EQ(ports[0].gid_type, GidType::kRoceV2);
  EXPECT_EQ(ports[0].mtu, 1024U);
  EXPECT_TRUE(ports[0].active);
}

TEST(AddressLookup, AnAddressThatIsNotInTheGidTableYetIsNoPorts) {
  EXPECT_TRUE(
      addressed_ports(machine("rxe0", roce_port("eth0")), {{"eth0", kAddress + 1}}).empty());
}

TEST(AddressLookup, ABondsAddressIsThePortsWhoseTableHasIt) {
  Port port = roce_port("eth0");
  for (GidEntry& entry : port.gids) {
    entry.netdev = "bond0";
  }
  const auto ports = addressed_ports(machine("mlx5_bond_0", port), {{"bond0", kAddress}});
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports[0].netdev, "bond0");
}

TEST(AddressLookup, TheSameAddressOnAnotherNetworkDeviceIsAnothers) {
  EXPECT_TRUE(addressed_ports(machine("rxe0", roce_port("eth0")), {{"eth7", kAddress}}).empty());
}

TEST(AddressLookup, OfIwarpAndInfinibandTheNetworkDeviceTells) {
  for (const Protocol protocol : {Protocol::kIwarp, Protocol::kInfiniBand}) {
    Port port = roce_port("eth0");
    port.protocol = protocol;
    port.gids = {gid(0, "5254::1", GidType::kUnknown, "")};
    const auto ports = addressed_ports(machine("siw0", port), {{"eth0", kAddress}});
    ASSERT_EQ(ports.size(), 1U);
    EXPECT_EQ(ports[0].gid_index, 0U);
    EXPECT_TRUE(addressed_ports(machine("siw0", port), {{"eth1", kAddress}}).empty());
  }
}

TEST(AddressLookup, ANetworkDeviceOrAnAddressOrBothSelect) {
  AddressedPort first;
  first.netdev = "eth0";
  first.ipv4 = 1;
  first.active = true;
  AddressedPort second = first;
  second.netdev = "eth1";
  second.ipv4 = 2;
  const std::vector<AddressedPort> ports{first, second};
  EXPECT_EQ(find_addressed_port(ports, "", {})->netdev, "eth0");
  EXPECT_EQ(find_addressed_port(ports, "eth1", {})->ipv4, 2U);
  EXPECT_EQ(find_addressed_port(ports, "", 2)->netdev, "eth1");
  EXPECT_FALSE(find_addressed_port(ports, "eth0", 2));
  EXPECT_FALSE(find_addressed_port({}, "", {}));
}

TEST(AddressLookup, AnActivePortGoesBeforeOthers) {
  AddressedPort down;
  down.device = "a";
  AddressedPort up;
  up.device = "b";
  up.active = true;
  EXPECT_EQ(find_addressed_port({down, up}, "", {})->device, "b");
  EXPECT_EQ(find_addressed_port({down}, "", {})->device, "a");
}

}  // namespace
}  // namespace rdmaboot::device
