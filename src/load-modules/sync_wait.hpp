// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell around sync.hpp: reads the snapshot, waits for events.

#include <string>
#include <vector>

#include "core/clock.hpp"
#include "load-modules/sync.hpp"
#include "os/systemd_manager.hpp"

namespace rdmaboot::load_modules {

/// Where the snapshot is read; tests point it at a tree of their own.
struct SyncPlaces {
  std::string sys = "/sys";
  std::string dev = "/dev";
  std::string udev_control = "/run/udev/control";  ///< missing: no udevd runs
  std::string systemd = "/run/systemd/private";
  /// Where udev's rules are, highest priority first.
  std::vector<std::string> rules = {"/etc/udev/rules.d", "/run/udev/rules.d",
                                    "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d",
                                    "/lib/udev/rules.d"};
};

/// Whether the rule that tags RDMA devices for systemd is in effect. Without it (an initrd that did
/// not take it, an admin's mask) udev leaves no trace of a device that it has finished with, and no
/// unit ever comes: waiting for either would be in vain.
[[nodiscard]] bool devices_become_units(const SyncPlaces& places);

/// Reads everything the predicate needs. Devices that vanish while they are read are left out.
/// @param manager null: PID 1 is not asked, devices count as known
[[nodiscard]] SyncSnapshot read_snapshot(const SyncPlaces& places, os::SystemdManager* manager);

/// Waits until nothing is missing, by events of the kernel, udev, inotify and PID 1 (and a look
/// every second in case one is lost), for at most `patience`; what only the kernel has to do is
/// waited for at most kKernelPatience. Returns what is still missing.
[[nodiscard]] std::vector<Missing> wait_for_promises(const SyncPlaces& places,
                                                     const core::Clock& clock,
                                                     core::Microseconds patience);

/// The kernel makes nodes and interfaces in the init function of a module, or when the device
/// comes: what is not there after this time will not come (some devices have no uverbs or IPoIB).
inline constexpr core::Microseconds kKernelPatience = std::chrono::seconds(10);

}  // namespace rdmaboot::load_modules
