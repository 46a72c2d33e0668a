// SPDX-License-Identifier: BSD-2-Clause
#include <bit>

#include "engine/wire.hpp"
#include "engine/wire_bytes.hpp"
#include "engine/wire_lnet_codec.hpp"

namespace rdmaboot::engine::wire {

namespace {

constexpr std::size_t kVersionEnd = 6;  ///< magic and version, the same for all time

tl::unexpected<DecodeError> fault(Field field, std::uint64_t found, std::uint64_t expected) {
  return tl::unexpected(DecodeError{field, found, expected});
}

/// The least nob of a type; 0 for one that does not exist.
std::size_t least_bytes(std::uint8_t type) {
  switch (static_cast<Type>(type)) {
    case Type::kConnectRequest:
    case Type::kConnectReply:
      return kConnectBytes;
    case Type::kNoop:
      return kHeaderBytes;
    case Type::kImmediate:
      return kImmediateBytes;
    case Type::kPutRequest:
      return kPutRequestBytes;
    case Type::kPutAck:
      return kPutAckBytes;
    case Type::kGetRequest:
      return kGetRequestBytes;
    case Type::kPutNak:
    case Type::kPutDone:
    case Type::kGetDone:
      return kCompletionBytes;
  }
  return 0;
}

ConnectParameters load_parameters(const std::byte* at, bool swapped) {
  return {.queue_depth = load<std::uint16_t>(at, swapped),
          .max_fragments = load<std::uint16_t>(at + 2, swapped),
          .max_message_bytes = load<std::uint32_t>(at + 4, swapped)};
}

Completion load_completion(const std::byte* at, bool swapped) {
  return {.cookie = load_opaque<Cookie>(at), .status = load<std::int32_t>(at + 8, swapped)};
}

/// Key, count and fragments, from `offset` to the message's end.
Decoded<Descriptor> load_descriptor(std::span<const std::byte> message, std::size_t offset,
                                    bool swapped) {
  const std::byte* at = message.data() + offset;
  const auto count = load<std::uint32_t>(at + 4, swapped);
  if (count == 0 || count > kMaxFragments) {
    return fault(Field::kFragmentCount, count, count == 0 ? 1 : kMaxFragments);
  }
  const std::size_t end = offset + 8 + count * kFragmentBytes;
  if (message.size() < end) {
    return fault(Field::kNob, message.size(), end);
  }
  return Descriptor{.key = load<std::uint32_t>(at, swapped),
                    .fragments = FragmentList::in_place(
                        message.subspan(offset + 8, count * kFragmentBytes), swapped)};
}

std::optional<DecodeError> load_immediate(std::span<const std::byte> message, Immediate& body) {
  if (const auto error = load_lnet(message.data() + kHeaderBytes, Type::kImmediate, body.lnet)) {
    return error;
  }
  const auto rest = message.subspan(kImmediateBytes);
  body.payload = rest.first(std::min<std::size_t>(rest.size(), body.lnet.payload_length));
  return std::nullopt;
}

std::optional<DecodeError> load_put_request(std::span<const std::byte> message, PutRequest& body) {
  body.cookie = load_opaque<Cookie>(message.data() + kImmediateBytes);
  return load_lnet(message.data() + kHeaderBytes, Type::kPutRequest, body.lnet);
}

std::optional<DecodeError> load_put_ack(std::span<const std::byte> message, bool swapped,
                                        PutAck& body) {
  body.source_cookie = load_opaque<Cookie>(message.data() + 48);
  body.sink_cookie = load_opaque<Cookie>(message.data() + 56);
  const auto sink = load_descriptor(message, 64, swapped);
  if (!sink) {
    return sink.error();
  }
  body.sink = *sink;
  return std::nullopt;
}

std::optional<DecodeError> load_get_request(std::span<const std::byte> message, bool swapped,
                                            GetRequest& body) {
  body.cookie = load_opaque<Cookie>(message.data() + kImmediateBytes);
  const auto sink = load_descriptor(message, kImmediateBytes + 8, swapped);
  if (!sink) {
    return sink.error();
  }
  body.sink = *sink;
  return load_lnet(message.data() + kHeaderBytes, Type::kGetRequest, body.lnet);
}

/// @param message nob bytes, at least those that the type has
std::optional<DecodeError> load_body(Type type, std::span<const std::byte> message, bool swapped,
                                     Body& body) {
  const std::byte* at = message.data() + kHeaderBytes;
  switch (type) {
    case Type::kConnectRequest:
      body = ConnectRequest{load_parameters(at, swapped)};
      break;
    case Type::kConnectReply:
      body = ConnectReply{load_parameters(at, swapped)};
      break;
    case Type::kNoop:
      body.emplace<Noop>();
      break;
    case Type::kImmediate:
      return load_immediate(message, body.emplace<Immediate>());
    case Type::kPutRequest:
      return load_put_request(message, body.emplace<PutRequest>());
    case Type::kPutNak:
      body = PutNak{load_completion(at, swapped)};
      break;
    case Type::kPutAck:
      return load_put_ack(message, swapped, body.emplace<PutAck>());
    case Type::kPutDone:
      body = PutDone{load_completion(at, swapped)};
      break;
    case Type::kGetRequest:
      return load_get_request(message, swapped, body.emplace<GetRequest>());
    case Type::kGetDone:
      body = GetDone{load_completion(at, swapped)};
      break;
  }
  return std::nullopt;
}

/// Which variant of checksum the message has; nothing if it is neither.
std::optional<Checksum> matching_checksum(std::span<const std::byte> message, std::uint32_t found) {
  if (found == 0) {
    return Checksum::kNone;
  }
  for (const Checksum kind : {Checksum::kUnsigned, Checksum::kSigned}) {
    if (checksum_of(message, kind) == found) {
      return kind;
    }
  }
  return std::nullopt;
}

}  // namespace

Decoded<Message> decode(std::span<const std::byte> received, Envelope* envelope) {
  // The order of the checks is section 2.3's.
  if (received.size() < kVersionEnd) {
    return fault(Field::kLength, received.size(), kVersionEnd);
  }
  const std::byte* at = received.data();
  const auto magic = load<std::uint32_t>(at, false);
  const bool swapped = magic == flipped(kMagic);
  if (magic != kMagic && !swapped) {
    return fault(Field::kMagicNumber, magic, kMagic);
  }
  const auto version = load<std::uint16_t>(at + 4, swapped);
  if (version != static_cast<std::uint16_t>(Version::k1) &&
      version != static_cast<std::uint16_t>(Version::k2)) {
    return fault(Field::kVersion, version, static_cast<std::uint16_t>(Version::k2));
  }
  if (received.size() < kHeaderBytes) {
    return fault(Field::kLength, received.size(), kHeaderBytes);
  }
  const auto nob = load<std::uint32_t>(at + 8, swapped);
  if (nob > received.size() || nob < kHeaderBytes) {
    return fault(Field::kNob, nob, nob < kHeaderBytes ? kHeaderBytes : received.size());
  }
  const auto message = received.first(nob);
  const auto checksum = load<std::uint32_t>(at + 12, swapped);
  const auto matching = matching_checksum(message, checksum);
  if (!matching) {
    return fault(Field::kChecksum, checksum, checksum_of(message, Checksum::kUnsigned));
  }

  Decoded<Message> result{tl::in_place};
  Header& header = result->header;
  header.version = static_cast<Version>(version);
  header.credits = load<std::uint8_t>(at + 7, false);
  header.source = {load<std::uint64_t>(at + 16, swapped)};
  header.source_stamp = load<std::uint64_t>(at + 24, swapped);
  header.destination = {load<std::uint64_t>(at + 32, swapped)};
  header.destination_stamp = load<std::uint64_t>(at + 40, swapped);
  if (header.source == Nid::any()) {
    return fault(Field::kSourceNid, header.source.value, Nid::any().value);
  }
  const auto type = load<std::uint8_t>(at + 6, false);
  const std::size_t least = least_bytes(type);
  if (least == 0) {
    return fault(Field::kType, type, 0);
  }
  if (nob < least) {
    return fault(Field::kNob, nob, least);
  }
  if (const auto error = load_body(static_cast<Type>(type), message, swapped, result->body)) {
    return tl::unexpected(*error);
  }
  if (envelope != nullptr) {
    *envelope = {.bytes = nob, .swapped = swapped, .checksum = *matching};
  }
  return result;
}

Fragment FragmentList::operator[](std::size_t index) const {
  if (array_ != nullptr) {
    return array_[index];
  }
  const std::byte* at = bytes_ + index * kFragmentBytes;
  return {.address = load<std::uint64_t>(at + 4, swapped_),
          .length = load<std::uint32_t>(at, swapped_)};
}

std::uint64_t FragmentList::total_bytes() const {
  std::uint64_t total = 0;
  for (std::size_t index = 0; index < size_; ++index) {
    total += (*this)[index].length;
  }
  return total;
}

}  // namespace rdmaboot::engine::wire
