// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: subscribe, list, describe, say that it is done, wait for the next event.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "ndd/descriptions.hpp"
#include "ndd/host.hpp"
#include "os/udev_monitor.hpp"
#include "program/log.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::ndd {

/// The outside world; tests give their own.
struct Seams {
  std::function<core::Result<std::unique_ptr<os::UeventSource>>()> subscribe;
  std::function<device::DescriptionReading()> read_config;
  /// Tells the service manager; a failure is the callee's business.
  std::function<void(std::string_view state)> notify;
  Host* host = nullptr;
  const core::Clock* clock = nullptr;
  std::string hostname_file = "/proc/sys/kernel/hostname";
  /// Called before each sleep.
  std::function<void()> rest = [] {};
};

/// Most events that are taken before devices are looked at.
inline constexpr int kMostEventsAtOnce = 1024;

/// The daemon. Not thread-safe; one in a process, because it takes SIGHUP.
class Daemon {
 public:
  /// @param seams what they point to outlives this object
  explicit Daemon(Seams seams) : seams_(std::move(seams)) {}

  /// Subscribes, then describes every device that is there, then notifies READY=1.
  /// Errors: no events can be had, so that later devices would be missed.
  [[nodiscard]] core::Result<void> start();
  /// Waits for one or several events, at most until the next attempt at a busy device is due (or
  /// for `limit`), and deals with them.
  /// Errors: errno of poll or of the event sources; the daemon cannot go on.
  [[nodiscard]] core::Result<void> turn(std::optional<std::chrono::milliseconds> limit = {});
  /// start(), then turn() for ever.
  /// @param started called once after start()
  [[nodiscard]] core::Result<int> run(const std::function<core::Result<void>()>& started);

 private:
  core::Result<void> take_events();
  void read_configuration();
  void read_hostname();
  void look();
  void describe_all();
  void tell(const Write& write, const Attempt& attempt, Verdict verdict) const;
  [[nodiscard]] int poll_timeout(std::optional<std::chrono::milliseconds> limit) const;

  Seams seams_;
  Descriptions descriptions_;
  std::unique_ptr<os::UeventSource> events_;
  core::UniqueFd hostname_;
  core::UniqueFd hangup_;
  std::string status_;
  std::string listing_error_;
};

}  // namespace rdmaboot::ndd
