// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The IP addresses of this machine's network devices.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

struct NetdevAddress {
  std::string netdev;
  std::array<std::uint8_t, 16> bytes{};  ///< an IPv6 address; IPv4 as ::ffff:a.b.c.d (RFC 4291)
};

/// All IPv4 and IPv6 addresses in the caller's network namespace. An address with a label of its
/// own ("eth0:1") is the device's. Blocks for one question to the kernel. Errors: errno of
/// getifaddrs.
[[nodiscard]] core::Result<std::vector<NetdevAddress>> netdev_addresses();

/// The IPv4 address that it is, as an integer (10.0.0.1 is 0x0a000001); nothing for IPv6.
[[nodiscard]] std::optional<std::uint32_t> ipv4_of(const NetdevAddress& address);

}  // namespace rdmaboot::os
