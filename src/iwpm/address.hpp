// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A transport address as the port mapper handles it, and networks that are allowed to ask.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rdmaboot::iwpm {

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

/// The 16 bytes in which the wire protocol carries an address; IPv4 in the first four, rest zero.
using IpBytes = std::array<std::uint8_t, 16>;

/// An IP address and a TCP or UDP port.
struct Address {
  Family family = Family::kIpv4;
  IpBytes ip{};
  std::uint16_t port = 0;   ///< host byte order
  std::uint32_t scope = 0;  ///< interface index of a link-local IPv6 address; not compared

  /// The any-address of its family: a listener on all addresses of the host.
  [[nodiscard]] bool is_wildcard() const { return ip == IpBytes{}; }
  [[nodiscard]] Address with_port(std::uint16_t other) const;
  [[nodiscard]] Address with_ip(const IpBytes& other) const;
  /// "10.0.0.1:7200", "[fd00::1]:7200".
  [[nodiscard]] std::string text() const;

  /// Scopes are left out: a peer's datagram names addresses without one.
  friend bool operator==(const Address& a, const Address& b) {
    return a.family == b.family && a.port == b.port && a.ip == b.ip;
  }
};

/// Keyed with a value of this process, so that nobody can choose addresses that collide.
struct AddressHash {
  [[nodiscard]] std::size_t operator()(const Address& address) const noexcept;
};

/// Mixes 128 bits and a number with the process's key. Not cryptographic; it is not meant to be
/// reversed by who sees no output.
[[nodiscard]] std::uint64_t keyed_hash(const IpBytes& ip, std::uint64_t extra) noexcept;

/// Reads "10.0.0.1" or "fd00::1" (without a port). Nothing if it is not an address.
[[nodiscard]] std::optional<Address> parse_ip(std::string_view text);

/// An address with a prefix length: "10.0.0.0/8", "fd00::/8"; without "/" one address.
struct Network {
  Address base;
  unsigned prefix = 0;  ///< bits; at most 32 or 128
  [[nodiscard]] bool contains(const Address& address) const;
};

/// Nothing if it is not a network; bits after the prefix are ignored.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text);

}  // namespace rdmaboot::iwpm
