// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Who is asked, and as whom. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/address_lookup.hpp"
#include "rdmaboot/engine/nid.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::rdmactl {

/// A peer as an administrator names it.
struct PeerName {
  std::string host;  ///< a name or an IPv4 address
  std::uint16_t network = 0;
};

/// Reads "10.0.0.1@o2ib1", "10.0.0.1", "host" or "host@o2ib1".
/// Errors: an empty name, a network of another type.
[[nodiscard]] core::Result<PeerName> parse_peer(std::string_view text);

/// Reads "rxe0" or "rxe0:1": of `ports` those of that device, or that port of it.
/// Errors: none of them, with the addresses that there are.
[[nodiscard]] core::Result<std::vector<device::AddressedPort>> ports_on(
    const std::vector<device::AddressedPort>& ports, std::string_view text);

/// The port of this host to ask from.
/// @param ports of this host with their addresses
/// @param from wanted by the administrator
/// @param any_will_do where the route leads elsewhere, or to the peer's own address, the first of
/// `ports` is taken that is not the peer
/// @param route the address that this host would send from to the peer; nothing: there is no route
/// Errors: no port has that address, no route, or it leads over no RDMA port, or to this host
/// itself: then with the addresses that there are.
[[nodiscard]] core::Result<device::AddressedPort> choose_source(
    const std::vector<device::AddressedPort>& ports, std::uint32_t peer,
    std::optional<std::uint32_t> from, std::optional<std::uint32_t> route,
    bool any_will_do = false);

}  // namespace rdmaboot::rdmactl
