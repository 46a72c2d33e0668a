// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// Whatever can be said in o2iblnd's protocol is understood as it was meant, in both byte orders,
// and nothing that was cut is taken for whole.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "engine/wire.hpp"
#include "engine/wire_connect.hpp"
#include "engine/wire_ping.hpp"

namespace rdmaboot::engine::wire {
namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
T any_number() {
  return *rc::gen::arbitrary<T>();
}

Nid any_nid() {
  return {any_number<std::uint64_t>() & ~(std::uint64_t{1} << 63)};
}

Handle any_handle() {
  Handle handle;
  for (std::byte& each : handle.bytes) {
    each = static_cast<std::byte>(any_number<std::uint8_t>());
  }
  return handle;
}

LnetCommand any_command(Type carrier) {
  const auto kind = carrier == Type::kGetRequest   ? 2
                    : carrier == Type::kPutRequest ? *rc::gen::element(1, 3)
                                                   : *rc::gen::inRange(0, 4);
  switch (kind) {
    case 0:
      return LnetAck{any_handle(), any_number<std::uint64_t>(), any_number<std::uint32_t>()};
    case 1:
      return LnetPut{any_handle(), any_number<std::uint64_t>(), any_number<std::uint64_t>(),
                     any_number<std::uint32_t>(), any_number<std::uint32_t>()};
    case 2:
      return LnetGet{any_handle(), any_number<std::uint64_t>(), any_number<std::uint32_t>(),
                     any_number<std::uint32_t>(), any_number<std::uint32_t>()};
    default:
      return LnetReply{any_handle()};
  }
}

LnetHeader any_lnet(Type carrier) {
  LnetHeader lnet{.destination = any_nid(),
                  .source = any_nid(),
                  .destination_pid = any_number<std::uint32_t>(),
                  .source_pid = any_number<std::uint32_t>(),
                  .command = any_command(carrier)};
  const bool has_payload = std::holds_alternative<LnetPut>(lnet.command) ||
                           std::holds_alternative<LnetReply>(lnet.command);
  const std::uint32_t most =
      carrier == Type::kImmediate ? std::uint32_t{kMaxImmediatePayload} : kMaxPayload;
  lnet.payload_length = has_payload ? *rc::gen::inRange<std::uint32_t>(0, most + 1) : 0;
  return lnet;
}

Completion any_completion() {
  return {Cookie{any_number<std::uint64_t>()}, any_number<std::int32_t>()};
}

ConnectParameters any_parameters() {
  return {any_number<std::uint16_t>(), any_number<std::uint16_t>(), any_number<std::uint32_t>()};
}

/// A body with what it refers to.
struct AnyMessage {
  std::vector<Fragment> fragments;
  Bytes payload;
  Header header;
  Body body;

  AnyMessage() {
    header = {.version = *rc::gen::element(Version::k1, Version::k2),
              .credits = any_number<std::uint8_t>(),
              .source = any_nid(),
              .destination = any_nid(),
              .source_stamp = any_number<std::uint64_t>(),
              .destination_stamp = any_number<std::uint64_t>()};
    body = any_body();
  }
  AnyMessage(const AnyMessage&) = delete;
  AnyMessage& operator=(const AnyMessage&) = delete;

 private:
  Descriptor any_descriptor() {
    fragments.resize(*rc::gen::weightedOneOf<std::size_t>(
        {{5, rc::gen::inRange<std::size_t>(1, 4)},
         {1, rc::gen::inRange<std::size_t>(1, kMaxFragments + 1)}}));
    for (Fragment& each : fragments) {
      each = {any_number<std::uint64_t>(), any_number<std::uint32_t>()};
    }
    return {any_number<std::uint32_t>(), std::span<const Fragment>(fragments)};
  }

  Body any_body() {
    const auto cookie = [] { return Cookie{any_number<std::uint64_t>()}; };
    switch (*rc::gen::inRange(0, 10)) {
      case 0:
        return ConnectRequest{any_parameters()};
      case 1:
        return ConnectReply{any_parameters()};
      case 2:
        return Noop{};
      case 3: {
        const LnetHeader lnet = any_lnet(Type::kImmediate);
        payload.resize(lnet.payload_length);
        for (std::size_t index = 0; index < payload.size(); ++index) {
          payload[index] = static_cast<std::byte>(index * 31 + lnet.payload_length);
        }
        return Immediate{lnet, payload};
      }
      case 4:
        return PutRequest{any_lnet(Type::kPutRequest), cookie()};
      case 5:
        return PutNak{any_completion()};
      case 6:
        return PutAck{cookie(), cookie(), any_descriptor()};
      case 7:
        return PutDone{any_completion()};
      case 8:
        return GetRequest{any_lnet(Type::kGetRequest), cookie(), any_descriptor()};
      default:
        return GetDone{any_completion()};
    }
  }
};

EncodeOptions any_options() {
  return {.checksum = *rc::gen::element(Checksum::kNone, Checksum::kSigned, Checksum::kUnsigned),
          .swapped = any_number<bool>()};
}

Bytes encoded(const AnyMessage& message, const EncodeOptions& options) {
  Bytes bytes(kMessageBytes, std::byte{0x5a});
  bytes.resize(encode(message.header, message.body, bytes, options));
  return bytes;
}

RC_GTEST_PROP(EngineWire, WhatIsWrittenInAnyOrderReadsAndWritesTheSame, ()) {
  const AnyMessage message;
  const EncodeOptions options = any_options();
  const Bytes bytes = encoded(message, options);
  RC_ASSERT(bytes.size() == encoded_bytes(message.body));
  Envelope envelope;
  const auto back = decode(bytes, &envelope);
  RC_ASSERT(back.has_value());
  RC_ASSERT(envelope.bytes == bytes.size());
  RC_ASSERT(envelope.swapped == options.swapped);
  // The two variants agree where no byte has its sign bit set.
  RC_ASSERT((envelope.checksum == Checksum::kNone) == (options.checksum == Checksum::kNone));
  RC_ASSERT(type_of(back->body) == type_of(message.body));
  // Written from what was read, in the same order and in the other: values, not bytes, were kept.
  for (const bool swapped : {options.swapped, !options.swapped}) {
    const EncodeOptions again{.checksum = options.checksum, .swapped = swapped};
    Bytes copy(kMessageBytes);
    copy.resize(encode(back->header, back->body, copy, again));
    RC_ASSERT(copy == encoded(message, again));
  }
}

RC_GTEST_PROP(EngineWire, WhatIsCutAnywhereIsRefused, ()) {
  const AnyMessage message;
  const Bytes bytes = encoded(message, any_options());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    // A copy of its own, so that a sanitizer sees each byte read beyond it.
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    RC_ASSERT(!decode(cut));
  }
}

RC_GTEST_PROP(EngineWire, OneChangedByteUnderAChecksumIsRefused, ()) {
  const AnyMessage message;
  EncodeOptions options = any_options();
  options.checksum = Checksum::kUnsigned;
  Bytes bytes = encoded(message, options);
  const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
  // Not the sum itself: 0 there would mean none. A lone high bit is what the two signs differ in.
  RC_PRE(at < 12 || at >= 16);
  bytes.at(at) ^= static_cast<std::byte>(*rc::gen::inRange(1, 128));
  RC_ASSERT(!decode(bytes));
}

RC_GTEST_PROP(EngineWire, ARejectReadsAsItWasMeant, ()) {
  const Reject reject{.version = *rc::gen::inRange<std::uint16_t>(0x12, 0x20),
                      .why = static_cast<RejectReason>(any_number<std::uint8_t>()),
                      .limits = RejectLimits{any_number<std::uint64_t>(), any_parameters()}};
  const auto bytes = encode_reject(reject, any_number<bool>());
  RC_ASSERT(decode_reject(bytes) == reject);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto cut = decode_reject(std::span(bytes).first(length));
    RC_ASSERT(cut.has_value() == (length >= kShortRejectBytes));
    RC_ASSERT((!cut || !cut->limits));  // one operand: the macro evaluates both sides of a "||"
  }
}

RC_GTEST_PROP(EngineWire, APingReadsAsItWasMeantAsFarAsItGoes, ()) {
  std::vector<PingEntry> entries(*rc::gen::inRange<std::size_t>(1, 40));
  for (PingEntry& entry : entries) {
    entry = {any_nid(), any_number<std::uint32_t>(), any_number<std::uint32_t>()};
  }
  entries[0].nid = Nid::loopback();
  const PingInfo info{.features = any_number<std::uint32_t>() | kFeatureStatus,
                      .pid = any_number<std::uint32_t>(),
                      .entries = std::span<const PingEntry>(entries)};
  Bytes bytes(ping_bytes(entries.size()));
  RC_ASSERT(encode_ping(info, bytes, any_number<bool>()) == bytes.size());
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const auto back = decode_ping(cut);
    RC_ASSERT(back.has_value() == (length >= ping_bytes(1)));
    if (back) {
      RC_ASSERT(back->features == info.features);
      RC_ASSERT(back->announced == entries.size());
      RC_ASSERT(back->entries.size() == (length - kPingHeaderBytes) / kPingEntryBytes);
      for (std::size_t index = 0; index < back->entries.size(); ++index) {
        RC_ASSERT(back->entries[index] == entries[index]);
      }
    }
  }
}

}  // namespace
}  // namespace rdmaboot::engine::wire
