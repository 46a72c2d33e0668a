// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What two sides say to each other while they connect, in the connection manager's private data:
// the reject record, and the checks that each side makes of the other's bytes (section 4). The
// transport pads private data with zeros, so nothing here trusts its length.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/wire.hpp"

namespace rdmaboot::engine::wire {

inline constexpr std::size_t kRejectBytes = 24;
/// Of a record that says why and nothing else, as version 1 sends it.
inline constexpr std::size_t kShortRejectBytes = 8;

/// Why an acceptor refuses (section 4.4).
enum class RejectReason : std::uint8_t {
  kRace = 1,
  kNoResources = 2,
  kFatal = 3,
  kUncompatible = 4,  ///< made up by the connector: a FATAL of version 1
  kStale = 5,
  kFragments = 6,
  kQueueDepth = 7,
  kEarly = 9,
};
/// As the protocol calls it: "CONN_RACE"; "unknown" for other values.
[[nodiscard]] std::string_view to_string(RejectReason reason);

/// What an acceptor says of itself in a reject.
struct RejectLimits {
  std::uint64_t incarnation = 0;
  ConnectParameters limits{};
  auto operator<=>(const RejectLimits&) const = default;
};

/// A refusal as it travels.
struct Reject {
  std::uint16_t version = static_cast<std::uint16_t>(Version::k2);  ///< may be one we do not know
  RejectReason why = RejectReason::kFatal;                          ///< may be one we do not know
  /// Nothing if the record is short or of version 1: neither can be trusted there.
  std::optional<RejectLimits> limits{};
  auto operator<=>(const Reject&) const = default;
};

/// Total; either byte order, padding tolerated, LNet's own magic, too. Errors: fewer than 8 bytes;
/// a magic of nobody's, which is a refusal by something that is not o2iblnd, or no listener where
/// another address of the device has one (all zeros; section 4.4).
[[nodiscard]] Decoded<Reject> decode_reject(std::span<const std::byte> private_data);

/// Always 24 bytes; without limits the rest is zero.
/// @param swapped the byte order that is not this host's: for tests
[[nodiscard]] std::array<std::byte, kRejectBytes> encode_reject(const Reject& reject,
                                                                bool swapped = false);

// ---- The acceptor's checks (section 4.2) -------------------------------------------------------

/// What an acceptor is, as far as bytes are judged by it.
struct AcceptorIdentity {
  std::span<const Nid> nids{};  ///< of the interface that was asked; each of them is "me"
  bool ready = true;            ///< false: a NID that is not mine (yet) is answered with EARLY
  std::uint64_t incarnation = 0;
  ConnectParameters limits{};  ///< of version 2; version 1 always has a depth of 8
  bool require_privileged_port = false;
};

/// A refusal: what to send, and what to tell the administrator.
struct Refusal {
  Reject reject;
  DecodeError cause;
};

/// A request that passed every check that needs no memory of the peer.
struct AcceptedRequest {
  Header header{};
  ConnectParameters asked{};
};

/// Steps 1 to 9 of section 4.2 in their order, with one more than the kernel's: a depth or a number
/// of fragments of 0, or a message size below ours, is FATAL (D6). Whether the source address is
/// the NID's, the allow-list, stale peers and races come after this and are the caller's.
/// Thread-safe.
/// @param source_port of the requester, as the connection manager tells it
[[nodiscard]] tl::expected<AcceptedRequest, Refusal> check_connect_request(
    std::span<const std::byte> private_data, std::uint16_t source_port,
    const AcceptorIdentity& self);

/// The reject that such an acceptor sends for a reason of the caller's (RACE, STALE, NO_RESOURCES,
/// FATAL) once the request passed the checks: the requester's version, all limits filled in.
[[nodiscard]] Reject refuse(const AcceptorIdentity& self, Version version, RejectReason why);

// ---- The connector's checks (section 4.3) ------------------------------------------------------

/// What a connector asked for.
struct ConnectorIdentity {
  Nid self{};
  Nid peer{};
  std::uint64_t incarnation = 0;  ///< of the connector
  Version version = Version::k2;
  ConnectParameters asked{};
};

/// What the two agreed on.
struct Agreed {
  std::uint64_t peer_incarnation = 0;
  Version version = Version::k2;
  ConnectParameters parameters{};  ///< the acceptor's, each at most what was asked and at least 1
};

/// The checks of section 4.3 in their order, and that the sender is the peer. Thread-safe.
[[nodiscard]] Decoded<Agreed> check_connect_reply(std::span<const std::byte> private_data,
                                                  const ConnectorIdentity& self);

}  // namespace rdmaboot::engine::wire
