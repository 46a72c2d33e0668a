// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The datagrams between port mappers (UDP port 3935). Fixed layouts of 48 and 64 bytes, integers in
// network byte order; checked against captures of rdma-core's iwpmd 44.0 (tests/data/iwpm).
//
//   0  1  version (bits 7-6, always 0), type (5-4), IP version (3-0: 4 or 6)
//   1  1  pmtime, 0
//   2  2  request: the connecting peer's mapped port; otherwise 0
//   4  2  accepting peer's port: unmapped in a request and a reject, mapped in an accept and its
//   ack 6  2  connecting peer's port, unmapped 8  8  association handle, chosen by who asks, echoed
//  16 16  connecting peer's address
//  32 16  accepting peer's address
//  48 16  request only: the connecting peer's mapped address

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "iwpm/address.hpp"

namespace rdmaboot::iwpm {

inline constexpr std::uint16_t kMapperPort = 3935;
inline constexpr std::size_t kWireSize = 48;
inline constexpr std::size_t kWireRequestSize = 64;

enum class WireType : std::uint8_t { kRequest = 0, kAccept = 1, kAck = 2, kReject = 3 };

/// One datagram, addresses put together from their parts.
struct WireMessage {
  WireType type = WireType::kRequest;
  std::uint64_t handle = 0;
  Address connecting;         ///< unmapped
  Address accepting;          ///< request, reject: as asked for; accept, ack: mapped
  Address connecting_mapped;  ///< request only
};

/// An encoded datagram. Every byte that carries nothing is zero.
struct WireBytes {
  std::array<std::byte, kWireRequestSize> bytes{};
  std::size_t size = kWireSize;
  [[nodiscard]] std::span<const std::byte> view() const { return std::span(bytes).first(size); }
};

/// The family is that of `message.connecting`.
[[nodiscard]] WireBytes encode(const WireMessage& message);

/// Total. Nothing unless the length is the one of the type (64 for a request, 48 for the rest), the
/// version is 0 and the IP version is 4 or 6. Bytes that carry nothing are not looked at: rdma-core
/// leaves garbage there.
[[nodiscard]] std::optional<WireMessage> decode(std::span<const std::byte> datagram);

/// The handle of a datagram of ours that an ICMP error carried back, which may have been cut.
/// Nothing unless the handle is there.
[[nodiscard]] std::optional<std::uint64_t> handle_of(std::span<const std::byte> cut_datagram);

}  // namespace rdmaboot::iwpm
