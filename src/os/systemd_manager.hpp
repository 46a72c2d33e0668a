// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// PID 1, asked directly over its private socket: that works long before there is a message bus, and
// a question is answered after the events that reached PID 1 before it.

#include <chrono>
#include <memory>
#include <string>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// A connection to systemd's manager object. Root only. Not thread-safe.
class SystemdManager {
 public:
  /// Where PID 1 listens; missing when systemd is not PID 1.
  static constexpr const char* kSocket = "/run/systemd/private";

  /// Connects.
  /// @param patience how long one question may take
  /// Errors: ENOENT when `socket` does not exist, ECONNREFUSED, EACCES, ETIMEDOUT.
  [[nodiscard]] static core::Result<SystemdManager> connect(const std::string& socket,
                                                            std::chrono::microseconds patience);
  SystemdManager(SystemdManager&&) noexcept;
  SystemdManager& operator=(SystemdManager&&) noexcept;
  ~SystemdManager();

  /// ActiveState of a unit: "active", "inactive", ...; "inactive" for one that does not exist.
  /// Asking makes PID 1 load the unit.
  [[nodiscard]] core::Result<std::string> active_state(const std::string& unit);

  /// From now on changed() tells about changes of this unit's properties.
  [[nodiscard]] core::Result<void> watch(const std::string& unit);

  /// Takes what has arrived. Returns whether a watched unit changed since the last call.
  /// Errors: the connection is lost (PID 1 was re-executed).
  [[nodiscard]] core::Result<bool> changed();

  /// For poll(2): the descriptor, and the events to wait for now.
  [[nodiscard]] int fd() const;
  [[nodiscard]] short events() const;

 private:
  struct Connection;
  explicit SystemdManager(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace rdmaboot::os
