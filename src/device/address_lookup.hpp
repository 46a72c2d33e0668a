// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which RDMA port an IPv4 address, or a network device, stands for. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/device.hpp"

namespace rdmaboot::device {

/// An IPv4 address of a network device.
struct NetdevIpv4 {
  std::string netdev;
  std::uint32_t ipv4 = 0;  ///< as an integer: 10.0.0.1 is 0x0a000001
};

/// A port that can be reached under an address.
struct AddressedPort {
  std::string device;
  PortNumber port;
  std::string netdev;
  std::uint32_t ipv4 = 0;
  std::uint32_t gid_index = 0;  ///< found by the GID's value: it moves when links flap
  Gid gid;
  GidType gid_type = GidType::kUnknown;
  std::optional<std::uint32_t> mtu;  ///< active, bytes; of a snapshot with verbs
  bool active = false;               ///< the port's state is ACTIVE
};

/// Every port under each of `addresses`, in the order of the addresses. On RoCE a port stands for
/// an address when its GID table has it, which is also so for bonds and VLANs; RoCE v2 goes before
/// v1. On InfiniBand and iWARP it does when the network device is the port's, with the port's first
/// GID.
/// @param addresses of the machine that the snapshot is of
[[nodiscard]] std::vector<AddressedPort> addressed_ports(const Snapshot& snapshot,
                                                         const std::vector<NetdevIpv4>& addresses);

/// The first port of them whose network device has that name (or any, if it is empty) and whose
/// address is that one (or any, if there is none); an active one before others.
[[nodiscard]] std::optional<AddressedPort> find_addressed_port(
    const std::vector<AddressedPort>& ports, std::string_view netdev,
    std::optional<std::uint32_t> ipv4);

}  // namespace rdmaboot::device
