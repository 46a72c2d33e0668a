// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What PID 1 knows of units, asked over its private socket: before sysinit.target there is no
// D-Bus daemon yet.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/unique_handle.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// A connection to systemd as PID 1. Needs to be root. Not thread-safe.
class SystemdManager {
 public:
  /// Connects to `socket`.
  /// Errors: ENOENT where systemd is not PID 1 or hides the socket; errno of the connection.
  [[nodiscard]] static core::Result<SystemdManager> connect(
      const std::string& socket = "/run/systemd/private");

  /// Calls `changed` from `event`'s loop after PID 1 told of any change of a unit or a job.
  /// `changed` must outlive this object's attachment; it must not throw.
  /// Errors: errno of sd-bus.
  [[nodiscard]] core::Result<void> watch(sd_event* event, std::function<void()> changed);

  /// The ActiveState ("active", "inactive", "activating", ...) of each of `units`; a unit that
  /// systemd has never heard of is "inactive". One round trip.
  /// Errors: errno of the call; EBADMSG for an answer that is not of the documented form.
  [[nodiscard]] core::Result<std::map<std::string, std::string>> active_states(
      const std::vector<std::string>& units);

 private:
  using Bus = core::UniqueHandle<sd_bus, sd_bus_flush_close_unref>;
  explicit SystemdManager(Bus bus) : bus_(std::move(bus)) {}

  Bus bus_;
  // On the heap: sd-bus keeps its address, and this object may be moved.
  std::unique_ptr<std::function<void()>> changed_;
};

}  // namespace rdmaboot::os
