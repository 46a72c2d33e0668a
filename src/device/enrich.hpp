// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What netlink and verbs add to what sysfs said: pure, plain data in and out.

#include <vector>

#include "os/rdma_netlink.hpp"
#include "os/verbs.hpp"
#include "rdmaboot/device.hpp"

namespace rdmaboot::device {

/// One device as RDMA netlink describes it, with its ports.
struct NetlinkFact {
  os::NetlinkDevice device;
  std::vector<os::NetlinkPort> ports;
};

/// Everything that netlink said; no devices if it could not be asked.
struct NetlinkFacts {
  std::vector<NetlinkFact> devices;
  std::vector<core::Error> errors;
};

/// Adds index, who gave the name, netdevs, and what sysfs left empty. Devices are told apart by
/// name; what netlink says of others is passed over.
void add_netlink(std::vector<Device>& devices, const NetlinkFacts& facts);

/// Decides the protocol of each port and device. After add_netlink().
void add_protocols(std::vector<Device>& devices, const NetlinkFacts& facts);

/// Adds the MTUs, and the GID tables where verbs told them.
/// @return names of the devices whose GIDs are known now
std::vector<std::string> add_verbs(std::vector<Device>& devices, const os::VerbsFacts& facts);

}  // namespace rdmaboot::device
