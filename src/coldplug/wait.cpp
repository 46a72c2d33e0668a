// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/wait.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "coldplug/driver.hpp"
#include "coldplug/facts.hpp"
#include "coldplug/policy.hpp"
#include "core/clock.hpp"
#include "core/file.hpp"
#include "core/unique_handle.hpp"
#include "os/kernel_command_line.hpp"
#include "os/kmod.hpp"
#include "os/systemd_manager.hpp"
#include "os/udev_monitor.hpp"
#include "os/udev_rules.hpp"
#include "program/log.hpp"

namespace rdmaboot::coldplug {
namespace {

using program::Level;
using Loop = core::UniqueHandle<sd_event, sd_event_unref>;
using Source = core::UniqueHandle<sd_event_source, sd_event_source_unref>;

/// Events can be lost (ENOBUFS), and a module can end up denied without one: read again this often.
constexpr std::uint64_t kSafetyNetUsec = 1'000'000;
/// A wait that nobody notices needs no line in the journal.
constexpr core::Microseconds kWorthTelling{500'000};

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += text.empty() ? part : "; " + part;
  }
  return text;
}

class Waiter {
 public:
  explicit Waiter(const Options& options) : options_(options), started_(clock_.now()) {}

  core::Result<int> run() {
    sd_event* raw = nullptr;
    if (const int status = sd_event_new(&raw); status < 0) {
      return core::fail("make", "an event loop", -status);
    }
    loop_.reset(raw);
    sd_event_source* source = nullptr;
    if (const int status = sd_event_add_defer(loop_.get(), &source, on_read_again, this);
        status < 0) {
      return core::fail("use", "the event loop", -status);
    }
    read_again_.reset(source);
    // After all events that are there.
    sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
    subscribe();
    if (evaluate()) {
      return 0;
    }
    int status = arm_timers();
    if (status >= 0) {
      status = sd_event_loop(loop_.get());
    }
    if (status < 0) {
      return core::fail("run", "the event loop", -status);
    }
    return status;
  }

  /// What is still to come, as of now.
  std::vector<std::string> missing() {
    Reading reading = read_facts(options_.root, outside());
    for (const core::Error& error : reading.errors) {
      told(error);
    }
    return still_to_come(reading.facts);
  }

 private:
  /// Logs an error, once.
  void told(const core::Error& error) {
    if (std::find(told_.begin(), told_.end(), error.message()) == told_.end()) {
      told_.push_back(error.message());
      program::log(Level::kWarning, error.message());
    }
  }

  /// Connects to PID 1 unless that is done. Without PID 1 of systemd devices count as known.
  bool connect() {
    if (manager_) {
      return true;
    }
    auto manager = os::SystemdManager::connect();
    if (!manager) {
      program::log(Level::kDebug, manager.error().message());
      return false;
    }
    manager_.emplace(std::move(*manager));
    if (loop_) {
      if (const auto watching = manager_->watch(loop_.get(), [this] { changed(); }); !watching) {
        told(watching.error());
      }
    }
    return true;
  }

  void subscribe() {
    connect();
    // "kernel" tells of a driver that was bound, "udev" of a device that the rules are through
    // with.
    for (const char* const group : {"kernel", "udev"}) {
      auto monitor =
          os::open_udev_monitor(group, {"auxiliary", "infiniband", "module", "net", "pci"}, 0);
      if (!monitor) {
        told(monitor.error());
      } else if (sd_event_add_io(loop_.get(), nullptr, (*monitor)->fd(), EPOLLIN, on_udev, this) >=
                 0) {
        monitors_.push_back(std::move(*monitor));
      }
    }
  }

  /// Without its timers the wait might never end. Returns a negative errno value on failure.
  int arm_timers() {
    const auto timeout = static_cast<std::uint64_t>(core::Microseconds(options_.timeout).count());
    // The unit's own time-out is there for a program that is broken, not for a longer --timeout.
    constexpr std::uint64_t kTimeToEnd = 10'000'000;
    sd_notify(0, ("EXTEND_TIMEOUT_USEC=" + std::to_string(timeout + kTimeToEnd)).c_str());
    const int status = sd_event_add_time_relative(loop_.get(), nullptr, CLOCK_MONOTONIC, timeout, 1,
                                                  on_timeout, this);
    return status < 0 ? status
                      : sd_event_add_time_relative(loop_.get(), nullptr, CLOCK_MONOTONIC,
                                                   kSafetyNetUsec, 1, on_safety_net, this);
  }

  Outside outside() {
    return {[this](const std::string& name) { return driver(name); },
            [this](const std::vector<std::string>& units) { return active(units); }};
  }

  Driver driver(const std::string& name) {
    if (!modules_) {
      // Only now: most boots that come here have devices, and no question to libkmod.
      auto index = os::open_kmod({options_.root, {}});
      if (!index) {
        told(index.error());
        return Driver::kNeverComes;
      }
      modules_ = std::move(*index);
      if (const auto text = core::read_file("/proc/cmdline")) {
        kernel_blacklist_ = os::parse_kernel_command_line(*text).blacklist;
      }
    }
    return driver_state(*modules_, kernel_blacklist_, name);
  }

  std::vector<bool> active(const std::vector<std::string>& units) {
    std::vector<bool> known(units.size(), true);
    if (!options_.root.empty() || !os::devices_become_units("") || !connect()) {
      return known;
    }
    const auto active = manager_->active_units(units);
    for (std::size_t i = 0; i < units.size(); ++i) {
      known[i] = active && active->contains(units[i]);
    }
    if (!active) {
      // PID 1 is busy, or was executed anew: asked again at the next look.
      told(active.error());
    }
    return known;
  }

  /// Reads once and ends the loop when nothing is missing. Returns whether that is so.
  bool evaluate() {
    missing_ = missing();
    if (!missing_.empty()) {
      const std::string status = "STATUS=Waiting: " + join(missing_);
      if (status != status_) {
        status_ = status;
        sd_notify(0, status_.c_str());
      }
      return false;
    }
    const core::Microseconds waited = clock_.now() - started_;
    program::log(waited >= kWorthTelling ? Level::kInfo : Level::kDebug,
                 "RDMA devices on their way have arrived after " +
                     std::to_string(waited.count() / 1000) + " ms",
                 {{"USEC", std::to_string(waited.count())}});
    sd_event_exit(loop_.get(), 0);
    return true;
  }

  /// Many events come in one burst: read once when the loop has nothing else to do, or at the next
  /// look of the safety net.
  void changed() { sd_event_source_set_enabled(read_again_.get(), SD_EVENT_ONESHOT); }

  /// evaluate() for callbacks: no exception may cross sd-event's C code.
  int evaluate_noexcept() noexcept {
    try {
      evaluate();
      return 0;
    } catch (const std::exception&) {
      return -ENOMEM;  // ends the loop; run() reports it
    }
  }

  static int on_read_again(sd_event_source* /*source*/, void* user) {
    return static_cast<Waiter*>(user)->evaluate_noexcept();
  }

  static int on_udev(sd_event_source* /*source*/, int fd, std::uint32_t /*events*/, void* user) {
    auto& self = *static_cast<Waiter*>(user);
    for (const auto& monitor : self.monitors_) {
      if (monitor->fd() == fd) {
        // Only that something happened counts; an error (ENOBUFS) means that too.
        static_cast<void>(monitor->receive());
      }
    }
    self.changed();
    return 0;
  }

  static int on_safety_net(sd_event_source* source, std::uint64_t /*usec*/, void* user) {
    sd_event_source_set_time_relative(source, kSafetyNetUsec);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return static_cast<Waiter*>(user)->evaluate_noexcept();
  }

  static int on_timeout(sd_event_source* source, std::uint64_t /*usec*/, void* user) {
    auto& self = *static_cast<Waiter*>(user);
    for (const std::string& missing : self.missing_) {
      program::log(Level::kWarning, "gave up after " +
                                        std::to_string(self.options_.timeout.count()) +
                                        " s, the boot goes on: " + missing);
    }
    sd_event_exit(sd_event_source_get_event(source), 1);
    return 0;
  }

  Options options_;
  core::MonotonicClock clock_;
  core::Microseconds started_;
  std::unique_ptr<os::ModuleIndex> modules_;
  std::set<std::string, std::less<>> kernel_blacklist_;
  std::vector<std::string> told_;
  std::vector<std::string> missing_;
  std::string status_;
  Loop loop_;
  std::optional<os::SystemdManager> manager_;
  std::vector<std::unique_ptr<os::UeventSource>> monitors_;
  Source read_again_;
};

}  // namespace

core::Result<int> wait_for_devices(const Options& options) {
  Waiter waiter(options);
  if (!options.list) {
    return waiter.run();
  }
  for (const std::string& line : waiter.missing()) {
    std::puts(line.c_str());
  }
  return 0;
}

}  // namespace rdmaboot::coldplug
