// SPDX-License-Identifier: BSD-2-Clause
// rdmactl monitor: subscribe, look, say what is there, then say what happens.

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <systemd/sd-event.h>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "device/host_facts.hpp"
#include "os/netlink_notices.hpp"
#include "os/verbs_events.hpp"
#include "program/log.hpp"
#include "rdmaboot/monitor.hpp"
#include "rdmactl/command_line.hpp"
#include "rdmactl/monitor.hpp"

namespace rdmaboot::rdmactl {
namespace {

using core::Microseconds;
using std::chrono::milliseconds;
using Loop = core::UniqueHandle<sd_event, sd_event_unref>;
using Timer = core::UniqueHandle<sd_event_source, sd_event_source_unref>;

/// Looks after an event: many come in one burst, and what some tell of takes effect a little later
/// (a GID enters the table from a work queue of the kernel).
constexpr std::array<Microseconds, 3> kLooks = {milliseconds(20), milliseconds(120),
                                                milliseconds(600)};
/// Most events taken from one source in a row.
constexpr int kEventsARead = 64;

Microseconds realtime() {
  return std::chrono::duration_cast<Microseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

class Watcher {
 public:
  explicit Watcher(bool json) : json_(json), terminal_(standard_output()) {}

  core::Result<int> run() {
    auto monitor = device::Monitor::open();
    if (!monitor) {
      return tl::make_unexpected(std::move(monitor).error());
    }
    monitor_.emplace(std::move(*monitor));
    if (auto routes = os::NetlinkNotices::routes()) {
      routes_.emplace(std::move(*routes));
    }
    int status = prepare();
    if (status >= 0) {
      look();
      status = sd_event_loop(loop_.get());
    }
    return status < 0 ? core::fail("run", "the event loop", -status) : core::Result<int>(0);
  }

 private:
  /// Events of one device. The source goes before what it reads from.
  struct Listener {
    Watcher* watcher = nullptr;
    std::string device;
    std::unique_ptr<os::VerbsEventSource> events;
    Timer source;
  };

  /// Returns a negative errno value on failure.
  int prepare() {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    sd_event* raw = nullptr;
    int status = sd_event_new(&raw);
    loop_.reset(raw);
    for (const int signal : {SIGINT, SIGTERM}) {
      if (status >= 0) {
        status = sd_event_add_signal(raw, nullptr, signal, nullptr, nullptr);  // ends the loop
      }
    }
    sd_event_source* timer = nullptr;
    if (status >= 0) {
      status = sd_event_add_time_relative(raw, &timer, CLOCK_MONOTONIC, 0, 1, on_time, this);
      next_look_.reset(timer);
    }
    if (status >= 0) {
      status = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
    }
    if (status >= 0) {
      status = sd_event_add_io(raw, nullptr, monitor_->fd(), EPOLLIN, on_udev, this);
    }
    if (status >= 0 && routes_) {
      status = sd_event_add_io(raw, nullptr, routes_->fd(), EPOLLIN, on_routes, this);
    }
    return status;
  }

  void tell(const Event& event) {
    if (json_) {
      std::cout << event_json(event, realtime()).dump() << std::endl;
    } else {
      std::cout << event_line(event, realtime(), terminal_) << std::flush;
    }
    if (!std::cout) {
      sd_event_exit(loop_.get(), 0);  // nobody reads any more
    }
  }

  /// Something happened: look soon, and again a little later.
  void changed() {
    echo_ = 0;
    look_in(kLooks[0]);
  }

  void look_in(Microseconds time) {
    sd_event_source_set_time_relative(next_look_.get(), static_cast<std::uint64_t>(time.count()));
    sd_event_source_set_enabled(next_look_.get(), SD_EVENT_ONESHOT);
  }

  void look() {
    device::SnapshotOptions wanted;
    wanted.verbs = false;
    const auto snapshot = device::take_snapshot(wanted);
    if (!snapshot) {
      program::log(program::Level::kWarning, snapshot.error().message());
      return;
    }
    std::vector<core::Error> unread;
    const device::HostFacts facts = facts_.read(*snapshot, device::Level::kAddress, unread);
    for (const core::Error& error : unread) {
      if (told_.insert(error.message()).second) {
        program::log(program::Level::kWarning, error.message());
      }
    }
    netdevs_.clear();
    for (const device::Device& device : snapshot->devices) {
      for (const device::Port& port : device.ports) {
        for (const device::Netdev& netdev : port.netdevs) {
          netdevs_.push_back(netdev.name);
        }
      }
    }
    std::vector<Standing> now = standings(judge_ports(*snapshot, facts));
    for (const Event& event : differences(before_, now)) {
      tell(event);
    }
    before_ = std::move(now);
    listen(*snapshot, facts);
  }

  /// Listens to each device whose node opens, and to none that is gone: a device that goes must not
  /// find anybody holding it.
  void listen(const device::Snapshot& snapshot, const device::HostFacts& facts) {
    if (!snapshot.devices.empty() && !std::exchange(tried_notices_, true)) {
      auto notices = os::NetlinkNotices::rdma();
      if (notices &&
          sd_event_add_io(loop_.get(), nullptr, notices->fd(), EPOLLIN, on_notice, this) >= 0) {
        notices_.emplace(std::move(*notices));
      }
    }
    std::set<std::string> open;
    for (const device::Device& device : snapshot.devices) {
      for (const device::CharacterDevice& node : device.character_devices) {
        const auto found = facts.nodes.find(node.node);
        if (node.kind == device::CharacterDeviceKind::kUverbs && found != facts.nodes.end() &&
            found->second == 0) {
          open.insert(device.name);
        }
      }
    }
    listeners_.remove_if([&](const Listener& one) { return !open.contains(one.device); });
    for (const Listener& one : listeners_) {
      open.erase(one.device);
    }
    for (const std::string& device : open) {
      add_listener(device);
    }
  }

  /// One that failed is kept too, so that it is not tried again at each look.
  void add_listener(const std::string& device) {
    Listener& listener = listeners_.emplace_back();
    listener.watcher = this;
    listener.device = device;
    auto events = os::open_verbs_events(device);
    if (!events) {
      if (told_.insert(events.error().message()).second) {
        program::log(program::Level::kWarning, events.error().message());
      }
      return;
    }
    sd_event_source* source = nullptr;
    if (sd_event_add_io(loop_.get(), &source, (*events)->fd(), EPOLLIN, on_verbs, &listener) >= 0) {
      listener.events = std::move(*events);
      listener.source.reset(source);
    }
  }

  void read_udev() {
    for (int i = 0; i < kEventsARead; ++i) {
      const auto change = monitor_->next();
      if (!change || !*change) {
        break;
      }
      if ((*change)->kind == device::ChangeKind::kRemoved) {
        // At once: see listen().
        listeners_.remove_if([&](const Listener& one) { return one.device == (*change)->name; });
      }
      if (const auto event = event_of(**change, netdevs_)) {
        tell(*event);
      }
    }
    changed();
  }

  static void read_verbs(Listener& listener) {
    Watcher& watcher = *listener.watcher;
    watcher.changed();
    for (int i = 0; i < kEventsARead; ++i) {
      const auto event = listener.events->receive();
      if (event && !*event) {
        return;
      }
      if (event) {
        watcher.tell(event_of(listener.device, **event));
      }
      if (!event || **event == os::VerbsEvent::kDeviceFatal) {
        // Nothing more comes from it, and the device may be waiting for us to let go.
        listener.source.reset();
        listener.events.reset();
        return;
      }
    }
  }

  /// No exception may cross sd-event's C code: runs `body`, or ends the loop.
  template <typename Body>
  static int guarded(Body body) noexcept {
    try {
      body();
      return 0;
    } catch (const std::exception&) {
      return -ENOMEM;
    }
  }

  static int on_time(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
    return guarded([user] {
      auto& self = *static_cast<Watcher*>(user);
      self.look();
      if (++self.echo_ < kLooks.size()) {
        self.look_in(kLooks.at(self.echo_));
      }
    });
  }

  static int on_udev(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                     void* user) {
    return guarded([user] { static_cast<Watcher*>(user)->read_udev(); });
  }

  /// Links and addresses of the network change all the time: they only ring for a look.
  static int on_routes(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                       void* user) {
    return guarded([user] {
      auto& self = *static_cast<Watcher*>(user);
      self.routes_->drain();
      self.changed();
    });
  }

  static int on_notice(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                       void* user) {
    return guarded([user] {
      auto& self = *static_cast<Watcher*>(user);
      self.notices_->drain();
      self.tell(
          {Source::kNetlink, {}, "changed", "devices or their network interfaces", Colour::kNone});
      self.changed();
    });
  }

  static int on_verbs(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                      void* user) {
    return guarded([user] { read_verbs(*static_cast<Listener*>(user)); });
  }

  bool json_;
  Terminal terminal_;
  std::optional<device::Monitor> monitor_;
  std::optional<os::NetlinkNotices> routes_;
  std::optional<os::NetlinkNotices> notices_;
  bool tried_notices_ = false;
  device::HostFactReader facts_;
  std::set<std::string> told_;
  std::vector<std::string> netdevs_;
  std::vector<Standing> before_;
  std::size_t echo_ = 0;
  Loop loop_;
  Timer next_look_;
  std::list<Listener> listeners_;  ///< its sources go before the loop
};

}  // namespace

void add_monitor(CLI::App& program, Chosen& chosen) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* const verb =
      program.add_subcommand("monitor", "What happens to devices and ports, until interrupted");
  verb->add_flag("--json", *json, "Print a JSON object a line (docs/schemas/monitor.json)");
  verb->callback([json, &chosen] { chosen.action = [json] { return Watcher(*json).run(); }; });
}

}  // namespace rdmaboot::rdmactl
