// SPDX-License-Identifier: BSD-2-Clause
#include "responder/policy.hpp"

#include <algorithm>
#include <utility>

namespace rdmaboot::responder {

engine::Settings engine_settings(const Settings& settings, const device::AddressedPort& where,
                                 std::uint64_t incarnation) {
  engine::Settings wanted;
  wanted.nid = engine::Nid::o2ib(where.ipv4, settings.network);
  wanted.port = settings.port;
  wanted.incarnation = incarnation;
  // To the engine an empty list is everybody.
  wanted.allowed = settings.allowed;
  wanted.allowed.push_back({.nid = wanted.nid, .prefix_bits = 32});
  wanted.check_source_address = true;
  wanted.max_peers = settings.max_peers;
  wanted.max_connections = settings.max_connections;
  wanted.max_connections_of_a_peer = settings.max_connections_of_a_peer;
  wanted.max_half_open = std::min(wanted.max_half_open, settings.max_connections);
  wanted.max_half_open_of_a_peer =
      std::min(wanted.max_half_open_of_a_peer, settings.max_connections_of_a_peer);
  wanted.max_memory = settings.max_memory;
  return wanted;
}

std::string wanted_text(const Settings& settings) {
  std::string text = "an RDMA port";
  if (settings.ipv4) {
    const std::string nid = engine::to_string(engine::Nid::o2ib(*settings.ipv4));
    text += " with address " + nid.substr(0, nid.find('@'));
  } else {
    text += " with an IPv4 address";
  }
  if (!settings.netdev.empty()) {
    text += " on " + settings.netdev;
  }
  return text;
}

std::string serving_text(const device::AddressedPort& where, engine::Nid nid) {
  return engine::to_string(nid) + " on " + where.device + " port " +
         std::to_string(where.port.value) + " (" + where.netdev + ")";
}

core::Microseconds Retry::failed() {
  return std::exchange(next_, std::min(next_ * 2, kLongestPause));
}

}  // namespace rdmaboot::responder
