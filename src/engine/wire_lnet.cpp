// SPDX-License-Identifier: BSD-2-Clause
#include "engine/wire_lnet.hpp"

#include <algorithm>

#include "engine/wire_bytes.hpp"
#include "engine/wire_lnet_codec.hpp"

namespace rdmaboot::engine::wire {

namespace {

template <std::integral T>
T load_little(const std::byte* at) {
  return load<T>(at, kHostIsBig);
}

template <std::integral T>
void store_little(std::byte* at, T value) {
  store(at, value, kHostIsBig);
}

constexpr std::size_t kCommand = 32;  ///< where what depends on the type begins

// The 40 bytes of each type, from their start. The handle is the first 16 of each.

LnetAck load_ack(const std::byte* at) {
  return {.destination = load_opaque<Handle>(at),
          .match_bits = load_little<std::uint64_t>(at + 16),
          .length = load_little<std::uint32_t>(at + 24)};
}

LnetPut load_put(const std::byte* at) {
  return {.ack = load_opaque<Handle>(at),
          .match_bits = load_little<std::uint64_t>(at + 16),
          .header_data = load_little<std::uint64_t>(at + 24),
          .portal = load_little<std::uint32_t>(at + 32),
          .offset = load_little<std::uint32_t>(at + 36)};
}

LnetGet load_get(const std::byte* at) {
  return {.reply = load_opaque<Handle>(at),
          .match_bits = load_little<std::uint64_t>(at + 16),
          .portal = load_little<std::uint32_t>(at + 24),
          .offset = load_little<std::uint32_t>(at + 28),
          .length = load_little<std::uint32_t>(at + 32)};
}

struct StoreCommand {
  std::byte* at;

  void operator()(const LnetAck& ack) const {
    store_opaque(at, ack.destination);
    store_little(at + 16, ack.match_bits);
    store_little(at + 24, ack.length);
  }
  void operator()(const LnetPut& put) const {
    store_opaque(at, put.ack);
    store_little(at + 16, put.match_bits);
    store_little(at + 24, put.header_data);
    store_little(at + 32, put.portal);
    store_little(at + 36, put.offset);
  }
  void operator()(const LnetGet& get) const {
    store_opaque(at, get.reply);
    store_little(at + 16, get.match_bits);
    store_little(at + 24, get.portal);
    store_little(at + 28, get.offset);
    store_little(at + 32, get.length);
  }
  void operator()(const LnetReply& reply) const { store_opaque(at, reply.destination); }
};

}  // namespace

std::uint32_t lnet_type(const LnetCommand& command) {
  static_assert(std::is_same_v<std::variant_alternative_t<kLnetReply, LnetCommand>, LnetReply>);
  return static_cast<std::uint32_t>(command.index());
}

std::optional<DecodeError> lnet_fault(Type carrier, std::uint32_t type,
                                      std::uint32_t payload_length) {
  // What a PUT_REQ or a GET_REQ announces could not be moved for any other type.
  const bool fits = carrier == Type::kGetRequest   ? type == kLnetGet
                    : carrier == Type::kPutRequest ? type == kLnetPut || type == kLnetReply
                                                   : type <= kLnetReply;
  if (!fits) {
    return DecodeError{Field::kLnetType, type, carrier == Type::kGetRequest ? kLnetGet : kLnetPut};
  }
  const std::uint32_t bound = type == kLnetPut || type == kLnetReply ? kMaxPayload : 0;
  if (payload_length > bound) {
    return DecodeError{Field::kLnetPayloadLength, payload_length, bound};
  }
  return std::nullopt;
}

std::optional<DecodeError> load_lnet(const std::byte* at, Type carrier, LnetHeader& header) {
  header.destination = {load_little<std::uint64_t>(at)};
  header.source = {load_little<std::uint64_t>(at + 8)};
  header.destination_pid = load_little<std::uint32_t>(at + 16);
  header.source_pid = load_little<std::uint32_t>(at + 20);
  const auto type = load_little<std::uint32_t>(at + 24);
  header.payload_length = load_little<std::uint32_t>(at + 28);
  if (const auto fault = lnet_fault(carrier, type, header.payload_length)) {
    return fault;
  }
  const std::byte* command = at + kCommand;
  switch (type) {
    case kLnetAck:
      header.command = load_ack(command);
      break;
    case kLnetPut:
      header.command = load_put(command);
      break;
    case kLnetGet:
      header.command = load_get(command);
      break;
    default:  // lnet_fault() let nothing else through
      header.command = LnetReply{load_opaque<Handle>(command)};
      break;
  }
  return std::nullopt;
}

void store_lnet(std::byte* at, const LnetHeader& header) {
  store_little(at, header.destination.value);
  store_little(at + 8, header.source.value);
  store_little(at + 16, header.destination_pid);
  store_little(at + 20, header.source_pid);
  store_little(at + 24, lnet_type(header.command));
  store_little(at + 28, header.payload_length);
  std::fill_n(at + kCommand, kLnetHeaderBytes - kCommand, std::byte{0});
  std::visit(StoreCommand{at + kCommand}, header.command);
}

}  // namespace rdmaboot::engine::wire
