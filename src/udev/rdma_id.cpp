// SPDX-License-Identifier: BSD-2-Clause
#include "udev/rdma_id.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include <dirent.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "device/description_config.hpp"
#include "os/hostname.hpp"
#include "udev/node_description.hpp"

namespace rdmaboot::udev {
namespace {

using core::fail;
using core::Result;

/// Ports that are looked at. Hardware has one or two; a device with more is the uplink of a switch
/// whose ports are all alike.
constexpr std::size_t kPortLimit = 64;
/// A sysfs attribute is at most one page (bytes).
constexpr std::size_t kAttributeLimit = 4096;

bool is_device_name(std::string_view name) {
  return !name.empty() && name.size() <= os::kDeviceNameLimit && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos;
}

std::string_view last_component(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

/// The device's directory in sysfs.
std::string directory_of(const IdRequest& request) {
  return request.root + (request.device.front() == '/' ? "/sys" : "/sys/class/infiniband/") +
         request.device;
}

/// An attribute that not every driver has; empty if it cannot be read.
std::string optional_attribute(const std::string& path) {
  return core::read_file(path, kAttributeLimit).value_or(std::string{});
}

/// The last component of where a link points to; empty if there is no link.
std::string link_target_name(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length <= 0) {
    return {};
  }
  return std::string(
      last_component(std::string_view(target.data(), static_cast<std::size_t>(length))));
}

/// The lowest port numbers under `directory`, in order; none if there is no such directory.
std::vector<unsigned> port_numbers(const std::string& directory) {
  std::vector<unsigned> ports;
  const core::UniqueHandle<DIR, closedir> listing(::opendir(directory.c_str()));
  if (!listing) {
    return ports;
  }
  while (const dirent* entry = ::readdir(listing.get())) {
    if (const auto port = core::parse_number<unsigned>(entry->d_name)) {
      ports.push_back(*port);
    }
  }
  std::ranges::sort(ports);
  ports.resize(std::min(ports.size(), kPortLimit));
  return ports;
}

Result<std::vector<device::LinkLayer>> read_link_layers(const std::string& ports_directory) {
  std::vector<device::LinkLayer> links;
  for (const unsigned port : port_numbers(ports_directory)) {
    const std::string path = ports_directory + '/' + std::to_string(port) + "/link_layer";
    const Result<std::string> text = core::read_file(path, kAttributeLimit);
    if (!text) {
      return tl::make_unexpected(text.error());
    }
    const auto link = device::parse_link_layer(*text);
    if (!link) {
      return fail("parse", path, EBADMSG, "expected a word like Ethernet");
    }
    links.push_back(*link);
  }
  return links;
}

/// Empty where it cannot be had.
std::string hostname_of(const IdRequest& request) {
  if (request.root.empty()) {
    return os::join_hostname_of_init().value_or(std::string{});
  }
  return std::string(core::trim(optional_attribute(request.root + "/proc/sys/kernel/hostname")));
}

/// The description that the host's configuration gives the device. What is wrong in the
/// configuration is rdma-ndd's to tell; what is good in it applies.
std::optional<Property> describe(const IdRequest& request, const IdFacts& facts,
                                 const std::optional<os::NetlinkDevice>& netlink) {
  DescriptionFacts described;
  described.hostname = hostname_of(request);
  described.device = last_component(request.device);
  described.board_id = core::trim(facts.board_id);
  if (netlink) {
    described.index = netlink->index;
  }
  const auto reading = device::read_description_config(request.root, nullptr);
  return description_property(reading.config, described);
}

}  // namespace

Result<IdRequest> parse_id_arguments(std::span<const char* const> arguments, const char* devpath) {
  constexpr std::string_view kRootOption = "--root=";
  IdRequest request;
  for (const std::string_view argument :
       arguments.subspan(std::min<std::size_t>(1, arguments.size()))) {
    if (argument.starts_with(kRootOption)) {
      request.root = argument.substr(kRootOption.size());
    } else if (argument.starts_with('-') || !request.device.empty()) {
      return fail("understand", argument, EINVAL, "usage: rdma_id [--root=DIR] [DEVICE | DEVPATH]");
    } else {
      request.device = argument;
    }
  }
  if (request.device.empty() && devpath != nullptr) {
    request.device = devpath;
  }
  // ".." in a DEVPATH would lead out of sysfs.
  if (!is_device_name(last_component(request.device)) ||
      (request.device.front() != '/' && !is_device_name(request.device)) ||
      request.device.find("/../") != std::string::npos) {
    return fail("understand", request.device, EINVAL, "expected an RDMA device's name or DEVPATH");
  }
  return request;
}

Result<std::optional<os::NetlinkDevice>> ask_netlink(
    const std::string& name, Result<std::unique_ptr<os::NetlinkChannel>> channel,
    const core::Clock& clock) {
  if (!channel) {
    return std::nullopt;
  }
  os::RdmaNetlink netlink(std::move(*channel), clock, kNetlinkBudget);
  Result<std::vector<os::NetlinkDevice>> devices = netlink.devices();
  if (!devices) {
    if (devices.error().error_number == EBADMSG) {
      return tl::make_unexpected(std::move(devices.error()));
    }
    return std::nullopt;
  }
  const auto found = std::ranges::find(*devices, name, &os::NetlinkDevice::name);
  if (found == devices->end()) {
    return std::nullopt;
  }
  return std::move(*found);
}

Result<IdFacts> gather_facts(const IdRequest& request,
                             const std::optional<os::NetlinkDevice>& netlink) {
  const std::string directory = directory_of(request);
  const Result<std::string> node_type = core::read_file(directory + "/node_type", kAttributeLimit);
  if (!node_type) {
    return tl::make_unexpected(node_type.error());
  }
  IdFacts facts;
  facts.evidence.node_type = device::parse_node_type(*node_type);
  if (!facts.evidence.node_type) {
    return fail("parse", directory + "/node_type", EBADMSG, "expected a form like 1: CA");
  }
  Result<std::vector<device::LinkLayer>> links = read_link_layers(directory + "/ports");
  if (!links) {
    return tl::make_unexpected(std::move(links.error()));
  }
  facts.evidence.link_layers = std::move(*links);
  // DEVICE/infiniband/NAME: two up is the card. For a software device that is /sys/devices/virtual,
  // which is no device.
  const std::string parent = directory + "/../..";
  facts.evidence.driver = link_target_name(parent + "/driver");
  if (netlink) {
    facts.evidence.netlink = netlink->protocol;
  }
  facts.has_parent_device = ::access((parent + "/subsystem").c_str(), F_OK) == 0;
  facts.has_parent_netdev = ::access((directory + "/parent").c_str(), F_OK) == 0;
  facts.hca_type = optional_attribute(directory + "/hca_type");
  facts.board_id = optional_attribute(directory + "/board_id");
  return facts;
}

Result<std::string> identify(const IdRequest& request) {
  std::optional<os::NetlinkDevice> netlink;
  if (request.root.empty()) {
    const core::MonotonicClock clock;
    auto answer = ask_netlink(std::string(last_component(request.device)),
                              os::open_rdma_netlink_channel(), clock);
    if (!answer) {
      return tl::make_unexpected(std::move(answer.error()));
    }
    netlink = std::move(*answer);
  }
  const Result<IdFacts> facts = gather_facts(request, netlink);
  if (!facts) {
    return tl::make_unexpected(facts.error());
  }
  std::vector<Property> properties = id_properties(*facts);
  if (auto description = describe(request, *facts, netlink)) {
    properties.push_back(std::move(*description));
  }
  return format_properties(properties);
}

}  // namespace rdmaboot::udev
