// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/engine/nid.hpp"

#include <arpa/inet.h>

#include <charconv>

namespace rdmaboot::engine {

namespace {

core::Result<std::uint32_t> parse_address(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) {
    return core::fail("read NID", text, 0, "an IPv4 address, as in 10.0.0.1@o2ib0");
  }
  return ntohl(address.s_addr);
}

std::string address_text(std::uint32_t ipv4) {
  return std::to_string(ipv4 >> 24) + '.' + std::to_string((ipv4 >> 16) & 255U) + '.' +
         std::to_string((ipv4 >> 8) & 255U) + '.' + std::to_string(ipv4 & 255U);
}

}  // namespace

core::Result<Nid> parse_nid(std::string_view text) {
  // An embedded NUL would end the text early for inet_pton().
  if (text.find('\0') != std::string_view::npos) {
    return core::fail("read NID", text.substr(0, text.find('\0')), 0, "text without a NUL byte");
  }
  const std::size_t at = text.find('@');
  auto address = parse_address(text.substr(0, at));
  if (!address) {
    return tl::unexpected(address.error());
  }
  std::uint16_t network = 0;
  if (at != std::string_view::npos) {
    std::string_view name = text.substr(at + 1);
    if (!name.starts_with("o2ib")) {
      return core::fail("read NID", text, 0, "a network o2ib0 to o2ib65535");
    }
    name.remove_prefix(4);
    if (!name.empty()) {
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), network);
      if (error != std::errc{} || end != name.data() + name.size()) {
        return core::fail("read NID", text, 0, "a network o2ib0 to o2ib65535");
      }
    }
  }
  return Nid::o2ib(*address, network);
}

std::string to_string(Nid nid) {
  if (nid == Nid::any()) {
    return "<any>";
  }
  if (nid == Nid::loopback()) {
    return "0@lo";
  }
  if (nid.value >> 56 == 0 && nid.type() == Nid::kTypeO2ib) {
    std::string text = address_text(nid.ipv4()) + "@o2ib";
    return nid.network() == 0 ? text : text + std::to_string(nid.network());
  }
  char digits[16];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), nid.value, 16).ptr;
  return "<0x" + std::string(std::begin(digits), end) + '>';
}

}  // namespace rdmaboot::engine
