// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/gather.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "device/host_facts.hpp"
#include "os/sysfs.hpp"
#include "rdmactl/doctor/ours.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

/// What netlink and verbs said when the tree was saved.
void add_live(device::Snapshot& devices, const LiveFacts& live) {
  for (device::Device& device : devices.devices) {
    for (device::Port& port : device.ports) {
      const std::string name = port_name(device, port);
      if (const auto mtu = live.active_mtu.find(name); mtu != live.active_mtu.end()) {
        port.active_mtu = mtu->second;
      }
      if (const auto netdevs = live.netdevs.find(name);
          netdevs != live.netdevs.end() && port.netdevs.empty()) {
        for (const std::string& netdev : netdevs->second) {
          port.netdevs.push_back({netdev, std::nullopt});
        }
      }
    }
  }
}

void gather_facts(Examined& examined) {
  examined.facts.netdev_addresses = examined.live.addresses;
  examined.facts.nodes = examined.live.nodes;
  if (examined.live.known) {
    return;
  }
  // Nobody knows whether they open: no reason to say that they do not.
  examined.facts.nodes[device::HostFacts::kConnectionManagerNode] = 0;
  for (const device::Device& device : examined.devices.devices) {
    for (const device::CharacterDevice& node : device.character_devices) {
      examined.facts.nodes[node.node] = 0;
    }
  }
}

void gather_netdevs(Tree& tree, Examined& examined) {
  constexpr unsigned kUp = 1;  // IFF_UP, netdevice(7)
  for (const device::Device& device : examined.devices.devices) {
    for (const device::Port& port : device.ports) {
      for (const device::Netdev& netdev : port.netdevs) {
        if (netdev.name.find('/') != std::string::npos) {
          continue;
        }
        const std::string home = "/sys/class/net/" + netdev.name + "/";
        NetdevFacts& facts = examined.netdevs[netdev.name];
        if (const auto mtu = tree.read(home + "mtu")) {
          facts.mtu = core::parse_number<std::uint32_t>(core::trim(*mtu));
        }
        std::string_view flags;
        const auto text = tree.read(home + "flags");
        if (text && (flags = core::trim(*text)).starts_with("0x")) {
          flags.remove_prefix(2);
          facts.up = (core::parse_number<unsigned>(flags, 16).value_or(0) & kUp) != 0;
        }
      }
    }
  }
}

/// Traces of other boot layers, each of which brings devices up by itself.
void gather_foreign(Tree& tree, Examined& examined) {
  constexpr auto kTraces = std::to_array<std::pair<const char*, const char*>>(
      {{"/etc/init.d/openibd", "the start script of MLNX_OFED or DOCA-OFED"},
       {"/etc/infiniband/openib.conf", "the configuration of openibd (MLNX_OFED, DOCA-OFED)"},
       {"/etc/init.d/iwpmd", "a start script of rdma-core for the port mapper"},
       {"/etc/init.d/rdma", "the start script of an older RDMA package"},
       {"/etc/rdma/rdma.conf", "the configuration of an older RDMA package"}});
  for (const auto& [path, what] : kTraces) {
    if (tree.exists(path)) {
      examined.foreign.push_back(std::string(path) + ": " + what);
    }
  }
  if (const auto found = examined.units.find("openibd.service"); found != examined.units.end()) {
    examined.foreign.push_back(found->second.path + ": the unit of MLNX_OFED or DOCA-OFED");
  }
  const auto loader = examined.units.find(kLoaderUnit);
  if (loader != examined.units.end() && !loader->second.masked &&
      loader->second.exec.find(kLoaderMark) == std::string::npos) {
    examined.foreign.push_back(loader->second.path + ": runs \"" + loader->second.exec +
                               "\", as rdma-core's does");
  }
  const auto rules = examined.rules.find(kDescriptionRules);
  if (rules != examined.rules.end() && !rules->second.text.empty() &&
      rules->second.text.find(kDescriptionMark) == std::string::npos) {
    examined.foreign.push_back(rules->second.paths.front() +
                               ": goes by names of drivers, as rdma-core's does");
  }
}

core::Result<LiveFacts> live_of_tree(Tree& tree) {
  if (const auto text = tree.read(kLiveFile)) {
    return parse_live(*text);
  }
  return LiveFacts{};
}

void look_at(Tree& tree, const std::string& directory, std::span<const char* const> names) {
  for (const char* const name : names) {
    static_cast<void>(tree.read(directory + "/" + name));
  }
}

void record_port(Tree& tree, const std::string& path, const device::Port& port) {
  constexpr auto kAttributes = std::to_array<const char*>(
      {"link_layer", "state", "phys_state", "rate", "lid", "lid_mask_count", "sm_lid", "cap_mask"});
  look_at(tree, path, kAttributes);
  for (const device::GidEntry& entry : port.gids) {
    const std::string index = std::to_string(entry.index);
    static_cast<void>(tree.read(path + "/gids/" + index));
    static_cast<void>(tree.read(path + "/gid_attrs/types/" + index));
    static_cast<void>(tree.read(path + "/gid_attrs/ndevs/" + index));
  }
  for (const device::PKeyEntry& entry : port.pkeys) {
    static_cast<void>(tree.read(path + "/pkeys/" + std::to_string(entry.index)));
  }
  static_cast<void>(tree.list(path + "/gids"));
  static_cast<void>(tree.list(path + "/pkeys"));
}

}  // namespace

core::Result<Examined> gather(Tree& tree, std::vector<core::Error>& notes) {
  device::SnapshotOptions wanted;
  wanted.root = tree.root();
  auto devices = device::take_snapshot(wanted);
  if (!devices) {
    return tl::make_unexpected(std::move(devices).error());
  }
  notes.insert(notes.end(), devices->notes.begin(), devices->notes.end());
  Examined examined;
  if (tree.root().empty()) {
    examined.live = read_live(*devices, notes);
  } else {
    auto live = live_of_tree(tree);
    if (!live) {
      return tl::make_unexpected(std::move(live).error());
    }
    examined.live = std::move(*live);
    add_live(*devices, examined.live);
  }
  examined.devices = std::move(*devices);
  gather_facts(examined);
  gather_netdevs(tree, examined);
  gather_kernel(tree, examined);
  gather_modules(tree, examined);
  gather_rules(tree, examined);
  gather_units(tree, examined);
  gather_foreign(tree, examined);
  gather_locks(tree, examined);
  gather_initramfs(tree, examined);
  return examined;
}

void record_devices(Tree& tree, const device::Snapshot& devices) {
  constexpr auto kDevice =
      std::to_array<const char*>({"node_type", "node_guid", "sys_image_guid", "node_desc", "fw_ver",
                                  "hca_type", "board_id", "parent"});
  constexpr auto kNode = std::to_array<const char*>({"dev", "ibdev", "port"});
  constexpr auto kNetdev = std::to_array<const char*>({"type", "dev_port", "ifindex", "parent"});
  for (const device::Device& device : devices.devices) {
    const std::string home = "/sys/class/infiniband/" + device.name;
    look_at(tree, home, kDevice);
    static_cast<void>(tree.link(home + "/device"));
    for (const device::Port& port : device.ports) {
      record_port(tree, home + "/ports/" + std::to_string(port.number.value), port);
      for (const device::Netdev& netdev : port.netdevs) {
        look_at(tree, "/sys/class/net/" + netdev.name, kNetdev);
      }
    }
    for (const device::CharacterDevice& node : device.character_devices) {
      const bool verbs = node.kind == device::CharacterDeviceKind::kUverbs;
      look_at(tree,
              std::string("/sys/class/") + (verbs ? "infiniband_verbs/" : "infiniband_mad/") +
                  node.name,
              kNode);
    }
    if (!device.parent_path.empty()) {
      static_cast<void>(tree.read(device.parent_path + "/numa_node"));
      static_cast<void>(tree.link(device.parent_path + "/driver"));
      static_cast<void>(tree.link(device.parent_path + "/subsystem"));
      static_cast<void>(tree.link(device.parent_path + "/physfn"));
      for (const std::string& netdev : tree.list(device.parent_path + "/net")) {
        look_at(tree, device.parent_path + "/net/" + netdev, kNetdev);
      }
    }
  }
  static_cast<void>(tree.list("/sys"));
}

}  // namespace rdmaboot::rdmactl::doctor
