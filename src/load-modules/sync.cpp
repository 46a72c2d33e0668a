// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/sync.hpp"

#include <algorithm>

namespace rdmaboot::load_modules {
namespace {

void add(std::vector<Missing>& missing, Waits waits, std::string what) {
  missing.push_back({waits, std::move(what)});
}

void check_nodes(const std::vector<SyncNode>& nodes, const std::string& device,
                 std::vector<Missing>& missing) {
  for (const SyncNode& node : nodes) {
    if (node.device == device && !node.in_dev) {
      add(missing, Waits::kForKernel, "/dev/infiniband/" + node.name + " of " + device);
    }
  }
}

void check_device(const SyncSnapshot& snapshot, const SyncDevice& device,
                  std::vector<Missing>& missing) {
  if (snapshot.uverbs_live) {
    if (std::none_of(snapshot.uverbs.begin(), snapshot.uverbs.end(),
                     [&](const SyncNode& node) { return node.device == device.name; })) {
      add(missing, Waits::kForKernel, "the uverbs device of " + device.name);
    }
    check_nodes(snapshot.uverbs, device.name, missing);
  }
  if (snapshot.umad_live) {
    check_nodes(snapshot.umad, device.name, missing);
  }
  for (const SyncPort& port : device.ports) {
    // Only for InfiniBand is it certain that there is a MAD device and an IPoIB interface: an
    // iWARP port has neither, a RoCE port may have the first.
    if (!port.infiniband) {
      continue;
    }
    const auto here = [&](const auto& thing) {
      return thing.device == device.name && thing.port == port.number;
    };
    const std::string place = " of " + device.name + " port " + std::to_string(port.number);
    if (snapshot.umad_live && std::none_of(snapshot.umad.begin(), snapshot.umad.end(), here)) {
      add(missing, Waits::kForKernel, "the umad device" + place);
    }
    if (snapshot.ipoib_live &&
        std::none_of(snapshot.interfaces.begin(), snapshot.interfaces.end(), here)) {
      add(missing, Waits::kForKernel, "the IPoIB interface" + place);
    }
  }
  if (!device.udev_done) {
    add(missing, Waits::kForSystem,
        "device " + device.name + " is not yet known to systemd (udev has not finished with it)");
  } else if (!device.systemd_knows) {
    // Without the tag udev will still come to it: an initrd without our rules has left its record.
    add(missing, Waits::kForSystem,
        "device " + device.name + " is not yet known to systemd (" +
            (device.tagged ? "its unit is not active)" : "udev has not given it the tag systemd)"));
  }
}

}  // namespace

std::vector<Missing> find_missing(const SyncSnapshot& snapshot) {
  std::vector<Missing> missing;
  if (snapshot.ucm_live && !snapshot.rdma_cm_in_dev) {
    add(missing, Waits::kForKernel, "/dev/infiniband/rdma_cm");
  }
  for (const SyncDriver& driver : snapshot.drivers) {
    if (driver.starting) {
      add(missing, Waits::kForKernel, "the devices of driver " + driver.module);
    } else if (snapshot.devices.empty()) {
      add(missing, Waits::kForDevice, "a device of driver " + driver.module);
    }
  }
  for (const SyncDevice& device : snapshot.devices) {
    check_device(snapshot, device, missing);
  }
  return missing;
}

}  // namespace rdmaboot::load_modules
