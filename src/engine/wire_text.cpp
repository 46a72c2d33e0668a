// SPDX-License-Identifier: BSD-2-Clause
#include <charconv>
#include <iterator>

#include "engine/wire.hpp"

namespace rdmaboot::engine::wire {

namespace {

/// How the numbers of an error are written, and what `expected` is.
enum class Style : std::uint8_t { kBound, kExact, kHex, kNid, kKind, kSigned };

struct FieldText {
  std::string_view name;
  Style style;
};

FieldText text_of(Field field) {
  switch (field) {
    case Field::kLength:
      return {"bytes received", Style::kBound};
    case Field::kMagicNumber:
      return {"magic", Style::kHex};
    case Field::kVersion:
      return {"version", Style::kHex};
    case Field::kType:
      return {"type", Style::kKind};
    case Field::kCredits:
      return {"credits", Style::kBound};
    case Field::kNoCredit:
      return {"messages without a credit", Style::kBound};
    case Field::kNob:
      return {"nob", Style::kBound};
    case Field::kChecksum:
      return {"cksum", Style::kHex};
    case Field::kSourceNid:
      return {"srcnid", Style::kNid};
    case Field::kDestinationNid:
      return {"dstnid", Style::kNid};
    case Field::kSourceStamp:
      return {"srcstamp", Style::kExact};
    case Field::kDestinationStamp:
      return {"dststamp", Style::kExact};
    case Field::kQueueDepth:
      return {"queue_depth", Style::kBound};
    case Field::kMaxFrags:
      return {"max_frags", Style::kBound};
    case Field::kMaxMsgSize:
      return {"max_msg_size", Style::kBound};
    case Field::kFragmentCount:
      return {"nfrags", Style::kBound};
    case Field::kCookie:
      return {"cookie", Style::kHex};
    case Field::kStatus:
      return {"status", Style::kSigned};
    case Field::kLnetType:
      return {"LNet type", Style::kExact};
    case Field::kLnetPayloadLength:
      return {"LNet payload_length", Style::kBound};
    case Field::kLnetSourceNid:
      return {"LNet src_nid", Style::kNid};
    case Field::kLnetDestinationNid:
      return {"LNet dest_nid", Style::kNid};
    case Field::kPingMagicNumber:
      return {"ping magic", Style::kHex};
    case Field::kPingFeatures:
      return {"ping features", Style::kHex};
    case Field::kPingCount:
      return {"ping nnis", Style::kBound};
    case Field::kPingLoopback:
      return {"ping entry 0", Style::kNid};
    case Field::kSourcePort:
      return {"source port", Style::kBound};
    case Field::kSourceAddress:
      return {"source address", Style::kNid};
  }
  return {"field", Style::kExact};
}

std::string hex(std::uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value, 16).ptr;
  return "0x" + std::string(std::begin(digits), end);
}

std::string number(std::uint64_t value, Style style) {
  switch (style) {
    case Style::kHex:
    case Style::kKind:
      return hex(value);
    case Style::kNid:
      return engine::to_string(Nid{value});
    case Style::kSigned:
      return std::to_string(static_cast<std::int64_t>(value));
    case Style::kBound:
    case Style::kExact:
      return std::to_string(value);
  }
  return {};
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::kConnectRequest:
      return "CONNREQ";
    case Type::kConnectReply:
      return "CONNACK";
    case Type::kNoop:
      return "NOOP";
    case Type::kImmediate:
      return "IMMEDIATE";
    case Type::kPutRequest:
      return "PUT_REQ";
    case Type::kPutNak:
      return "PUT_NAK";
    case Type::kPutAck:
      return "PUT_ACK";
    case Type::kPutDone:
      return "PUT_DONE";
    case Type::kGetRequest:
      return "GET_REQ";
    case Type::kGetDone:
      return "GET_DONE";
  }
  return "unknown";
}

std::string_view to_string(Field field) {
  return text_of(field).name;
}

std::string to_string(const DecodeError& error) {
  const auto [name, style] = text_of(error.field);
  std::string text = std::string(name) + ' ' + number(error.found, style);
  if (style == Style::kKind && error.expected == 0) {
    return text + ", which is unknown";
  }
  if (error.found == error.expected) {
    return text + ", which is not allowed";
  }
  text += ", expected ";
  if (style == Style::kBound) {
    text += error.found > error.expected ? "at most " : "at least ";
  }
  return text + number(error.expected, style);
}

}  // namespace rdmaboot::engine::wire
