// SPDX-License-Identifier: BSD-2-Clause
#include "device/description_format.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace rdmaboot::device {
namespace {

using core::fail;

constexpr std::string_view kDirectives = "hHdi%";

bool is_control(char c) {
  constexpr unsigned char kDelete = 0x7f;
  const auto byte = static_cast<unsigned char>(c);
  return byte < ' ' || byte == kDelete;
}

/// `text` as a subnet manager may show it, cut to the length of a description.
std::string description_of(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = core::character_length(text);
    const std::string_view shown = length > 0 ? text.substr(0, length) : std::string_view("?");
    if (out.size() + shown.size() > kDescriptionLimit) {
      break;
    }
    out += shown;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace

core::Result<DescriptionFormat> DescriptionFormat::parse(std::string_view text) {
  if (text.empty() || text.size() > kDescriptionFormatLimit) {
    return fail("read format", text.substr(0, kDescriptionFormatLimit), 0,
                "expected 1 to " + std::to_string(kDescriptionFormatLimit) + " bytes");
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string position = "position " + std::to_string(at + 1) + ": ";
    if (is_control(text[at])) {
      return fail("read format", text, 0, position + "expected text, not a control character");
    }
    if (text[at] != '%') {
      continue;
    }
    if (at + 1 == text.size()) {
      return fail("read format", text, 0,
                  position + "expected a letter after %; %% is a percent sign");
    }
    if (kDirectives.find(text[at + 1]) == std::string_view::npos) {
      return fail("read format", text, 0, position + "expected one of %h %H %d %i %%");
    }
    ++at;
  }
  return DescriptionFormat(std::string(text));
}

std::string DescriptionFormat::expand(const DescriptionValues& values) const {
  std::string out;
  for (std::size_t at = 0; at < text_.size(); ++at) {
    if (text_[at] != '%' || at + 1 == text_.size()) {
      out += text_[at];
      continue;
    }
    switch (text_[++at]) {
      case 'h':
        out += values.hostname.substr(0, values.hostname.find('.'));
        break;
      case 'H':
        out += values.hostname;
        break;
      case 'd':
        out += values.device;
        break;
      case 'i':
        out += values.index ? std::to_string(*values.index) : "?";
        break;
      default:
        out += '%';
        break;
    }
  }
  return description_of(out);
}

}  // namespace rdmaboot::device
