// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/wire.hpp"
#include "engine/wire_bytes.hpp"
#include "engine/wire_lnet_codec.hpp"

namespace rdmaboot::engine::wire {

namespace {

constexpr std::size_t kCreditsAt = 7;
constexpr std::size_t kChecksumAt = 12;

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
// clang before 17 does not deduce it by itself.
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

struct StoreBody {
  std::byte* at;  ///< of the message
  EncodeOptions options;

  void operator()(const ConnectParameters& parameters) const {
    store(at + 48, parameters.queue_depth, options.swapped);
    store(at + 50, parameters.max_fragments, options.swapped);
    store(at + 52, parameters.max_message_bytes, options.swapped);
  }
  void operator()(const Noop& /*noop*/) const {}
  void operator()(const Immediate& immediate) const {
    store_lnet(at + kHeaderBytes, immediate.lnet);
    // memmove: the payload may have been built in this very buffer.
    if (!options.payload_elsewhere && !immediate.payload.empty() &&
        immediate.payload.data() != at + kImmediateBytes) {
      std::memmove(at + kImmediateBytes, immediate.payload.data(), immediate.payload.size());
    }
  }
  void operator()(const PutRequest& request) const {
    store_lnet(at + kHeaderBytes, request.lnet);
    store_opaque(at + kImmediateBytes, request.cookie);
  }
  void operator()(const PutAck& ack) const {
    store_opaque(at + 48, ack.source_cookie);
    store_opaque(at + 56, ack.sink_cookie);
    store_descriptor(at + 64, ack.sink);
  }
  void operator()(const GetRequest& request) const {
    store_lnet(at + kHeaderBytes, request.lnet);
    store_opaque(at + kImmediateBytes, request.cookie);
    store_descriptor(at + kImmediateBytes + 8, request.sink);
  }
  void operator()(const Completion& completion) const {
    store_opaque(at + 48, completion.cookie);
    store(at + 56, completion.status, options.swapped);
  }

  void store_descriptor(std::byte* descriptor, const Descriptor& value) const {
    store(descriptor, value.key, options.swapped);
    store(descriptor + 4, static_cast<std::uint32_t>(value.fragments.size()), options.swapped);
    std::byte* fragment = descriptor + 8;
    for (std::size_t index = 0; index < value.fragments.size(); ++index) {
      const Fragment each = value.fragments[index];
      store(fragment, each.length, options.swapped);
      store(fragment + 4, each.address, options.swapped);
      fragment += kFragmentBytes;
    }
  }
};

bool sendable(Type carrier, const LnetHeader& lnet) {
  return !lnet_fault(carrier, lnet_type(lnet.command), lnet.payload_length);
}

bool sendable(const Descriptor& descriptor) {
  return !descriptor.fragments.empty() && descriptor.fragments.size() <= kMaxFragments;
}

/// Whether decode() would take it.
bool sendable(const Body& body) {
  return std::visit(
      Overloaded{
          [](const Immediate& immediate) {
            return sendable(Type::kImmediate, immediate.lnet) && immediate.complete() &&
                   immediate.payload.size() <= kMaxImmediatePayload;
          },
          [](const PutRequest& request) { return sendable(Type::kPutRequest, request.lnet); },
          [](const PutAck& ack) { return sendable(ack.sink); },
          [](const GetRequest& request) {
            return sendable(Type::kGetRequest, request.lnet) && sendable(request.sink);
          },
          [](const auto& /*others*/) { return true; }},
      body);
}

/// One step of the sum, over bytes that follow those of `sum`.
std::uint32_t add_bytes(std::uint32_t sum, std::span<const std::byte> bytes, Checksum kind) {
  for (const std::byte each : bytes) {
    const auto value = static_cast<std::uint8_t>(each);
    sum = std::rotl(sum, 1) +
          (kind == Checksum::kSigned
               ? static_cast<std::uint32_t>(std::int32_t{static_cast<std::int8_t>(value)})
               : std::uint32_t{value});
  }
  return sum;
}

}  // namespace

Type type_of(const Body& body) {
  return std::visit(Overloaded{[](const ConnectRequest&) { return Type::kConnectRequest; },
                               [](const ConnectReply&) { return Type::kConnectReply; },
                               [](const Noop&) { return Type::kNoop; },
                               [](const Immediate&) { return Type::kImmediate; },
                               [](const PutRequest&) { return Type::kPutRequest; },
                               [](const PutNak&) { return Type::kPutNak; },
                               [](const PutAck&) { return Type::kPutAck; },
                               [](const PutDone&) { return Type::kPutDone; },
                               [](const GetRequest&) { return Type::kGetRequest; },
                               [](const GetDone&) { return Type::kGetDone; }},
                    body);
}

std::size_t encoded_bytes(const Body& body) {
  return std::visit(
      Overloaded{
          [](const ConnectParameters&) { return kConnectBytes; },
          [](const Noop&) { return kHeaderBytes; },
          [](const Immediate& immediate) { return kImmediateBytes + immediate.payload.size(); },
          [](const PutRequest&) { return kPutRequestBytes; },
          [](const PutAck& ack) {
            return kPutAckBytes + ack.sink.fragments.size() * kFragmentBytes;
          },
          [](const GetRequest& request) {
            return kGetRequestBytes + request.sink.fragments.size() * kFragmentBytes;
          },
          [](const Completion&) { return kCompletionBytes; }},
      body);
}

std::size_t encode(const Header& header, const Body& body, std::span<std::byte> out,
                   const EncodeOptions& options) {
  const std::size_t nob = encoded_bytes(body);
  const auto* immediate = std::get_if<Immediate>(&body);
  const bool apart = options.payload_elsewhere && immediate != nullptr;
  const std::size_t written = apart ? kImmediateBytes : nob;
  if (out.size() < written || header.source == Nid::any() || !sendable(body)) {
    return 0;
  }
  std::byte* at = out.data();
  store(at, kMagic, options.swapped);
  store(at + 4, static_cast<std::uint16_t>(header.version), options.swapped);
  store(at + 6, static_cast<std::uint8_t>(type_of(body)), false);
  store(at + kCreditsAt, header.credits, false);
  store(at + 8, static_cast<std::uint32_t>(nob), options.swapped);
  store(at + kChecksumAt, std::uint32_t{0}, false);
  store(at + 16, header.source.value, options.swapped);
  store(at + 24, header.source_stamp, options.swapped);
  store(at + 32, header.destination.value, options.swapped);
  store(at + 40, header.destination_stamp, options.swapped);
  std::visit(StoreBody{at, options}, body);
  if (options.checksum != Checksum::kNone) {
    const auto rest = apart ? immediate->payload : std::span<const std::byte>{};
    store(at + kChecksumAt, checksum_of(out.first(written), options.checksum, rest),
          options.swapped);
  }
  return written;
}

void seal(std::span<std::byte> message, std::uint8_t credits, Checksum checksum,
          std::span<const std::byte> payload_elsewhere) {
  if (message.size() < kHeaderBytes) {
    return;
  }
  store(message.data() + kCreditsAt, credits, false);
  store(message.data() + kChecksumAt,
        checksum == Checksum::kNone ? 0U : checksum_of(message, checksum, payload_elsewhere),
        false);
}

std::uint32_t checksum_of(std::span<const std::byte> message, Checksum kind,
                          std::span<const std::byte> rest) {
  constexpr std::array<std::byte, 4> kZero{};
  const std::size_t head = std::min(message.size(), kChecksumAt);
  std::uint32_t sum = add_bytes(0, message.first(head), kind);
  if (message.size() >= kChecksumAt + kZero.size()) {
    sum = add_bytes(sum, kZero, kind);
    sum = add_bytes(sum, message.subspan(kChecksumAt + kZero.size()), kind);
  }
  sum = add_bytes(sum, rest, kind);
  return sum == 0 ? 1 : sum;
}

}  // namespace rdmaboot::engine::wire
