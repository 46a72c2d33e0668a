// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/wire_codec.hpp"

#include <algorithm>
#include <cstring>

namespace rdmaboot::iwpm {
namespace {

constexpr std::size_t kMappedPortAt = 2;
constexpr std::size_t kAcceptingPortAt = 4;
constexpr std::size_t kConnectingPortAt = 6;
constexpr std::size_t kHandleAt = 8;
constexpr std::size_t kConnectingAt = 16;
constexpr std::size_t kAcceptingAt = 32;
constexpr std::size_t kConnectingMappedAt = 48;
constexpr std::size_t kIpv4Size = 4;

template <typename T>
void put(std::span<std::byte> into, std::size_t at, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) {
    into[at + i] = static_cast<std::byte>(value & 0xffU);
    value = static_cast<T>(value >> 8U);
  }
}

template <typename T>
T get(std::span<const std::byte> from, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>((value << 8U) | static_cast<T>(from[at + i]));
  }
  return value;
}

std::size_t ip_size(Family family) {
  return family == Family::kIpv4 ? kIpv4Size : IpBytes{}.size();
}

void put_ip(std::span<std::byte> into, std::size_t at, const Address& address, Family family) {
  std::memcpy(into.subspan(at).data(), address.ip.data(), ip_size(family));
}

Address get_address(std::span<const std::byte> from, std::size_t ip_at, std::size_t port_at,
                    Family family) {
  Address address;
  address.family = family;
  std::memcpy(address.ip.data(), from.subspan(ip_at).data(), ip_size(family));
  address.port = get<std::uint16_t>(from, port_at);
  return address;
}

}  // namespace

WireBytes encode(const WireMessage& message) {
  WireBytes out;
  const Family family = message.connecting.family;
  const std::span<std::byte> bytes(out.bytes);
  bytes[0] = static_cast<std::byte>((static_cast<unsigned>(message.type) << 4U) |
                                    static_cast<unsigned>(family));
  put(bytes, kAcceptingPortAt, message.accepting.port);
  put(bytes, kConnectingPortAt, message.connecting.port);
  put(bytes, kHandleAt, message.handle);
  put_ip(bytes, kConnectingAt, message.connecting, family);
  put_ip(bytes, kAcceptingAt, message.accepting, family);
  if (message.type == WireType::kRequest) {
    put(bytes, kMappedPortAt, message.connecting_mapped.port);
    put_ip(bytes, kConnectingMappedAt, message.connecting_mapped, family);
    out.size = kWireRequestSize;
  }
  return out;
}

std::optional<WireMessage> decode(std::span<const std::byte> datagram) {
  if (datagram.size() != kWireSize && datagram.size() != kWireRequestSize) {
    return std::nullopt;
  }
  const auto first = std::to_integer<unsigned>(datagram[0]);
  const unsigned ip_version = first & 0xfU;
  WireMessage message;
  message.type = static_cast<WireType>((first >> 4U) & 3U);
  const bool is_request = message.type == WireType::kRequest;
  if ((first >> 6U) != 0 || (ip_version != 4 && ip_version != 6) ||
      datagram.size() != (is_request ? kWireRequestSize : kWireSize)) {
    return std::nullopt;
  }
  const Family family = ip_version == 4 ? Family::kIpv4 : Family::kIpv6;
  message.handle = get<std::uint64_t>(datagram, kHandleAt);
  message.connecting = get_address(datagram, kConnectingAt, kConnectingPortAt, family);
  message.accepting = get_address(datagram, kAcceptingAt, kAcceptingPortAt, family);
  if (is_request) {
    message.connecting_mapped = get_address(datagram, kConnectingMappedAt, kMappedPortAt, family);
  }
  return message;
}

std::optional<std::uint64_t> handle_of(std::span<const std::byte> cut_datagram) {
  if (cut_datagram.size() < kHandleAt + sizeof(std::uint64_t)) {
    return std::nullopt;
  }
  return get<std::uint64_t>(cut_datagram, kHandleAt);
}

}  // namespace rdmaboot::iwpm
