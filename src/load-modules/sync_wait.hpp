// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell around sync.hpp: reads the snapshot, waits for events.

#include <memory>
#include <optional>
#include <set>
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
  std::string root;  ///< of udev's configuration (see os/udev_rules.hpp)
  std::string systemd = "/run/systemd/private";
};

/// Sees to it that what the live modules promise for the RDMA devices present is there. Not
/// thread-safe.
class SyncWait {
 public:
  /// @param clock has to outlive this object
  SyncWait(SyncPlaces places, const core::Clock& clock);
  ~SyncWait();
  SyncWait(const SyncWait&) = delete;
  SyncWait& operator=(const SyncWait&) = delete;

  /// Everything the predicate needs, as of now. Devices that vanish while they are read are left
  /// out. PID 1 is asked until it knows a device, and not again.
  [[nodiscard]] SyncSnapshot snapshot();

  /// Waits until nothing is missing, by events of the kernel, udev, inotify and PID 1 (and a look
  /// every second in case one is lost), for at most `patience`; for less where less is reasonable
  /// (see below). Returns what is still missing, without devices that nothing promised.
  [[nodiscard]] std::vector<Missing> wait(core::Microseconds patience);

 private:
  class EventSources;
  void ask_udev_and_systemd(std::vector<SyncDevice>& devices);

  SyncPlaces places_;
  const core::Clock& clock_;
  // The event loop outlives the connection that is attached to it.
  std::unique_ptr<EventSources> sources_;
  std::optional<os::SystemdManager> manager_;
  bool connected_ = false;
  std::set<std::string> known_;  ///< units of devices that PID 1 has had as active
};

/// The kernel makes nodes and interfaces in the init function of a module, or when the device
/// comes: what is not there after this time will not come (some devices have no uverbs or IPoIB).
inline constexpr core::Microseconds kKernelPatience = std::chrono::seconds(10);

/// A driver that is there makes its first device at once, or (rdma_rxe, siw) when somebody asks it
/// to.
inline constexpr core::Microseconds kDevicePatience = std::chrono::seconds(1);

}  // namespace rdmaboot::load_modules
