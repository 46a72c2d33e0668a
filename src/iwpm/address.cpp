// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/address.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include <arpa/inet.h>

#include "core/text.hpp"

namespace rdmaboot::iwpm {
namespace {

std::uint64_t mix(std::uint64_t value) {
  // The finaliser of MurmurHash3 (public domain, Austin Appleby).
  value ^= value >> 33U;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33U;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ (value >> 33U);
}

std::uint64_t process_key() {
  static const std::uint64_t key = [] {
    std::random_device device;
    return (static_cast<std::uint64_t>(device()) << 32U) | device();
  }();
  return key;
}

}  // namespace

Address Address::with_port(std::uint16_t other) const {
  Address changed = *this;
  changed.port = other;
  return changed;
}

Address Address::with_ip(const IpBytes& other) const {
  Address changed = *this;
  changed.ip = other;
  return changed;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const bool v4 = family == Family::kIpv4;
  static_cast<void>(::inet_ntop(v4 ? AF_INET : AF_INET6, ip.data(), buffer.data(), buffer.size()));
  const std::string name = buffer.data();
  return (v4 ? name : "[" + name + "]") + ":" + std::to_string(port);
}

std::uint64_t keyed_hash(const IpBytes& ip, std::uint64_t extra) noexcept {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::memcpy(&first, ip.data(), sizeof(first));
  std::memcpy(&second, ip.data() + sizeof(first), sizeof(second));
  return mix(mix(mix(first ^ process_key()) ^ second) ^ extra);
}

std::size_t AddressHash::operator()(const Address& address) const noexcept {
  return keyed_hash(address.ip, (static_cast<std::uint64_t>(address.family) << 16U) | address.port);
}

std::optional<Address> parse_ip(std::string_view text) {
  const std::string copy(text);
  Address address;
  if (::inet_pton(AF_INET, copy.c_str(), address.ip.data()) == 1) {
    return address;
  }
  address = {};
  address.family = Family::kIpv6;
  if (copy.find('\0') == std::string::npos &&
      ::inet_pton(AF_INET6, copy.c_str(), address.ip.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

bool Network::contains(const Address& address) const {
  if (address.family != base.family) {
    return false;
  }
  const unsigned whole = prefix / 8;
  if (!std::equal(base.ip.begin(), base.ip.begin() + whole, address.ip.begin())) {
    return false;
  }
  const unsigned rest = prefix % 8;
  if (rest == 0) {
    return true;
  }
  const unsigned mask = 0xffU << (8U - rest);
  return ((static_cast<unsigned>(base.ip[whole]) ^ address.ip[whole]) & mask & 0xffU) == 0;
}

std::optional<Network> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto base = parse_ip(text.substr(0, slash));
  if (!base) {
    return std::nullopt;
  }
  const unsigned longest = base->family == Family::kIpv4 ? 32 : 128;
  unsigned prefix = longest;
  if (slash != std::string_view::npos) {
    const auto given = core::parse_number<unsigned>(text.substr(slash + 1));
    if (!given || *given > longest) {
      return std::nullopt;
    }
    prefix = *given;
  }
  return Network{*base, prefix};
}

}  // namespace rdmaboot::iwpm
