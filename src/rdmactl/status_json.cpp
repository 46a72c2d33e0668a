// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/status_json.hpp"

#include "core/text.hpp"

namespace rdmaboot::rdmactl {
namespace {

using nlohmann::json;

json text(std::string_view value) {
  return core::printable(value, value.size());
}

json text_or_null(std::string_view value) {
  return value.empty() ? json() : text(value);
}

json optional_text(const std::optional<std::string>& value) {
  return value ? text(*value) : json();
}

template <typename T>
json number_or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

template <typename T>
json string_or_null(const std::optional<T>& value) {
  return value ? json(value->to_string()) : json();
}

template <typename T>
json name_or_null(const std::optional<T>& value) {
  return value ? json(device::name_of(*value)) : json();
}

json gids_of(const device::Port& port) {
  json gids = json::array();
  for (const device::GidEntry& entry : port.gids) {
    gids.push_back({{"index", entry.index},
                    {"gid", entry.gid.to_string()},
                    {"type", device::name_of(entry.type)},
                    {"netdev", text_or_null(entry.netdev)}});
  }
  return gids;
}

json port_of(const PortStatus& status) {
  const device::Port& port = *status.port;
  json netdevs = json::array();
  for (const device::Netdev& netdev : port.netdevs) {
    netdevs.push_back({{"name", text(netdev.name)}, {"index", number_or_null(netdev.index)}});
  }
  json pkeys = json::array();
  for (const device::PKeyEntry& entry : port.pkeys) {
    pkeys.push_back({{"index", entry.index}, {"pkey", entry.pkey.to_string()}});
  }
  json rate;
  if (port.rate) {
    rate = {{"megabits_per_second", port.rate->megabits_per_second},
            {"lanes", port.rate->lanes},
            {"signalling", text_or_null(port.rate->signalling)}};
  }
  return {{"number", port.number.value},
          {"protocol", protocol_name(port.protocol)},
          {"link_layer", device::name_of(port.link_layer)},
          {"state", name_or_null(port.state)},
          {"physical_state", name_or_null(port.physical_state)},
          {"rate", rate},
          {"lid", port.lid ? json(port.lid->value) : json()},
          {"sm_lid", port.sm_lid ? json(port.sm_lid->value) : json()},
          {"active_mtu", number_or_null(port.active_mtu)},
          {"max_mtu", number_or_null(port.max_mtu)},
          {"netdevs", netdevs},
          {"gids", gids_of(port)},
          {"pkeys", pkeys}};
}

json readiness_of(const PortStatus& status) {
  return {{"level", status.reached ? json(device::name_of(*status.reached)) : json()},
          {"status", device::name_of(status.readiness)},
          {"missing", text_or_null(status.missing)}};
}

json device_of(const device::Device& device) {
  json nodes = json::array();
  for (const device::CharacterDevice& node : device.character_devices) {
    nodes.push_back(text(node.node));
  }
  return {{"name", text(device.name)},
          {"index", number_or_null(device.index)},
          {"protocol", protocol_name(device.protocol)},
          {"node_guid", string_or_null(device.node_guid)},
          {"system_image_guid", string_or_null(device.sys_image_guid)},
          {"node_description", optional_text(device.node_description)},
          {"firmware", optional_text(device.firmware_version)},
          {"board_id", optional_text(device.board_id)},
          {"driver", text_or_null(device.driver)},
          {"pci_address", text_or_null(device.pci_address)},
          {"numa_node", number_or_null(device.numa_node)},
          {"nodes", nodes},
          {"ports", json::array()}};
}

}  // namespace

json status_json(const device::Snapshot& snapshot, const std::vector<PortStatus>& ports) {
  json devices = json::array();
  auto status = ports.begin();
  for (const device::Device& device : snapshot.devices) {
    json object = device_of(device);
    // judge_ports() keeps the snapshot's order.
    for (; status != ports.end() && status->device == &device; ++status) {
      if (status->port == nullptr) {
        object["readiness"] = readiness_of(*status);
        continue;
      }
      json port = port_of(*status);
      port["readiness"] = readiness_of(*status);
      object["ports"].push_back(std::move(port));
    }
    devices.push_back(std::move(object));
  }
  json notes = json::array();
  for (const core::Error& note : snapshot.notes) {
    notes.push_back(text(note.message()));
  }
  return {{"devices", devices}, {"consistent", snapshot.consistent}, {"notes", notes}};
}

}  // namespace rdmaboot::rdmactl
