// SPDX-License-Identifier: BSD-2-Clause
#include "engine/wire_connect.hpp"

#include <algorithm>

#include "engine/wire_bytes.hpp"

namespace rdmaboot::engine::wire {

namespace {

constexpr std::uint16_t kFirstUnprivilegedPort = 1024;

/// What a limit is broken by, if it is.
std::optional<DecodeError> outside(Field field, std::uint32_t found, std::uint32_t least,
                                   std::uint32_t most) {
  if (found > most) {
    return DecodeError{field, found, most};
  }
  if (found < least) {
    return DecodeError{field, found, least};
  }
  return std::nullopt;
}

/// Before the requester is known: nothing of ours in it but our version.
tl::unexpected<Refusal> refused(RejectReason why, const DecodeError& cause) {
  return tl::unexpected(Refusal{{.why = why, .limits = std::nullopt}, cause});
}

ConnectParameters limits_of(const AcceptorIdentity& self, Version version) {
  ConnectParameters limits = self.limits;
  if (version == Version::k1) {
    limits.queue_depth = kVersion1Depth;
  }
  return limits;
}

}  // namespace

std::string_view to_string(RejectReason reason) {
  switch (reason) {
    case RejectReason::kRace:
      return "CONN_RACE";
    case RejectReason::kNoResources:
      return "NO_RESOURCES";
    case RejectReason::kFatal:
      return "FATAL";
    case RejectReason::kUncompatible:
      return "CONN_UNCOMPAT";
    case RejectReason::kStale:
      return "CONN_STALE";
    case RejectReason::kFragments:
      return "RDMA_FRAGS";
    case RejectReason::kQueueDepth:
      return "MSG_QUEUE_SIZE";
    case RejectReason::kEarly:
      return "EARLY";
  }
  return "unknown";
}

Decoded<Reject> decode_reject(std::span<const std::byte> private_data) {
  if (private_data.size() < kShortRejectBytes) {
    return tl::unexpected(DecodeError{Field::kLength, private_data.size(), kShortRejectBytes});
  }
  const std::byte* at = private_data.data();
  const auto magic = load<std::uint32_t>(at, false);
  const bool swapped = magic == flipped(kMagic) || magic == flipped(kLnetMagic);
  if (magic != kMagic && magic != kLnetMagic && !swapped) {
    return tl::unexpected(DecodeError{Field::kMagicNumber, magic, kMagic});
  }
  Reject reject{.version = load<std::uint16_t>(at + 4, swapped),
                .why = static_cast<RejectReason>(load<std::uint8_t>(at + 6, false)),
                .limits = std::nullopt};
  if (private_data.size() >= kRejectBytes &&
      reject.version > static_cast<std::uint16_t>(Version::k1)) {
    reject.limits =
        RejectLimits{.incarnation = load<std::uint64_t>(at + 8, swapped),
                     .limits = {.queue_depth = load<std::uint16_t>(at + 16, swapped),
                                .max_fragments = load<std::uint16_t>(at + 18, swapped),
                                .max_message_bytes = load<std::uint32_t>(at + 20, swapped)}};
  }
  return reject;
}

std::array<std::byte, kRejectBytes> encode_reject(const Reject& reject, bool swapped) {
  std::array<std::byte, kRejectBytes> bytes{};
  std::byte* at = bytes.data();
  store(at, kMagic, swapped);
  store(at + 4, reject.version, swapped);
  store(at + 6, static_cast<std::uint8_t>(reject.why), false);
  if (reject.limits) {
    store(at + 8, reject.limits->incarnation, swapped);
    store(at + 16, reject.limits->limits.queue_depth, swapped);
    store(at + 18, reject.limits->limits.max_fragments, swapped);
    store(at + 20, reject.limits->limits.max_message_bytes, swapped);
  }
  return bytes;
}

Reject refuse(const AcceptorIdentity& self, Version version, RejectReason why) {
  return {.version = static_cast<std::uint16_t>(version),
          .why = why,
          .limits = RejectLimits{self.incarnation, limits_of(self, version)}};
}

tl::expected<AcceptedRequest, Refusal> check_connect_request(
    std::span<const std::byte> private_data, std::uint16_t source_port,
    const AcceptorIdentity& self) {
  // Steps 1 to 9 of section 4.2.
  if (self.require_privileged_port && source_port >= kFirstUnprivilegedPort) {
    return refused(RejectReason::kFatal,
                   {Field::kSourcePort, source_port, kFirstUnprivilegedPort - 1});
  }
  // Too short, LNet's magic, a version that we do not know, anything else that is no message: FATAL
  // with our version, so that the peer can come down to it.
  const auto message = decode(private_data);
  if (!message) {
    return refused(RejectReason::kFatal, message.error());
  }
  const Header& header = message->header;
  const bool mine =
      std::find(self.nids.begin(), self.nids.end(), header.destination) != self.nids.end();
  if (!mine || !self.ready) {
    return refused(self.ready ? RejectReason::kFatal : RejectReason::kEarly,
                   {Field::kDestinationNid, header.destination.value,
                    self.nids.empty() ? Nid::any().value : self.nids.front().value});
  }
  if (header.destination_stamp != 0 && header.destination_stamp != self.incarnation) {
    Reject stale = refuse(self, header.version, RejectReason::kStale);
    stale.version = static_cast<std::uint16_t>(Version::k2);  // the requester's only from here on
    return tl::unexpected(
        Refusal{stale, {Field::kDestinationStamp, header.destination_stamp, self.incarnation}});
  }
  const auto no = [&](RejectReason why, const DecodeError& cause) {
    return tl::unexpected(Refusal{refuse(self, header.version, why), cause});
  };
  const auto* request = std::get_if<ConnectRequest>(&message->body);
  if (request == nullptr) {
    return no(RejectReason::kFatal,
              {Field::kType, static_cast<std::uint8_t>(type_of(message->body)),
               static_cast<std::uint8_t>(Type::kConnectRequest)});
  }
  const ConnectParameters limits = limits_of(self, header.version);
  const auto no_limit = [&](RejectReason too_many, const DecodeError& cause) {
    // Version 1 has no word for a limit, and no limit would help who asks for nothing (D6).
    const bool negotiable = header.version != Version::k1 && cause.found > cause.expected;
    return no(negotiable ? too_many : RejectReason::kFatal, cause);
  };
  if (const auto error = outside(Field::kQueueDepth, request->queue_depth,
                                 least_depth(header.version), limits.queue_depth)) {
    return no_limit(RejectReason::kQueueDepth, *error);
  }
  if (const auto error =
          outside(Field::kMaxFrags, request->max_fragments, 1, limits.max_fragments)) {
    return no_limit(RejectReason::kFragments, *error);
  }
  if (const auto error = outside(Field::kMaxMsgSize, request->max_message_bytes,
                                 limits.max_message_bytes, limits.max_message_bytes)) {
    return no(RejectReason::kFatal, *error);
  }
  return AcceptedRequest{.header = header, .asked = *request};
}

Decoded<Agreed> check_connect_reply(std::span<const std::byte> private_data,
                                    const ConnectorIdentity& self) {
  const auto fault = [](Field field, std::uint64_t found, std::uint64_t expected) {
    return tl::unexpected(DecodeError{field, found, expected});
  };
  const auto message = decode(private_data);
  if (!message) {
    return tl::unexpected(message.error());
  }
  const Header& header = message->header;
  const auto* reply = std::get_if<ConnectReply>(&message->body);
  if (reply == nullptr) {
    return fault(Field::kType, static_cast<std::uint8_t>(type_of(message->body)),
                 static_cast<std::uint8_t>(Type::kConnectReply));
  }
  if (header.version != self.version) {
    return fault(Field::kVersion, static_cast<std::uint16_t>(header.version),
                 static_cast<std::uint16_t>(self.version));
  }
  if (const auto error = outside(Field::kQueueDepth, reply->queue_depth, least_depth(self.version),
                                 self.asked.queue_depth)) {
    return tl::unexpected(*error);
  }
  if (const auto error =
          outside(Field::kMaxFrags, reply->max_fragments, 1, self.asked.max_fragments)) {
    return tl::unexpected(*error);
  }
  if (const auto error = outside(Field::kMaxMsgSize, reply->max_message_bytes,
                                 self.asked.max_message_bytes, self.asked.max_message_bytes)) {
    return tl::unexpected(*error);
  }
  if (header.destination != self.self) {
    return fault(Field::kDestinationNid, header.destination.value, self.self.value);
  }
  if (header.destination_stamp != self.incarnation) {
    return fault(Field::kDestinationStamp, header.destination_stamp, self.incarnation);
  }
  if (header.source != self.peer) {
    return fault(Field::kSourceNid, header.source.value, self.peer.value);
  }
  return Agreed{
      .peer_incarnation = header.source_stamp, .version = header.version, .parameters = *reply};
}

}  // namespace rdmaboot::engine::wire
