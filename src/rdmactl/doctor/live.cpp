// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/live.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

using nlohmann::json;

/// Text that JSON can carry: what a device or a file says may be no UTF-8.
std::string text_of(std::string_view text) {
  return core::printable(text);
}

/// Calls `take` for each pair of the object `name`; false if it is no object, too long, or a value
/// is refused.
template <typename Take>
bool each(const json& all, const char* name, Take take) {
  const auto found = all.find(name);
  if (found == all.end() || !found->is_object() || found->size() > kLiveEntries) {
    return false;
  }
  for (const auto& [key, value] : found->items()) {
    if (!take(key, value)) {
      return false;
    }
  }
  return true;
}

bool take_text(const json& value, std::string& out) {
  if (value.is_string()) {
    out = value.get<std::string>();
  }
  return value.is_string();
}

template <typename T>
bool take_number(const json& value, T& out) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= INT32_MAX) {
    out = value.get<T>();
    return true;
  }
  return false;
}

bool take_names(const json& value, std::vector<std::string>& out) {
  if (!value.is_array() || value.size() > kLiveEntries) {
    return false;
  }
  return std::all_of(value.begin(), value.end(),
                     [&out](const json& one) { return take_text(one, out.emplace_back()); });
}

bool take_addresses(const json& value, std::vector<device::Gid>& out) {
  if (!value.is_array() || value.size() > kLiveEntries) {
    return false;
  }
  for (const json& one : value) {
    std::string text;
    if (!take_text(one, text)) {
      return false;
    }
    const auto gid = device::Gid::parse(text);
    if (!gid) {
      return false;
    }
    out.push_back(*gid);
  }
  return true;
}

}  // namespace

json live_json(const LiveFacts& facts) {
  json all = {{"version", 1},
              {"addresses", json::object()},
              {"nodes", json::object()},
              {"active_mtu", json::object()},
              {"netdevs", json::object()},
              {"unit_states", json::object()},
              {"next_names", json::object()},
              {"port_mapper", facts.port_mapper ? json(text_of(*facts.port_mapper)) : json()}};
  for (const auto& [netdev, gids] : facts.addresses) {
    json list = json::array();
    for (const device::Gid& gid : gids) {
      list.push_back(gid.to_string());
    }
    all["addresses"][text_of(netdev)] = std::move(list);
  }
  for (const auto& [node, error] : facts.nodes) {
    all["nodes"][text_of(node)] = error;
  }
  for (const auto& [port, mtu] : facts.active_mtu) {
    all["active_mtu"][text_of(port)] = mtu;
  }
  for (const auto& [port, netdevs] : facts.netdevs) {
    json list = json::array();
    for (const std::string& netdev : netdevs) {
      list.push_back(text_of(netdev));
    }
    all["netdevs"][text_of(port)] = std::move(list);
  }
  for (const auto& [unit, state] : facts.unit_states) {
    all["unit_states"][text_of(unit)] = text_of(state);
  }
  for (const auto& [device, name] : facts.next_names) {
    all["next_names"][text_of(device)] = text_of(name);
  }
  return all;
}

core::Result<LiveFacts> parse_live(std::string_view text) {
  const auto wrong = [](std::string_view expected) {
    return core::fail("understand", kLiveFile, 0, expected);
  };
  if (text.size() > kLiveLimit) {
    return wrong("expected at most " + std::to_string(kLiveLimit) + " bytes");
  }
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object() || all.value("version", json()) != json(1)) {
    return wrong("expected an object with \"version\": 1");
  }
  LiveFacts facts;
  facts.known = true;
  const bool good = each(all, "addresses",
                         [&](const auto& key, const json& value) {
                           return take_addresses(value, facts.addresses[key]);
                         }) &&
                    each(all, "nodes",
                         [&](const auto& key, const json& value) {
                           return take_number(value, facts.nodes[key]);
                         }) &&
                    each(all, "active_mtu",
                         [&](const auto& key, const json& value) {
                           return take_number(value, facts.active_mtu[key]);
                         }) &&
                    each(all, "netdevs",
                         [&](const auto& key, const json& value) {
                           return take_names(value, facts.netdevs[key]);
                         }) &&
                    each(all, "unit_states",
                         [&](const auto& key, const json& value) {
                           return take_text(value, facts.unit_states[key]);
                         }) &&
                    each(all, "next_names", [&](const auto& key, const json& value) {
                      return take_text(value, facts.next_names[key]);
                    });
  if (!good) {
    return wrong("expected the tables that rdmactl writes");
  }
  if (const auto mapper = all.find("port_mapper"); mapper != all.end() && !mapper->is_null()) {
    if (!take_text(*mapper, facts.port_mapper.emplace())) {
      return wrong("expected text as \"port_mapper\"");
    }
  }
  return facts;
}

std::string port_name(const device::Device& device, const device::Port& port) {
  return device.name + ":" + std::to_string(port.number.value);
}

}  // namespace rdmaboot::rdmactl::doctor
