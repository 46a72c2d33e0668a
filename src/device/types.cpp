// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include <arpa/inet.h>

#include "core/text.hpp"

namespace rdmaboot::device {
namespace {

using core::fail;
using core::parse_number;
using core::Result;
using core::trim;

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// `value` with leading zeros, in groups of four digits joined by colons.
void append_groups(std::string& out, std::uint64_t value, unsigned groups) {
  for (unsigned left = groups * 4; left > 0; --left) {
    out += kHexDigits[(value >> ((left - 1) * 4)) & 0xfU];
    if (left % 4 == 1 && left != 1) {
      out += ':';
    }
  }
}

std::string hex(std::uint32_t value, unsigned digits) {
  std::string out = "0x";
  while (digits < 8 && (value >> (digits * 4)) != 0) {
    ++digits;
  }
  for (unsigned left = digits; left > 0; --left) {
    out += kHexDigits[(value >> ((left - 1) * 4)) & 0xfU];
  }
  return out;
}

/// "0x1a" as a number; without the prefix in `base`.
template <typename T>
std::optional<T> parse_prefixed(std::string_view text, int base) {
  const std::string_view word = trim(text);
  if (word.starts_with("0x") || word.starts_with("0X")) {
    return parse_number<T>(word.substr(2), 16);
  }
  return parse_number<T>(word, base);
}

/// What is shown of a text that could not be parsed.
constexpr std::size_t kShownBytes = 64;

auto cannot_parse(std::string_view what, std::string_view text, std::string_view expected) {
  return fail("parse", std::string(what) + " \"" + core::printable(trim(text), kShownBytes) + "\"",
              0, "expected " + std::string(expected));
}

/// The number in front of the colon of "4: ACTIVE".
std::optional<unsigned> leading_number(std::string_view text) {
  const std::string_view word = trim(text);
  return parse_number<unsigned>(word.substr(0, word.find(':')));
}

}  // namespace

std::string_view name_of(PortState state) {
  switch (state) {
    case PortState::kNop:
      return "NOP";
    case PortState::kDown:
      return "DOWN";
    case PortState::kInit:
      return "INIT";
    case PortState::kArmed:
      return "ARMED";
    case PortState::kActive:
      return "ACTIVE";
    case PortState::kActiveDefer:
      return "ACTIVE_DEFER";
  }
  return "unknown";
}

std::string_view name_of(PhysicalState state) {
  switch (state) {
    case PhysicalState::kNop:
      return "No change";
    case PhysicalState::kSleep:
      return "Sleep";
    case PhysicalState::kPolling:
      return "Polling";
    case PhysicalState::kDisabled:
      return "Disabled";
    case PhysicalState::kTraining:
      return "PortConfigurationTraining";
    case PhysicalState::kLinkUp:
      return "LinkUp";
    case PhysicalState::kErrorRecovery:
      return "LinkErrorRecovery";
    case PhysicalState::kPhyTest:
      return "Phy Test";
  }
  return "unknown";
}

std::string_view name_of(LinkLayer layer) {
  switch (layer) {
    case LinkLayer::kInfiniBand:
      return "InfiniBand";
    case LinkLayer::kEthernet:
      return "Ethernet";
    case LinkLayer::kUnknown:
      break;
  }
  return "unknown";
}

std::string_view name_of(GidType type) {
  switch (type) {
    case GidType::kInfiniBand:
      return "InfiniBand";
    case GidType::kRoceV1:
      return "RoCE v1";
    case GidType::kRoceV2:
      return "RoCE v2";
    case GidType::kUnknown:
      break;
  }
  return "unknown";
}

Result<Guid> Guid::parse(std::string_view text) {
  constexpr std::string_view kExpected = "four groups of four hexadecimal digits";
  constexpr std::size_t kDigits = 16;
  std::string_view word = trim(text);
  std::string digits;
  if (word.starts_with("0x") || word.starts_with("0X")) {
    word.remove_prefix(2);
  }
  if (word.size() == kDigits + 3 && word[4] == ':' && word[9] == ':' && word[14] == ':') {
    for (const unsigned at : {0U, 5U, 10U, 15U}) {
      digits += word.substr(at, 4);
    }
    word = digits;
  }
  const auto value = parse_number<std::uint64_t>(word, 16);
  if (word.size() != kDigits || !value) {
    return cannot_parse("GUID", text, kExpected);
  }
  return Guid{*value};
}

std::string Guid::to_string() const {
  std::string out;
  append_groups(out, value, 4);
  return out;
}

Result<Gid> Gid::parse(std::string_view text) {
  const std::string_view word = trim(text);
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  Gid gid;
  if (word.size() < terminated.size() && word.find('\0') == std::string_view::npos) {
    std::copy(word.begin(), word.end(), terminated.begin());
    if (::inet_pton(AF_INET6, terminated.data(), gid.bytes.data()) == 1) {
      return gid;
    }
  }
  return cannot_parse("GID", text, "eight groups of hexadecimal digits, or an IPv6 address");
}

std::string Gid::to_string() const {
  std::string out;
  constexpr std::size_t kLength = 39;
  out.reserve(kLength);
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    if (i != 0) {
      out += ':';
    }
    append_groups(out, static_cast<std::uint64_t>(bytes[i] << 8U | bytes[i + 1]), 1);
  }
  return out;
}

bool Gid::is_zero() const {
  return *this == Gid{};
}

bool Gid::is_link_local() const {
  return bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80;
}

bool Gid::is_ipv4_mapped() const {
  constexpr std::array<std::uint8_t, 12> kPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kPrefix.begin(), kPrefix.end(), bytes.begin());
}

Result<PKey> PKey::parse(std::string_view text) {
  if (const auto value = parse_prefixed<std::uint16_t>(text, 16)) {
    return PKey{*value};
  }
  return cannot_parse("P_Key", text, "at most four hexadecimal digits");
}

std::string PKey::to_string() const {
  return hex(value, 4);
}

Result<Lid> Lid::parse(std::string_view text) {
  if (const auto value = parse_prefixed<std::uint32_t>(text, 10)) {
    return Lid{*value};
  }
  return cannot_parse("LID", text, "a number of at most 32 bits");
}

std::string Lid::to_string() const {
  return hex(value, 1);
}

Result<PortNumber> PortNumber::parse(std::string_view text) {
  if (const auto value = parse_number<std::uint32_t>(trim(text)); value && *value != 0) {
    return PortNumber{*value};
  }
  return cannot_parse("port number", text, "a decimal number of at least 1");
}

Result<LinkRate> LinkRate::parse(std::string_view text) {
  constexpr std::string_view kExpected = "a rate like \"100 Gb/sec (4X EDR)\"";
  const auto words = core::split(trim(text), " ()");
  LinkRate rate;
  if (words.size() < 2 || words.size() > 4 || words[1] != "Gb/sec") {
    return cannot_parse("rate", text, kExpected);
  }
  // "2.5": single data rate is the only one that is no whole number.
  std::string_view number = words[0];
  const bool half = number.ends_with(".5");
  if (half) {
    number.remove_suffix(2);
  }
  constexpr std::uint32_t kMegabits = 1000;
  const auto gigabits = parse_number<std::uint32_t>(number);
  if (!gigabits || *gigabits >= std::numeric_limits<std::uint32_t>::max() / kMegabits) {
    return cannot_parse("rate", text, kExpected);
  }
  rate.megabits_per_second = *gigabits * kMegabits + (half ? kMegabits / 2 : 0);
  if (words.size() > 2) {
    const std::string_view width = words[2];
    const auto lanes = parse_number<std::uint32_t>(width.substr(0, width.size() - 1));
    if (!width.ends_with('X') || !lanes) {
      return cannot_parse("rate", text, kExpected);
    }
    rate.lanes = *lanes;
  }
  if (words.size() > 3) {
    rate.signalling = words[3];
  }
  return rate;
}

Result<PortState> parse_port_state(std::string_view text) {
  const auto number = leading_number(text);
  if (!number || *number > static_cast<unsigned>(PortState::kActiveDefer)) {
    return cannot_parse("port state", text, "a number from 0 to 5 and a colon");
  }
  return static_cast<PortState>(*number);
}

Result<PhysicalState> parse_physical_state(std::string_view text) {
  const auto number = leading_number(text);
  if (!number || *number > static_cast<unsigned>(PhysicalState::kPhyTest)) {
    return cannot_parse("physical port state", text, "a number from 0 to 7 and a colon");
  }
  return static_cast<PhysicalState>(*number);
}

GidType parse_gid_type(std::string_view text, LinkLayer layer) {
  const std::string_view word = trim(text);
  if (word == "RoCE v2") {
    return GidType::kRoceV2;
  }
  if (word == "IB/RoCE v1") {
    switch (layer) {
      case LinkLayer::kInfiniBand:
        return GidType::kInfiniBand;
      case LinkLayer::kEthernet:
        return GidType::kRoceV1;
      case LinkLayer::kUnknown:
        break;
    }
  }
  return GidType::kUnknown;
}

}  // namespace rdmaboot::device
