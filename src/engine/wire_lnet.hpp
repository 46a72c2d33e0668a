// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The LNet header that travels in IMMEDIATE, PUT_REQ and GET_REQ (section 3): 72 bytes, always
// little-endian. wire.hpp decodes and encodes it with the message around it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "rdmaboot/engine/nid.hpp"

namespace rdmaboot::engine::wire {

inline constexpr std::size_t kLnetHeaderBytes = 72;
inline constexpr std::uint32_t kMaxPayload = 1U << 20;  ///< LNet's MTU, bytes of one message
inline constexpr std::uint32_t kLnetPid = 12345;        ///< of LNet and Lustre, everywhere
inline constexpr std::uint32_t kReservedPortal = 0;     ///< LNet's own: ping
inline constexpr std::uint64_t kPingMatchBits = 0x8000000000000000;

/// Names an object of the peer's, for the peer: 16 bytes to be given back as they came.
struct Handle {
  std::array<std::byte, 16> bytes{};
  /// All ones: no such object, as in "no ACK wanted".
  [[nodiscard]] static constexpr Handle none() {
    Handle handle;
    handle.bytes.fill(std::byte{0xff});
    return handle;
  }
  auto operator<=>(const Handle&) const = default;
};

/// "The PUT arrived."
struct LnetAck {
  Handle destination{};  ///< from the PUT
  std::uint64_t match_bits = 0;
  std::uint32_t length = 0;  ///< bytes that found room
  auto operator<=>(const LnetAck&) const = default;
};

/// Bytes for a buffer that (portal, match bits) finds.
struct LnetPut {
  Handle ack = Handle::none();  ///< who wants the ACK
  std::uint64_t match_bits = 0;
  std::uint64_t header_data = 0;  ///< 64 bits for the receiver's consumer
  std::uint32_t portal = 0;
  std::uint32_t offset = 0;  ///< in the buffer, bytes
  auto operator<=>(const LnetPut&) const = default;
};

/// Asks for the bytes of a buffer.
struct LnetGet {
  Handle reply = Handle::none();  ///< who gets the REPLY
  std::uint64_t match_bits = 0;
  std::uint32_t portal = 0;
  std::uint32_t offset = 0;  ///< in the buffer, bytes
  std::uint32_t length = 0;  ///< room at the asker, bytes
  auto operator<=>(const LnetGet&) const = default;
};

/// The bytes asked for by a GET that was not optimized.
struct LnetReply {
  Handle destination{};  ///< from the GET
  auto operator<=>(const LnetReply&) const = default;
};

using LnetCommand = std::variant<LnetAck, LnetPut, LnetGet, LnetReply>;

/// One LNet message without its payload.
struct LnetHeader {
  Nid destination{};
  Nid source{};
  std::uint32_t destination_pid = kLnetPid;
  std::uint32_t source_pid = kLnetPid;
  std::uint32_t payload_length = 0;  ///< bytes; of PUT and REPLY at most 1 MiB, otherwise 0
  LnetCommand command{};
  auto operator<=>(const LnetHeader&) const = default;
};

}  // namespace rdmaboot::engine::wire
