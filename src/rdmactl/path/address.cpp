// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/path/address.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/text.hpp"

namespace rdmaboot::rdmactl {
namespace {

std::string text_of(std::uint32_t ipv4) {
  const std::string nid = to_string(engine::Nid::o2ib(ipv4));
  return nid.substr(0, nid.find('@'));
}

/// "RDMA ports here have 10.0.0.1 (rxe0), 10.0.0.2 (siw0)".
std::string what_there_is(const std::vector<device::AddressedPort>& ports) {
  std::set<std::string> seen;
  std::string text;
  for (const device::AddressedPort& port : ports) {
    const std::string one = text_of(port.ipv4) + " (" + core::printable(port.device) + ")";
    if (seen.insert(one).second) {
      text += (text.empty() ? "RDMA ports here have " : ", ") + one;
    }
  }
  return text.empty() ? "no RDMA port of this host has an IPv4 address" : text;
}

}  // namespace

core::Result<PeerName> parse_peer(std::string_view text) {
  const std::size_t at = text.find('@');
  const std::string_view host = text.substr(0, at);
  PeerName name{std::string(host), 0};
  if (at != std::string_view::npos) {
    const auto network = engine::parse_nid("0.0.0.0" + std::string(text.substr(at)));
    if (!network || network->type() != engine::Nid::kTypeO2ib) {
      return core::fail("read peer", "\"" + core::printable(text) + "\"", 0,
                        "expected ADDRESS, HOST or one of them with @o2ib or @o2ibN");
    }
    name.network = network->network();
  }
  if (host.empty()) {
    return core::fail("read peer", "\"" + core::printable(text) + "\"", 0,
                      "expected an address or a name of a host");
  }
  return name;
}

core::Result<std::vector<device::AddressedPort>> ports_on(
    const std::vector<device::AddressedPort>& ports, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view name = text.substr(0, colon);
  std::optional<device::PortNumber> number;
  if (colon != std::string_view::npos) {
    const auto parsed = device::PortNumber::parse(text.substr(colon + 1));
    if (!parsed) {
      return core::fail("read port", "\"" + core::printable(text) + "\"", 0,
                        "expected DEVICE or DEVICE:PORT");
    }
    number = *parsed;
  }
  std::vector<device::AddressedPort> found;
  for (const device::AddressedPort& port : ports) {
    if (port.device == name && (!number || port.port == *number)) {
      found.push_back(port);
    }
  }
  if (found.empty()) {
    return core::fail("find an IPv4 address on", core::printable(text), ENODEV,
                      what_there_is(ports));
  }
  return found;
}

core::Result<device::AddressedPort> choose_source(const std::vector<device::AddressedPort>& ports,
                                                  std::uint32_t peer,
                                                  std::optional<std::uint32_t> from,
                                                  std::optional<std::uint32_t> route,
                                                  bool any_will_do) {
  auto source = from ? from : route;
  if (any_will_do && !from &&
      (!route || *route == peer || !device::find_addressed_port(ports, {}, route))) {
    const auto other = std::find_if(ports.begin(), ports.end(),
                                    [&](const auto& port) { return port.ipv4 != peer; });
    source = other != ports.end() ? std::optional(other->ipv4) : source;
  }
  if (!source) {
    return core::fail("find a way to", text_of(peer), ENETUNREACH, what_there_is(ports));
  }
  if (*source == peer) {
    return core::fail("ask", text_of(peer), 0,
                      "it is the address that this host would ask from; another one of its own is "
                      "taken with --from; " +
                          what_there_is(ports));
  }
  auto port = device::find_addressed_port(ports, {}, source);
  if (!port) {
    return core::fail(from ? "ask from" : "ask " + text_of(peer) + " from", text_of(*source),
                      ENODEV, what_there_is(ports));
  }
  return std::move(*port);
}

}  // namespace rdmaboot::rdmactl
