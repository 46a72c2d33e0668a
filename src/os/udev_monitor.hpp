// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Uevents over libudev, as plain data behind a seam.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Most properties taken from one event; the kernel sends at most 64 (UEVENT_NUM_ENVP), rules add
/// some.
inline constexpr std::size_t kUeventPropertyLimit = 512;

/// One event as libudev has it, without judgement.
struct Uevent {
  std::string action;     ///< "add", "bind", …; empty if there was none
  std::string name;       ///< sysname
  std::string subsystem;  ///< may be empty
  std::string path;       ///< syspath: "/sys/devices/…"
  std::vector<std::pair<std::string, std::string>> properties;
};

/// Where events come from: a real socket, or a test that sends what it likes.
class UeventSource {
 public:
  virtual ~UeventSource() = default;
  [[nodiscard]] virtual int fd() const = 0;
  /// The next event, or nothing if there is none now. Errors: errno, ENOBUFS after an overrun.
  [[nodiscard]] virtual core::Result<std::optional<Uevent>> receive() = 0;
};

/// Subscribes to the group "udev" or "kernel" for `subsystems`.
/// @param receive_buffer bytes, 0 for the kernel's default
[[nodiscard]] core::Result<std::unique_ptr<UeventSource>> open_udev_monitor(
    const std::string& group, const std::vector<std::string>& subsystems,
    std::size_t receive_buffer);

}  // namespace rdmaboot::os
