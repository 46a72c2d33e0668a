// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/wait.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <libudev.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "coldplug/facts.hpp"
#include "coldplug/policy.hpp"
#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "os/kmod_state.hpp"
#include "os/systemd_manager.hpp"
#include "program/log.hpp"

namespace rdmaboot::coldplug {
namespace {

using program::Level;
using Loop = core::UniqueHandle<sd_event, sd_event_unref>;
using Udev = core::UniqueHandle<udev, udev_unref>;
using Monitor = core::UniqueHandle<udev_monitor, udev_monitor_unref>;
using Source = core::UniqueHandle<sd_event_source, sd_event_source_unref>;
using UdevEvent = core::UniqueHandle<udev_device, udev_device_unref>;

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
    subscribe();
    if (evaluate()) {
      return 0;
    }
    arm_timers();
    const int status = sd_event_loop(loop_.get());
    if (status < 0) {
      return core::fail("run", "the event loop", -status);
    }
    return status;
  }

  /// What is still to come, as of now.
  std::vector<std::string> missing() {
    Reading reading = read_facts(options_.root, outside());
    for (const core::Error& error : reading.errors) {
      if (std::find(told_.begin(), told_.end(), error.message()) == told_.end()) {
        told_.push_back(error.message());
        program::log(Level::kWarning, error.message());
      }
    }
    return still_to_come(reading.facts);
  }

  /// Connects to PID 1; without it devices count as known.
  void connect() {
    auto manager = os::SystemdManager::connect();
    if (manager) {
      manager_.emplace(std::move(*manager));
    } else {
      program::log(Level::kDebug, manager.error().message());
    }
  }

 private:
  void subscribe() {
    connect();
    if (manager_) {
      const auto watching = manager_->watch(loop_.get(), [this] { changed(); });
      if (!watching) {
        program::log(Level::kWarning, watching.error().message());
      }
    }
    udev_.reset(udev_new());
    // "kernel" tells of a driver that was bound, "udev" of a device that the rules are through
    // with.
    for (const char* const group : {"kernel", "udev"}) {
      Monitor monitor(udev_ ? udev_monitor_new_from_netlink(udev_.get(), group) : nullptr);
      if (!monitor || udev_monitor_enable_receiving(monitor.get()) < 0 ||
          sd_event_add_io(loop_.get(), nullptr, udev_monitor_get_fd(monitor.get()), EPOLLIN,
                          on_udev, this) < 0) {
        program::log(Level::kWarning, std::string("no events of udev's group ") + group +
                                          "; reading once a second instead");
        continue;
      }
      monitors_.push_back(std::move(monitor));
    }
  }

  void arm_timers() {
    const auto timeout = static_cast<std::uint64_t>(core::Microseconds(options_.timeout).count());
    sd_event_add_time_relative(loop_.get(), nullptr, CLOCK_MONOTONIC, timeout, 1, on_timeout, this);
    sd_event_source* raw = nullptr;
    if (sd_event_add_time_relative(loop_.get(), &raw, CLOCK_MONOTONIC, kSafetyNetUsec, 1,
                                   on_safety_net, this) >= 0) {
      safety_net_.reset(raw);
    }
  }

  Outside outside() {
    return {[this](const std::string& name) {
              switch (modules_.state(name)) {
                case os::KmodState::kLive:
                  return Driver::kDone;
                case os::KmodState::kAvailable:
                  return Driver::kOnTheWay;
                case os::KmodState::kMissing:
                case os::KmodState::kDenied:
                  break;
              }
              return Driver::kNeverComes;
            },
            [this](const std::vector<std::string>& units) {
              std::vector<bool> active(units.size(), true);
              if (!manager_) {
                return active;
              }
              const auto states = manager_->active_states(units);
              if (!states) {
                program::log(Level::kWarning, states.error().message());
                return active;
              }
              for (std::size_t i = 0; i < units.size(); ++i) {
                const auto found = states->find(units[i]);
                active[i] = found != states->end() && found->second == "active";
              }
              return active;
            }};
  }

  /// Reads once and ends the loop when nothing is missing. Returns whether that is so.
  bool evaluate() {
    missing_ = missing();
    if (!missing_.empty()) {
      sd_notify(0, ("STATUS=Waiting: " + join(missing_)).c_str());
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

  /// Many events come in one burst: read once when the loop has nothing else to do.
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
    for (const Monitor& monitor : self.monitors_) {
      if (udev_monitor_get_fd(monitor.get()) == fd) {
        // Only that something happened counts; NULL (ENOBUFS) means that too.
        const UdevEvent event(udev_monitor_receive_device(monitor.get()));
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
  os::KmodStates modules_;
  std::vector<std::string> told_;
  std::vector<std::string> missing_;
  Loop loop_;
  std::optional<os::SystemdManager> manager_;
  Udev udev_;
  std::vector<Monitor> monitors_;
  Source read_again_;
  Source safety_net_;
};

}  // namespace

core::Result<int> wait_for_devices(const Options& options) {
  Waiter waiter(options);
  if (!options.list) {
    return waiter.run();
  }
  if (options.root.empty()) {
    waiter.connect();
  }
  for (const std::string& line : waiter.missing()) {
    std::puts(line.c_str());
  }
  return 0;
}

}  // namespace rdmaboot::coldplug
