// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What sysinit.target should still wait for: RDMA devices that are certain to come, nothing else.
// Pure: facts in, decision out.

#include <string>
#include <vector>

namespace rdmaboot::coldplug {

/// How far the driver that would make an RDMA device has come.
enum class Driver {
  kDone,        ///< it has been through this device: whatever RDMA device it makes is there
  kOnTheWay,    ///< this kernel has it and nobody forbids it; it has not been there yet
  kNeverComes,  ///< not in this kernel, or denied by modprobe.d or the kernel command line
};

/// A function of a network adapter that its driver offers to an RDMA driver: a device of the
/// auxiliary bus ("mlx5_core.rdma.0", "ice.iwarp.1") or a PCI function whose RDMA driver has to be
/// loaded by name.
struct RdmaFunction {
  std::string name;    ///< "mlx5_core.rdma.0" or "0000:01:00.0"
  std::string module;  ///< the module that is expected, or an alias of it
  Driver driver = Driver::kDone;
};

/// A soft-RoCE or soft-iWARP link that the admin declared.
struct DeclaredLink {
  std::string name;  ///< of the RDMA device to be
  std::string file;  ///< where it was declared
};

/// An entry of /sys/class/infiniband.
struct PresentDevice {
  std::string name;
  bool known_to_systemd = false;  ///< PID 1 has it as an active .device unit
};

/// All that the decision depends on, at one moment.
struct Facts {
  std::vector<RdmaFunction> functions;
  std::vector<DeclaredLink> links;
  std::vector<PresentDevice> devices;
};

/// What has to happen first, one line for a person each; empty when the boot may go on.
[[nodiscard]] std::vector<std::string> still_to_come(const Facts& facts);

}  // namespace rdmaboot::coldplug
