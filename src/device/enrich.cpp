// SPDX-License-Identifier: BSD-2-Clause
#include "device/enrich.hpp"

#include <algorithm>
#include <string>

#include "device/protocol.hpp"

namespace rdmaboot::device {
namespace {

/// The capability mask without the second word that netlink puts above it.
constexpr std::uint64_t kCapabilityMask = 0xffffffffU;

const NetlinkFact* find_fact(const NetlinkFacts& facts, const std::string& name) {
  const auto found =
      std::find_if(facts.devices.begin(), facts.devices.end(),
                   [&name](const NetlinkFact& fact) { return fact.device.name == name; });
  return found == facts.devices.end() ? nullptr : &*found;
}

template <typename Target, typename Source>
void fill(std::optional<Target>& target, const Source& value) {
  if (!target) {
    target = Target{value};
  }
}

void add_netlink_port(Port& port, const os::NetlinkPort& fact) {
  if (!port.state && fact.state && *fact.state <= static_cast<unsigned>(PortState::kActiveDefer)) {
    port.state = static_cast<PortState>(*fact.state);
  }
  if (!port.physical_state && fact.physical_state &&
      *fact.physical_state <= static_cast<unsigned>(PhysicalState::kPhyTest)) {
    port.physical_state = static_cast<PhysicalState>(*fact.physical_state);
  }
  if (fact.lid) {
    fill(port.lid, *fact.lid);
  }
  if (fact.sm_lid) {
    fill(port.sm_lid, *fact.sm_lid);
  }
  if (fact.lmc) {
    fill(port.lid_mask, *fact.lmc);
  }
  if (fact.capability_flags) {
    fill(port.capabilities, static_cast<std::uint32_t>(*fact.capability_flags & kCapabilityMask));
  }
  if (!fact.netdev_name.empty()) {
    port.netdevs.push_back({fact.netdev_name, fact.netdev_index});
  }
}

GidType gid_type_from(os::VerbsGidType type) {
  switch (type) {
    case os::VerbsGidType::kInfiniBand:
      return GidType::kInfiniBand;
    case os::VerbsGidType::kRoceV1:
      return GidType::kRoceV1;
    case os::VerbsGidType::kRoceV2:
      return GidType::kRoceV2;
  }
  return GidType::kUnknown;
}

}  // namespace

void add_netlink(std::vector<Device>& devices, const NetlinkFacts& facts) {
  for (Device& device : devices) {
    const NetlinkFact* const fact = find_fact(facts, device.name);
    if (fact == nullptr) {
      continue;
    }
    const os::NetlinkDevice& told = fact->device;
    device.index = told.index;
    if (told.name_assign_type != os::NameAssignType::kUnknown) {
      device.named_by_user = told.name_assign_type == os::NameAssignType::kUser;
    }
    fill(device.firmware_version, told.firmware);
    if (told.node_guid != 0) {
      fill(device.node_guid, told.node_guid);
    }
    if (told.sys_image_guid != 0) {
      fill(device.sys_image_guid, told.sys_image_guid);
    }
    if (!device.node_type && told.node_type) {
      device.node_type = node_type_from_number(*told.node_type);
    }
    for (Port& port : device.ports) {
      for (const os::NetlinkPort& port_fact : fact->ports) {
        if (port_fact.port == port.number.value) {
          add_netlink_port(port, port_fact);
        }
      }
    }
  }
}

void add_protocols(std::vector<Device>& devices, const NetlinkFacts& facts) {
  for (Device& device : devices) {
    ProtocolEvidence evidence;
    if (const NetlinkFact* const fact = find_fact(facts, device.name); fact != nullptr) {
      evidence.netlink = fact->device.protocol;
    }
    evidence.node_type = device.node_type;
    evidence.driver = device.driver;
    for (const Port& port : device.ports) {
      evidence.link_layers.push_back(port.link_layer);
    }
    const std::vector<Protocol> protocols = decide_protocols(evidence);
    device.protocol = protocols.front();
    for (std::size_t i = 0; i < device.ports.size() && i < protocols.size(); ++i) {
      device.ports[i].protocol = protocols[i];
    }
  }
}

std::vector<std::string> add_verbs(std::vector<Device>& devices, const os::VerbsFacts& facts) {
  std::vector<std::string> with_gids;
  for (const os::VerbsDevice& fact : facts.devices) {
    const auto device = std::find_if(devices.begin(), devices.end(),
                                     [&fact](const Device& d) { return d.name == fact.name; });
    if (device == devices.end()) {
      continue;
    }
    for (Port& port : device->ports) {
      for (const os::VerbsPort& port_fact : fact.ports) {
        if (port_fact.number == port.number.value) {
          port.active_mtu = port_fact.active_mtu;
          port.max_mtu = port_fact.max_mtu;
        }
      }
      if (!fact.gids) {
        continue;
      }
      for (const os::VerbsGid& gid : *fact.gids) {
        if (gid.port == port.number.value) {
          port.gids.push_back({gid.index, Gid{gid.bytes}, gid_type_from(gid.type), gid.netdev});
        }
      }
      std::sort(port.gids.begin(), port.gids.end(),
                [](const GidEntry& a, const GidEntry& b) { return a.index < b.index; });
    }
    if (fact.gids) {
      with_gids.push_back(device->name);
    }
  }
  return with_gids;
}

}  // namespace rdmaboot::device
