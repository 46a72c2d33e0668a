// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the loaded modules promise for the RDMA devices that are present, and what of it is still
// missing: one predicate over a snapshot, evaluated again after every event.

#include <cstdint>
#include <string>
#include <vector>

namespace rdmaboot::load_modules {

/// A port of an RDMA device.
struct SyncPort {
  unsigned number = 1;
  bool infiniband = false;  ///< link_layer "InfiniBand" (Omni-Path says so too)
};

/// An RDMA device of /sys/class/infiniband and how far udev and PID 1 are with it.
struct SyncDevice {
  std::string name;
  std::vector<SyncPort> ports;
  bool udev_done = true;      ///< udev has finished with it
  bool tagged = true;         ///< udev gave it the tag "systemd": PID 1 makes a unit of it
  bool systemd_knows = true;  ///< that unit is active, so what it wants is queued
};

/// A character device that the kernel made for a device or port, by sysfs.
struct SyncNode {
  std::string name;     ///< uverbs0, umad1
  std::string device;   ///< its attribute ibdev
  unsigned port = 0;    ///< its attribute port, 0 for uverbs
  bool in_dev = false;  ///< /dev/infiniband/NAME exists
};

/// A network interface of type InfiniBand (ARPHRD_INFINIBAND).
struct SyncInterface {
  std::string device;  ///< RDMA device it sits on
  unsigned port = 1;   ///< its attribute dev_port counts from 0, this from 1
};

/// A module that uses ib_uverbs, other than rdma_ucm: a driver of RDMA devices.
struct SyncDriver {
  std::string module;
  bool starting = false;  ///< its init function, which probes what is there, has not returned yet
};

/// Everything the predicate looks at, read at one moment.
struct SyncSnapshot {
  bool uverbs_live = false;
  bool umad_live = false;
  bool ucm_live = false;
  bool ipoib_live = false;
  bool rdma_cm_in_dev = false;  ///< /dev/infiniband/rdma_cm exists
  std::vector<SyncDriver> drivers;
  std::vector<SyncDevice> devices;
  std::vector<SyncNode> uverbs;
  std::vector<SyncNode> umad;
  std::vector<SyncInterface> interfaces;
};

/// Who is late.
enum class Waits : std::uint8_t {
  kForKernel,  ///< a node, sysfs entry or interface: made in the module's init or soon after
  kForSystem,  ///< udev or PID 1: depends on everything else that happens in a boot
  kForDevice,  ///< the first device of a driver that is there; it may never come
};

/// One thing that is promised and not there.
struct Missing {
  Waits waits = Waits::kForKernel;
  std::string what;  ///< a phrase: "/dev/infiniband/rdma_cm"
};

/// What is missing; empty means that all is there. Without RDMA devices rdma_cm is promised, and a
/// device by a driver: the loader starts as soon as verbs are there, which may be before the
/// device.
[[nodiscard]] std::vector<Missing> find_missing(const SyncSnapshot& snapshot);

}  // namespace rdmaboot::load_modules
