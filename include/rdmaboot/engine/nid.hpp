// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// An LNet network identifier (NID) of type o2ib, as it travels: 64 bits, an IPv4 address in them.

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "rdmaboot/export.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::engine {

/// "10.0.0.1@o2ib0": bits 63..56 zero, 55..48 the type of network (5: o2ib), 47..32 the network's
/// number, 31..0 the IPv4 address as an integer.
struct Nid {
  static constexpr std::uint8_t kTypeO2ib = 5;
  static constexpr std::uint8_t kTypeLoopback = 9;

  std::uint64_t value = 0;

  /// The NID of an address on a network of type o2ib.
  /// @param ipv4 the address as an integer: 10.0.0.1 is 0x0a000001
  [[nodiscard]] static constexpr Nid o2ib(std::uint32_t ipv4, std::uint16_t network = 0) {
    return {(std::uint64_t{kTypeO2ib} << 48) | (std::uint64_t{network} << 32) | ipv4};
  }
  /// "Whoever it is"; never a sender.
  [[nodiscard]] static constexpr Nid any() { return {~std::uint64_t{0}}; }
  /// 0@lo, the first entry of every ping's answer.
  [[nodiscard]] static constexpr Nid loopback() { return {std::uint64_t{kTypeLoopback} << 48}; }

  [[nodiscard]] constexpr std::uint32_t ipv4() const { return static_cast<std::uint32_t>(value); }
  [[nodiscard]] constexpr std::uint16_t network() const {
    return static_cast<std::uint16_t>(value >> 32);
  }
  [[nodiscard]] constexpr std::uint8_t type() const {
    return static_cast<std::uint8_t>(value >> 48);
  }
  auto operator<=>(const Nid&) const = default;
};

/// Reads "10.0.0.1@o2ib", "10.0.0.1@o2ib3", or an address alone, which is on network o2ib0.
/// Errors: text that is none of these, naming it.
[[nodiscard]] RDMABOOT_API core::Result<Nid> parse_nid(std::string_view text);

/// As lctl writes it: "10.0.0.1@o2ib" for network 0, "10.0.0.1@o2ib3", "0@lo", "<any>"; a value of
/// no known type as "<0x...>".
[[nodiscard]] RDMABOOT_API std::string to_string(Nid nid);

}  // namespace rdmaboot::engine
