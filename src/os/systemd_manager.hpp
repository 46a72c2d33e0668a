// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What PID 1 knows of units, asked over its private socket: before sysinit.target there is no
// D-Bus daemon yet.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
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

  /// Calls `changed` from `event`'s loop after PID 1 told of any change of a unit or a job, as long
  /// as this object lives. `changed` must not throw, and must not end this object.
  /// Errors: errno of sd-bus.
  [[nodiscard]] core::Result<void> watch(sd_event* event, std::function<void()> changed);

  /// Those of `units` whose ActiveState is "active". One round trip; systemd does not load a unit
  /// that it has not heard of for the question (which would make it send signals about that unit).
  /// Errors: errno of the call; EBADMSG for an answer that is not of the documented form. When PID
  /// 1 was executed anew the connection is lost: that is an error, and the next call makes another.
  [[nodiscard]] core::Result<std::set<std::string>> active_units(
      const std::vector<std::string>& units);

 private:
  using Bus = core::UniqueHandle<sd_bus, sd_bus_flush_close_unref>;
  explicit SystemdManager(std::string socket) : socket_(std::move(socket)) {}
  core::Result<void> open();
  core::Result<void> attach();

  std::string socket_;
  Bus bus_;
  sd_event* event_ = nullptr;
  // On the heap: sd-bus keeps its address, and this object may be moved.
  std::unique_ptr<std::function<void()>> changed_;
};

}  // namespace rdmaboot::os
