// SPDX-License-Identifier: BSD-2-Clause
#include "responder/daemon.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "device/address_lookup.hpp"
#include "engine/verbs_fabric.hpp"
#include "os/netdev_addresses.hpp"
#include "program/log.hpp"
#include "rdmaboot/device.hpp"
#include "rdmaboot/monitor.hpp"
#include "responder/policy.hpp"
#include "responder/service.hpp"

namespace rdmaboot::responder {
namespace {

using core::Microseconds;
using program::Level;
using Loop = core::UniqueHandle<sd_event, sd_event_unref>;
using Source = core::UniqueHandle<sd_event_source, sd_event_source_disable_unref>;

/// What an event tells of may take effect a little later (a GID enters the table from a work queue
/// of the kernel): look so long after the last one.
constexpr Microseconds kSettle = std::chrono::milliseconds(50);
/// Most events of devices taken at once; they all say the same: look again.
constexpr int kMostEventsAtOnce = 1024;
/// Time slices of the engine before others have their turn.
constexpr int kMostTurns = 64;

/// The IPv4 addresses of this machine, without those of the loopback network.
std::vector<device::NetdevIpv4> ipv4_addresses() {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::vector<device::NetdevIpv4> found;
  const auto all = os::netdev_addresses();
  if (!all) {
    return found;
  }
  for (const os::NetdevAddress& address : *all) {
    if (!std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin())) {
      continue;
    }
    std::uint32_t ipv4 = 0;
    for (std::size_t index = kMapped.size(); index < address.bytes.size(); ++index) {
      ipv4 = ipv4 << 8 | address.bytes.at(index);
    }
    if (ipv4 >> 24 != 127) {
      found.push_back({address.netdev, ipv4});
    }
  }
  return found;
}

core::Result<device::AddressedPort> find_port(const Settings& settings) {
  // Verbs would open every device; the address is in the GID table of the kernel as well.
  auto snapshot = device::take_snapshot({.root = {}, .verbs = false, .pkeys = false});
  if (!snapshot) {
    return tl::make_unexpected(snapshot.error());
  }
  const auto ports = device::addressed_ports(*snapshot, ipv4_addresses());
  auto port = device::find_addressed_port(ports, settings.netdev, settings.ipv4);
  if (!port) {
    return core::fail("find", wanted_text(settings), ENODEV);
  }
  return std::move(*port);
}

Level level_of(engine::EngineEventKind kind) {
  switch (kind) {
    case engine::EngineEventKind::kRequestRefused:
    case engine::EngineEventKind::kDeviceDown:
      return Level::kWarning;
    case engine::EngineEventKind::kDeviceUp:
    case engine::EngineEventKind::kFailedOver:
      return Level::kInfo;
    case engine::EngineEventKind::kConnected:
    case engine::EngineEventKind::kConnectionClosed:
      return Level::kDebug;
  }
  return Level::kDebug;
}

std::string_view name_of(engine::EngineEventKind kind) {
  switch (kind) {
    case engine::EngineEventKind::kConnected:
      return "connected";
    case engine::EngineEventKind::kConnectionClosed:
      return "connection closed";
    case engine::EngineEventKind::kRequestRefused:
      return "request refused";
    case engine::EngineEventKind::kDeviceUp:
      return "device is there";
    case engine::EngineEventKind::kDeviceDown:
      return "device is gone";
    case engine::EngineEventKind::kFailedOver:
      return "moved to another device";
  }
  return "event";
}

class Daemon {
 public:
  core::Result<int> run() {
    int status = prepare();
    if (status >= 0) {
      attempt();
      status = sd_event_loop(loop_.get());
      sd_notify(0, "STOPPING=1");
      stop();
    }
    return status < 0 ? core::fail("run", "the event loop", -status) : core::Result<int>(status);
  }

 private:
  int prepare() {
    SettingsRead read = read_settings();
    for (const core::Error& error : read.errors) {
      program::log(Level::kError, error.message());
    }
    settings_ = std::move(read.settings);
    sd_event* raw = nullptr;
    if (const int status = sd_event_new(&raw); status < 0) {
      return status;
    }
    loop_.reset(raw);
    for (const int number : {SIGTERM, SIGINT}) {
      sigset_t one;
      sigemptyset(&one);
      sigaddset(&one, number);
      if (::sigprocmask(SIG_BLOCK, &one, nullptr) != 0) {
        return -errno;
      }
      // Without a handler sd-event leaves the loop.
      if (const int status = sd_event_add_signal(loop_.get(), nullptr, number, nullptr, nullptr);
          status < 0) {
        return status;
      }
    }
    sd_event_source* source = nullptr;
    if (const int status =
            sd_event_add_time(loop_.get(), &source, CLOCK_MONOTONIC, 0, 1, on_timer, this);
        status < 0) {
      return status;
    }
    timer_.reset(source);
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    watch_devices();
    return 0;
  }

  void watch_devices() {
    device::MonitorOptions options;
    options.receive_buffer = 0;
    auto monitor = device::Monitor::open(options);
    sd_event_source* source = nullptr;
    if (!monitor) {
      program::log(Level::kWarning, monitor.error().message());
    } else if (sd_event_add_io(loop_.get(), &source, monitor->fd(), EPOLLIN, on_device, this) >=
               0) {
      monitor_.emplace(std::move(*monitor));
      monitor_source_.reset(source);
    }
  }

  /// Serves, or tries again later.
  void attempt() {
    auto started = start();
    if (started) {
      retry_.reset();
      say("serving " + *started);
      turn();
      return;
    }
    stop();
    const core::Error& error = started.error();
    const std::string wanted = wanted_text(settings_);
    say("waiting for " + wanted + (error.object == wanted ? "" : ": " + error.message()));
    arm(clock_.now() + retry_.failed());
  }

  /// @return where it serves
  core::Result<std::string> start() {
    auto where = find_port(settings_);
    if (!where) {
      return tl::make_unexpected(where.error());
    }
    auto fabric = engine::open_verbs_fabric();
    if (!fabric) {
      return tl::make_unexpected(fabric.error());
    }
    fabric_ = std::move(*fabric);
    engine::Settings wanted = engine_settings(settings_, *where, engine::incarnation_now());
    wanted.on_event = on_engine_event;
    wanted.on_event_context = this;
    auto service = Service::start(wanted, settings_.buffer, *fabric_, clock_);
    if (!service) {
      return tl::make_unexpected(service.error());
    }
    service_ = std::move(*service);
    sd_event_source* source = nullptr;
    if (const int status = sd_event_add_io(loop_.get(), &source, service_->engine().fd(), EPOLLIN,
                                           on_engine, this);
        status < 0) {
      return core::fail("watch", "the engine", -status);
    }
    engine_source_.reset(source);
    return serving_text(*where, wanted.nid);
  }

  void stop() {
    engine_source_.reset();
    if (service_) {
      service_->engine().stop();
    }
    service_.reset();
    fabric_.reset();
  }

  /// Lets the engine do what there is to do, and asks when it wants to run next.
  void turn() {
    engine::Engine& engine = service_->engine();
    for (int turns = 0; turns < kMostTurns && engine.process(); ++turns) {
    }
    if (engine.wants_polling()) {
      arm(clock_.now());
    } else if (const auto deadline = engine.next_deadline()) {
      arm(*deadline);
    } else {
      sd_event_source_set_enabled(timer_.get(), SD_EVENT_OFF);
    }
  }

  void arm(Microseconds at) {
    const auto when = static_cast<std::uint64_t>(std::max(at, Microseconds(0)).count());
    sd_event_source_set_time(timer_.get(), when);
    sd_event_source_set_enabled(timer_.get(), SD_EVENT_ONESHOT);
  }

  /// To the journal if it is news, and to the service manager. READY=1 comes with the first state,
  /// also if that is to wait: a boot does not wait for a device that may never come.
  void say(const std::string& state) {
    if (state == state_) {
      return;
    }
    state_ = state;
    program::log(Level::kInfo, state);
    sd_notify(0, ("READY=1\nSTATUS=" + state).c_str());
  }

  void drain_monitor() {
    for (int taken = 0; taken < kMostEventsAtOnce; ++taken) {
      const auto change = monitor_->next();
      if (!change || !*change) {
        break;
      }
    }
  }

  /// No exception crosses into sd-event.
  template <typename Body>
  static int guarded(void* user, Body body) {
    try {
      body(*static_cast<Daemon*>(user));
      return 0;
    } catch (const std::exception& exception) {
      program::log(Level::kError, exception.what());
      return -ENOMEM;
    }
  }

  static int on_timer(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
    return guarded(user, [](Daemon& self) { self.service_ ? self.turn() : self.attempt(); });
  }

  static int on_engine(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                       void* user) {
    return guarded(user, [](Daemon& self) { self.turn(); });
  }

  static int on_device(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                       void* user) {
    return guarded(user, [](Daemon& self) {
      self.drain_monitor();
      if (!self.service_) {
        // The engine watches its own device; this is for the one that is waited for.
        self.retry_.reset();
        self.arm(self.clock_.now() + kSettle);
      }
    });
  }

  /// Where it serves, or that it waits. The engine finds its address again by itself, maybe on
  /// another device.
  void tell_device(bool there) {
    const engine::Nid nid = service_->engine().settings().nid;
    Settings mine = settings_;
    mine.ipv4 = nid.ipv4();
    std::string state = "waiting for " + wanted_text(mine);
    if (there) {
      if (const auto where = find_port(mine)) {
        state = "serving " + serving_text(*where, nid);
      }
    }
    say(state);
  }

  static void on_engine_event(void* context, const engine::EngineEvent& event) {
    const std::string peer = engine::to_string(event.peer);
    std::string text = event.peer == engine::Nid::any() ? std::string() : peer + ": ";
    text += name_of(event.kind);
    if (!event.detail.empty()) {
      text += ": ";
      text += event.detail;
    }
    program::log(level_of(event.kind), text, {{"PEER", peer}});
    if (event.kind == engine::EngineEventKind::kDeviceDown ||
        event.kind == engine::EngineEventKind::kFailedOver) {
      static_cast<Daemon*>(context)->tell_device(event.kind ==
                                                 engine::EngineEventKind::kFailedOver);
    }
  }

  core::MonotonicClock clock_;
  Settings settings_;
  Retry retry_;
  std::string state_;
  // Sources go before what they watch, and all of them before the loop.
  Loop loop_;
  std::optional<device::Monitor> monitor_;
  Source monitor_source_;
  Source timer_;
  std::unique_ptr<engine::Fabric> fabric_;
  std::unique_ptr<Service> service_;
  Source engine_source_;
};

}  // namespace

core::Result<int> serve(const Options& options) {
  if (options.debug) {
    program::set_log_level(Level::kDebug);
  }
  Daemon daemon;
  return daemon.run();
}

}  // namespace rdmaboot::responder
