// SPDX-License-Identifier: BSD-2-Clause
#include "core/text.hpp"

#include <array>
#include <cstdint>

namespace rdmaboot::core {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kHexDigits = "0123456789abcdef";

void append_hex(std::string& out, unsigned char byte) {
  out += "\\x";
  out += kHexDigits[byte >> 4U];
  out += kHexDigits[byte & 0x0fU];
}

/// Length of the well-formed, non-control UTF-8 sequence at the start of `text`, 0 if there is none
/// (RFC 3629: no overlong forms, no surrogates; C1 controls are refused because terminals obey
/// them).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t length = 0;
  std::uint32_t value = 0;
  if ((byte(0) & 0xe0U) == 0xc0U) {
    length = 2;
    value = byte(0) & 0x1fU;
  } else if ((byte(0) & 0xf0U) == 0xe0U) {
    length = 3;
    value = byte(0) & 0x0fU;
  } else if ((byte(0) & 0xf8U) == 0xf0U) {
    length = 4;
    value = byte(0) & 0x07U;
  }
  if (length == 0 || text.size() < length) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) {
      return 0;
    }
    value = value << 6U | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0xa0, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
    return 0;
  }
  return length;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(separators, at)) != std::string_view::npos) {
    const std::size_t end = text.find_first_of(separators, at);
    parts.push_back(text.substr(at, end - at));
    at = end == std::string_view::npos ? text.size() : end;
  }
  return parts;
}

std::size_t character_length(std::string_view text) {
  if (text.empty()) {
    return 0;
  }
  const bool ascii = text.front() >= ' ' && text.front() <= '~';
  return ascii ? 1 : utf8_length(text);
}

std::string printable(std::string_view text, std::size_t limit) {
  const bool cut = text.size() > limit;
  std::string_view rest = text.substr(0, limit);
  std::string out;
  out.reserve(rest.size());
  while (!rest.empty()) {
    const auto byte = static_cast<unsigned char>(rest.front());
    std::size_t taken = 1;
    if (byte >= 0x20 && byte < 0x7f) {
      out += rest.front();
    } else if (const std::size_t length = utf8_length(rest); length > 0) {
      out += rest.substr(0, length);
      taken = length;
    } else {
      append_hex(out, byte);
    }
    rest.remove_prefix(taken);
  }
  if (cut) {
    out += "...";
  }
  return out;
}

std::string unit_name_from_path(std::string_view path, std::string_view suffix) {
  std::string out;
  for (const std::string_view part : split(path, "/")) {
    if (!out.empty()) {
      out += '-';
    }
    for (const char c : part) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == ':' || c == '_' ||
                         (c == '.' && !out.empty());
      if (plain) {
        out += c;
      } else {
        append_hex(out, static_cast<unsigned char>(c));
      }
    }
  }
  if (out.empty()) {
    out += '-';
  }
  out += suffix;
  return out;
}

}  // namespace rdmaboot::core
