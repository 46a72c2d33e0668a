// SPDX-License-Identifier: BSD-2-Clause
#include "link/machine.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include "core/file.hpp"
#include "os/kernel_command_line.hpp"
#include "os/kmod.hpp"
#include "os/sysfs.hpp"

namespace rdmaboot::link {
namespace {

namespace fs = std::filesystem;
using core::Result;
using device::SoftLinkType;

constexpr const char* kDevices = "/sys/class/infiniband";

bool is_live(SoftLinkType type) {
  return os::module_state("/sys", std::string(device::module_of(type))) == os::ModuleState::kLive;
}

/// Only the devices of rdma_rxe and siw have no hardware above them, and the protocol tells these
/// two apart.
std::optional<SoftLinkType> soft_type(const os::NetlinkDevice& device) {
  std::error_code error;
  const fs::path real = fs::canonical(std::string(kDevices) + "/" + device.name, error);
  if (error || !real.string().starts_with("/sys/devices/virtual/")) {
    return std::nullopt;
  }
  if (device.protocol == "roce") {
    return SoftLinkType::kRxe;
  }
  return device.protocol == "iw" ? std::optional(SoftLinkType::kSiw) : std::nullopt;
}

std::map<SoftLinkType, TypeFact> type_facts(const device::DeclaredLinks& declared) {
  std::map<SoftLinkType, TypeFact> facts;
  for (const device::DeclaredLink& link : declared.links) {
    facts.try_emplace(link.type);
  }
  std::unique_ptr<os::ModuleIndex> index;
  std::optional<os::KernelParameters> parameters;
  for (auto& [type, fact] : facts) {
    if (is_live(type)) {
      fact.availability = os::Availability::kLive;
      continue;
    }
    if (!parameters) {
      const auto text = core::read_file("/proc/cmdline");
      parameters = os::parse_kernel_command_line(text ? *text : std::string());
      if (auto opened = os::open_kmod({})) {
        index = std::move(*opened);
      }
    }
    fact.may_load = parameters->load;
    if (index) {
      fact.availability =
          os::availability(*index, parameters->blacklist, std::string(device::module_of(type)));
    }
  }
  return facts;
}

}  // namespace

Result<os::RdmaNetlink*> Machine::netlink() {
  if (!netlink_) {
    auto channel = os::open_rdma_netlink_channel();
    if (!channel) {
      return tl::make_unexpected(channel.error());
    }
    netlink_.emplace(std::move(*channel), clock_, kNetlinkBudget);
  }
  return &*netlink_;
}

Result<std::vector<ExistingDevice>> Machine::devices() {
  std::vector<ExistingDevice> devices;
  std::error_code error;
  if (!fs::exists(kDevices, error)) {
    return devices;
  }
  const auto socket = netlink();
  if (!socket) {
    return tl::make_unexpected(socket.error());
  }
  const auto found = (*socket)->devices();
  if (!found) {
    return tl::make_unexpected(found.error());
  }
  for (const os::NetlinkDevice& device : *found) {
    ExistingDevice existing{device.index, device.name, soft_type(device), {}};
    if (existing.type) {
      // A device that went meanwhile has no ports, and is not a candidate for anything.
      const auto ports = (*socket)->ports(device.index);
      if (ports && !ports->empty()) {
        existing.netdev = ports->front().netdev_name;
      }
    }
    devices.push_back(std::move(existing));
  }
  return devices;
}

Result<Facts> Machine::facts(device::DeclaredLinks declared, std::vector<MadeLink> made) {
  Facts facts;
  const bool with_paths =
      std::any_of(declared.links.begin(), declared.links.end(),
                  [](const device::DeclaredLink& link) { return !link.match.paths.empty(); });
  const auto tree = os::Tree::open("");
  if (!tree) {
    return tl::make_unexpected(tree.error());
  }
  auto netdevs = os::network_interfaces(*tree, with_paths);
  if (!netdevs) {
    return tl::make_unexpected(netdevs.error());
  }
  auto existing = devices();
  if (!existing) {
    return tl::make_unexpected(existing.error());
  }
  facts.types = type_facts(declared);
  facts.declared = std::move(declared);
  facts.made = std::move(made);
  facts.netdevs = std::move(*netdevs);
  facts.devices = std::move(*existing);
  return facts;
}

std::size_t Machine::interfaces_fingerprint() {
  std::string all;
  const auto tree = os::Tree::open("");
  const auto netdevs =
      tree ? os::network_interfaces(*tree, false) : tl::make_unexpected(tree.error());
  if (netdevs) {
    for (const os::NetworkInterface& netdev : *netdevs) {
      all += netdev.name + "/" + std::to_string(netdev.index) + "/";
    }
  }
  return std::hash<std::string>{}(all);
}

Result<MadeLink> Machine::create(const Step& step) {
  const std::string type(device::name_of(step.type));
  if (!is_live(step.type)) {
    // Not left to the kernel, which would only say that the argument is invalid.
    if (auto loaded = os::load_module(std::string(device::module_of(step.type))); !loaded) {
      return tl::make_unexpected(loaded.error());
    }
  }
  const auto socket = netlink();
  if (!socket) {
    return tl::make_unexpected(socket.error());
  }
  if (const auto done = (*socket)->new_link(step.link, type, step.netdev); !done) {
    return core::fail("make " + type + " link " + step.link + " on", step.netdev,
                      done.error().error_number,
                      explain_refusal(step.type, done.error().error_number));
  }
  const auto now = devices();
  if (!now) {
    return tl::make_unexpected(now.error());
  }
  const auto found = std::find_if(now->begin(), now->end(), [&](const ExistingDevice& device) {
    return device.type == step.type && device.netdev == step.netdev;
  });
  if (found == now->end()) {
    return core::fail("find", type + " link " + step.link, ENODEV,
                      "it went as soon as it was made");
  }
  return MadeLink{step.link, step.type, found->index, step.netdev, step.file};
}

Result<void> Machine::remove(const Step& step) {
  const auto socket = netlink();
  if (!socket) {
    return tl::make_unexpected(socket.error());
  }
  const auto done = (*socket)->delete_link(step.device_index);
  // EINVAL is what the kernel says of an index that nobody has.
  if (!done && done.error().error_number != EINVAL && done.error().error_number != ENODEV) {
    return core::fail("remove link", step.link, done.error().error_number);
  }
  return {};
}

}  // namespace rdmaboot::link
