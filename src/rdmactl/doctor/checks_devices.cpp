// SPDX-License-Identifier: BSD-2-Clause
// Devices and ports.
#include <algorithm>
#include <map>

#include "core/text.hpp"
#include "rdmactl/doctor/checks.hpp"
#include "rdmactl/doctor/ours.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

using device::Level;
using device::Protocol;
using device::Readiness;

/// Calls `take` with each port, its device and its name.
template <typename Take>
void each_port(const Examined& examined, Take take) {
  for (const device::Device& device : examined.devices.devices) {
    for (const device::Port& port : device.ports) {
      take(device, port, port_name(device, port));
    }
  }
}

bool is_ready(const Examined& examined, const device::Device& device, const device::Port& port,
              Level level) {
  return judge(device, &port, examined.facts, {level, std::nullopt}).readiness == Readiness::kReady;
}

bool is_fabric(Protocol protocol) {
  return protocol == Protocol::kInfiniBand || protocol == Protocol::kOpa;
}

std::string netdev_of(const device::Port& port) {
  return port.netdevs.empty() ? std::string{} : port.netdevs.front().name;
}

/// What helps a port that is not active.
std::string port_remedy(const Examined& examined, const device::Device& device,
                        const device::Port& port) {
  if (is_fabric(port.protocol)) {
    if (port.physical_state == device::PhysicalState::kDisabled) {
      return "Somebody disabled the port; enable it (ibportstate, or the switch's management).";
    }
    if (port.state == device::PortState::kInit || port.state == device::PortState::kArmed) {
      return "Start a subnet manager on the fabric (opensm, or the switch's own), and see that it "
             "reaches this port.";
    }
    return "Look at cable, transceiver and the port of the switch.";
  }
  const std::string netdev = netdev_of(port);
  if (netdev.empty()) {
    return "Its network interface is gone or in another network namespace; see rdma link show " +
           port_name(device, port) + ".";
  }
  const auto facts = examined.netdevs.find(netdev);
  if (facts != examined.netdevs.end() && !facts->second.up) {
    return "ip link set " + netdev + " up, and have the network configuration do that at boot.";
  }
  return "The interface is up and has no carrier: look at cable, transceiver and the port of the "
         "switch (ethtool " +
         netdev + ").";
}

constexpr std::uint32_t kLargestMtu = 4096;
constexpr std::uint32_t kSmallestMtu = 256;

/// The largest RDMA MTU of at most that many bytes.
std::uint32_t rounded_mtu(std::uint32_t bytes) {
  std::uint32_t mtu = kLargestMtu;
  while (mtu > bytes && mtu >= kSmallestMtu) {
    mtu /= 2;
  }
  return mtu >= kSmallestMtu ? mtu : 0;
}

}  // namespace

MtuRange rdma_mtu_of(std::uint32_t netdev_mtu) {
  // RoCE v1, all extension headers: iboe_get_mtu() of the kernel (include/rdma/ib_addr.h), which
  // takes off 40 + 8 + 12 + 4 + 28 + 4 bytes.
  constexpr std::uint32_t kMostHeaders = 96;
  // RoCE v2 over IPv4 with the headers of a write: 20 + 8 + 12 + 16 + 4 bytes (IBTA A17, 9.3).
  constexpr std::uint32_t kLeastHeaders = 60;
  const auto without = [netdev_mtu](std::uint32_t headers) {
    return netdev_mtu > headers ? rounded_mtu(netdev_mtu - headers) : 0;
  };
  return {without(kMostHeaders), without(kLeastHeaders)};
}

Findings check_device_nodes(const Examined& examined) {
  Findings findings;
  for (const device::Device& device : examined.devices.devices) {
    const device::Port* const port = device.ports.empty() ? nullptr : &device.ports.front();
    const device::Verdict verdict =
        judge(device, port, examined.facts, {Level::kChardev, std::nullopt});
    if (verdict.readiness != Readiness::kReady) {
      findings.push_back({device.name, verdict.missing + ".",
                          "systemctl start rdma-load-modules@rdma.service, and read its journal; "
                          "rdmactl modules says what it would load."});
    }
  }
  return findings;
}

Findings check_port_down(const Examined& examined) {
  Findings findings;
  // Whether the nodes open is another check's business.
  device::HostFacts facts;
  facts.nodes[device::HostFacts::kConnectionManagerNode] = 0;
  const device::CharacterDevice openable{device::CharacterDeviceKind::kUverbs, {}, "a node", {}};
  facts.nodes[openable.node] = 0;
  for (device::Device device : examined.devices.devices) {
    device.character_devices = {openable};
    for (const device::Port& port : device.ports) {
      const device::Verdict verdict = judge(device, &port, facts, {Level::kPort, std::nullopt});
      if (verdict.readiness != Readiness::kReady) {
        findings.push_back(
            {port_name(device, port), verdict.missing + ".", port_remedy(examined, device, port)});
      }
    }
  }
  return findings;
}

Findings check_gid_table_empty(const Examined& examined) {
  Findings findings;
  each_port(examined, [&](const auto&, const auto& port, const std::string& name) {
    if (port.state == device::PortState::kActive && port.gids.empty()) {
      findings.push_back({name, "The port is ACTIVE, and no entry of its GID table is in use.",
                          port.protocol == Protocol::kRoce && !netdev_of(port).empty()
                              ? "Give " + netdev_of(port) +
                                    " an address, or IPv6 its link-local one "
                                    "(net.ipv6.conf." +
                                    netdev_of(port) + ".addr_gen_mode=0)."
                              : "Load the driver anew; if the table stays empty, the kernel's log "
                                "says why."});
    }
  });
  return findings;
}

Findings check_no_address(const Examined& examined) {
  Findings findings;
  each_port(examined, [&](const auto& device, const auto& port, const std::string& name) {
    const bool by_address = port.protocol == Protocol::kIwarp;
    if ((by_address && !examined.live.known) || port.gids.empty() ||
        !is_ready(examined, device, port, Level::kPort)) {
      return;
    }
    const device::Verdict verdict =
        judge(device, &port, examined.facts, {Level::kAddress, std::nullopt});
    if (verdict.readiness != Readiness::kReady) {
      const std::string netdev = netdev_of(port);
      findings.push_back({name, verdict.missing + ".",
                          is_fabric(port.protocol)
                              ? "See that the subnet manager serves this port (sminfo, ibstat)."
                              : "Give " + (netdev.empty() ? "its interface" : netdev) +
                                    " an IP address: ip address add ADDRESS/PREFIX dev " +
                                    (netdev.empty() ? "NETDEV" : netdev) +
                                    ", and have the network configuration do that at boot."});
    }
  });
  return findings;
}

Findings check_mtu_mismatch(const Examined& examined) {
  Findings findings;
  each_port(examined, [&](const auto&, const auto& port, const std::string& name) {
    const auto netdev = examined.netdevs.find(netdev_of(port));
    if (port.protocol != Protocol::kRoce || !port.active_mtu || netdev == examined.netdevs.end() ||
        !netdev->second.mtu) {
      return;
    }
    const MtuRange fits = rdma_mtu_of(*netdev->second.mtu);
    const std::uint32_t most = std::min(fits.least, port.max_mtu.value_or(fits.least));
    const std::string evidence = "RDMA MTU " + std::to_string(*port.active_mtu) + ", " +
                                 netdev->first + " has MTU " + std::to_string(*netdev->second.mtu) +
                                 ", which gives " + std::to_string(fits.least) + ".";
    if (*port.active_mtu > fits.most) {
      findings.push_back({name, evidence + " Full packets do not fit and are lost.",
                          "Set the interface's MTU anew (ip link set " + netdev->first + " mtu " +
                              std::to_string(*netdev->second.mtu) +
                              ") or raise it; the switches have to follow."});
    } else if (*port.active_mtu < most) {
      findings.push_back({name, evidence + " Packets are smaller than they could be.",
                          "ip link set " + netdev->first +
                              " down, then up, so that the driver takes the new MTU."});
    }
  });
  return findings;
}

Findings check_port_mapper_silent(const Examined& examined) {
  Findings findings;
  const auto& devices = examined.devices.devices;
  const auto iwarp = std::find_if(devices.begin(), devices.end(), [](const auto& device) {
    return device.protocol == Protocol::kIwarp;
  });
  if (iwarp == devices.end() || !examined.live.port_mapper || examined.live.port_mapper->empty()) {
    return findings;
  }
  findings.push_back({"iwpmd.service",
                      iwarp->name + " is an iWARP device, and iwpmd does not answer: " +
                          *examined.live.port_mapper,
                      "systemctl restart iwpmd.service, and read journalctl -u iwpmd.service."});
  return findings;
}

Findings check_description_default(const Examined& examined) {
  Findings findings;
  const std::string host = examined.hostname.substr(0, examined.hostname.find('.'));
  for (const device::Device& device : examined.devices.devices) {
    // Many Ethernet adapters cannot change theirs, and nobody reads it there.
    const bool counts =
        is_fabric(device.protocol) || (device.protocol == Protocol::kRoce &&
                                       (device.driver.empty() || device.driver.starts_with("mlx")));
    if (!counts || !device.node_description) {
      continue;
    }
    const std::string& text = *device.node_description;
    const bool is_default = text.empty() || text.starts_with("localhost") || text == "rxe" ||
                            text.find("Mellanox") != std::string::npos ||
                            text.find("Technologies") != std::string::npos;
    if (is_default && (host.empty() || text.find(host) == std::string::npos)) {
      findings.push_back({device.name, "Its node description is \"" + text + "\".",
                          "systemctl restart rdma-ndd.service, and read its journal; set a host "
                          "name if it is localhost (hostnamectl)."});
    }
  }
  return findings;
}

Findings check_description_collision(const Examined& examined) {
  Findings findings;
  std::map<std::string, const device::Device*> first;
  for (const device::Device& device : examined.devices.devices) {
    // Drivers of iWARP write the same one for all of their devices, and nobody can change that.
    if (!device.node_description || device.node_description->empty() ||
        device.protocol == Protocol::kIwarp) {
      continue;
    }
    const auto [other, is_new] = first.try_emplace(*device.node_description, &device);
    if (!is_new) {
      findings.push_back({device.name,
                          "It and " + other->second->name + " are both called \"" +
                              *device.node_description + "\".",
                          "Have %d (the device's name) in Format= of rdma-ndd.conf, then systemctl "
                          "reload rdma-ndd.service."});
    }
  }
  return findings;
}

Findings check_name_changes(const Examined& examined) {
  Findings findings;
  // What an admin's rules choose only udev knows, at the next boot.
  const auto rules = examined.rules.find(kNamingRules);
  if (!examined.naming_rules.empty() || rules == examined.rules.end() || rules->second.masked ||
      rules->second.paths.empty() || rules->second.paths.front().starts_with("/etc")) {
    return findings;
  }
  for (const auto& [device, next] : examined.live.next_names) {
    if (!next.empty() && next != device) {
      findings.push_back({device, "At the next boot it will be called " + next + ".",
                          "Use that name in configuration, or keep this one: "
                          "ENV{RDMA_NAME_POLICY}=\"NAME_FIXED " +
                              device + "\" in a rule (docs/guides/device-names.md)."});
    }
  }
  return findings;
}

}  // namespace rdmaboot::rdmactl::doctor
