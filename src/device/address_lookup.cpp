// SPDX-License-Identifier: BSD-2-Clause
#include "device/address_lookup.hpp"

#include <algorithm>

namespace rdmaboot::device {
namespace {

/// ::ffff:a.b.c.d, as a RoCE GID table has it.
Gid mapped(std::uint32_t ipv4) {
  Gid gid;
  gid.bytes[10] = gid.bytes[11] = 0xff;
  for (unsigned index = 0; index < 4; ++index) {
    gid.bytes.at(12 + index) = static_cast<std::uint8_t>(ipv4 >> (24 - 8 * index));
  }
  return gid;
}

bool has_netdev(const Port& port, const std::string& name) {
  return std::any_of(port.netdevs.begin(), port.netdevs.end(),
                     [&](const Netdev& netdev) { return netdev.name == name; });
}

/// The entry that stands for the address, or nullptr.
const GidEntry* entry_for(const Port& port, const NetdevIpv4& address) {
  if (port.protocol == Protocol::kRoce) {
    const Gid wanted = mapped(address.ipv4);
    const GidEntry* best = nullptr;
    for (const GidEntry& entry : port.gids) {
      const bool matches =
          entry.gid == wanted && (entry.netdev == address.netdev || entry.netdev.empty());
      if (matches && (best == nullptr || entry.type > best->type)) {
        best = &entry;
      }
    }
    return best;
  }
  return has_netdev(port, address.netdev) && !port.gids.empty() ? &port.gids.front() : nullptr;
}

}  // namespace

std::vector<AddressedPort> addressed_ports(const Snapshot& snapshot,
                                           const std::vector<NetdevIpv4>& addresses) {
  static_assert(GidType::kRoceV2 > GidType::kRoceV1);
  std::vector<AddressedPort> found;
  for (const NetdevIpv4& address : addresses) {
    for (const Device& device : snapshot.devices) {
      for (const Port& port : device.ports) {
        if (const GidEntry* const entry = entry_for(port, address)) {
          found.push_back({.device = device.name,
                           .port = port.number,
                           .netdev = address.netdev,
                           .ipv4 = address.ipv4,
                           .gid_index = entry->index,
                           .gid = entry->gid,
                           .gid_type = entry->type,
                           .mtu = port.active_mtu,
                           .active = port.state == PortState::kActive});
        }
      }
    }
  }
  return found;
}

std::optional<AddressedPort> find_addressed_port(const std::vector<AddressedPort>& ports,
                                                 std::string_view netdev,
                                                 std::optional<std::uint32_t> ipv4) {
  const AddressedPort* best = nullptr;
  for (const AddressedPort& port : ports) {
    const bool wanted = (netdev.empty() || port.netdev == netdev) && (!ipv4 || port.ipv4 == *ipv4);
    if (wanted && (best == nullptr || (port.active && !best->active))) {
      best = &port;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace rdmaboot::device
