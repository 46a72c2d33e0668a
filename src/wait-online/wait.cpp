// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/wait.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "device/host_facts.hpp"
#include "device/snapshot.hpp"
#include "os/netlink_notices.hpp"
#include "os/udev_monitor.hpp"
#include "os/verbs_events.hpp"
#include "program/log.hpp"
#include "rdmaboot/device.hpp"
#include "wait-online/glance.hpp"
#include "wait-online/peer_question.hpp"
#include "wait-online/report.hpp"
#include "wait-online/targets.hpp"

namespace rdmaboot::wait_online {
namespace {

using core::Microseconds;
using device::Device;
using device::Readiness;
using program::Level;
using Loop = core::UniqueHandle<sd_event, sd_event_unref>;
using Source = core::UniqueHandle<sd_event_source, sd_event_source_unref>;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kDefaultTimeout{120};
/// Events can be lost, and without libibverbs some have no sender: look again this often anyway.
constexpr Microseconds kSafetyNet = std::chrono::seconds(5);
/// Of these looks so many in a row are glances (glance()), as long as these show no
/// change. What they pass over (P_Keys further down the table) waits a minute.
constexpr int kGlances = 11;
/// What a notice tells of may take effect a little later (a GID enters the table from a work queue
/// of the kernel, after the address was announced): look again so long after an event.
constexpr std::array<Microseconds, 3> kEchoes = {milliseconds(20), milliseconds(100),
                                                 milliseconds(500)};
/// The least time between two looks; after so many without a rest, each leaves this many times its
/// own duration to others: a storm of events costs a fifth of one CPU at most.
constexpr Microseconds kLeastGap = milliseconds(5);
constexpr int kLooksInARow = 8;
constexpr int kGapPerLook = 4;
constexpr Microseconds kRest = std::chrono::seconds(1);
/// A device that is reset comes through states that look broken; only what stays so is.
constexpr Microseconds kBrokenGrace = std::chrono::seconds(3);
/// Most events taken from one source in a row.
constexpr int kEventsARead = 64;
/// Most devices whose events are listened to, at two descriptors each; the rest has the safety net.
constexpr std::size_t kMostListeners = 256;

/// What stays the same for a device through renames, and is another for one that came in its place.
std::string identity_of(const Device& device) {
  return device.index ? "#" + std::to_string(*device.index) : device.sysfs_path;
}

class Waiter {
 public:
  Waiter(const Options& options, Wanted wanted, std::chrono::seconds timeout)
      : options_(options),
        wanted_(std::move(wanted)),
        timeout_(timeout),
        started_(clock_.now()),
        proof_(wanted_.peers) {}

  core::Result<int> run() {
    int status = prepare();
    if (status >= 0) {
      subscribe();
      look();
      status = sd_event_loop(loop_.get());
    }
    if (status < 0) {
      return core::fail("run", "the event loop", -status);
    }
    return status;
  }

  /// One look at a recorded tree.
  core::Result<int> judge_recorded() {
    auto snapshot = device::take_snapshot(snapshot_options(wanted_, options_.root));
    if (!snapshot) {
      return tl::make_unexpected(std::move(snapshot).error());
    }
    evaluation_ = evaluate(wanted_, *snapshot,
                           device::HostFactReader::read_recorded(*snapshot, options_.root));
    report();
    return exit_status(evaluation_.readiness);
  }

  /// Logs an error, once.
  void told(const core::Error& error, Level level) {
    if (told_.insert(error.message()).second) {
      program::log(level, error.message());
    }
  }

 private:
  /// Events of one device. The source goes before what it reads from.
  struct Listener {
    Waiter* waiter = nullptr;
    std::string identity;
    std::string device;
    std::unique_ptr<os::VerbsEventSource> events;
    Source source;
  };

  /// Without its timers the wait might never end. Returns a negative errno value on failure.
  int prepare() {
    sd_event* raw = nullptr;
    int status = sd_event_new(&raw);
    if (status < 0) {
      return status;
    }
    loop_.reset(raw);
    // As sd_event_add_child(3) wants it.
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (::sigprocmask(SIG_BLOCK, &child, nullptr) != 0) {
      return -errno;
    }
    sd_event_source* source = nullptr;
    status = sd_event_add_time_relative(loop_.get(), &source, CLOCK_MONOTONIC, 0, 1, on_look, this);
    if (status < 0) {
      return status;
    }
    look_again_.reset(source);
    if (timeout_.count() == 0) {
      return 0;
    }
    const auto usec = static_cast<std::uint64_t>(Microseconds(timeout_).count());
    return sd_event_add_time_relative(loop_.get(), nullptr, CLOCK_MONOTONIC, usec, 1, on_timeout,
                                      this);
  }

  void subscribe() {
    // "kernel" tells at once, "udev" when the nodes have their final owner and mode.
    for (const char* const group : {"kernel", "udev"}) {
      auto monitor = os::open_udev_monitor(
          group, {"infiniband", "infiniband_verbs", "infiniband_mad", "misc", "net"}, 0);
      if (!monitor) {
        told(monitor.error(), Level::kWarning);
      } else if (sd_event_add_io(loop_.get(), nullptr, (*monitor)->fd(), EPOLLIN, on_udev, this) >=
                 0) {
        monitors_.push_back(std::move(*monitor));
      }
    }
    listen(os::NetlinkNotices::routes(), Level::kWarning);
  }

  /// Adds a doorbell to the loop.
  void listen(core::Result<os::NetlinkNotices> notices, Level level) {
    if (!notices) {
      told(notices.error(), level);
    } else if (sd_event_add_io(loop_.get(), nullptr, notices->fd(), EPOLLIN, on_notice, this) >=
               0) {
      notices_.push_back(std::move(*notices));
    }
  }

  /// Sets the time of the next look; an earlier one stays.
  void look_by(Microseconds when) {
    next_look_ = std::min(next_look_, when);
    const auto usec = static_cast<std::uint64_t>(next_look_.count());
    sd_event_source_set_time(look_again_.get(), usec);
    sd_event_source_set_enabled(look_again_.get(), SD_EVENT_ONESHOT);
  }

  /// Something happened: many events come in one burst, and one look is enough for all.
  void changed() {
    echo_ = 0;
    a_glance_will_do_ = false;
    look_by(std::max(clock_.now(), earliest_look_));
  }

  /// The safety net: a glance, and only when that shows a change (or now and then) a look.
  void look_again() {
    if (a_glance_will_do_ && glances_ < kGlances && seen_ && glance() == seen_) {
      ++glances_;
      next_look_ = Microseconds::max();
      look_by(clock_.now() + kSafetyNet);
      return;
    }
    look();
  }

  /// Nothing where a device that matters is not open here: the files of its GID table would cost as
  /// much as a look.
  std::optional<std::string> glance() {
    return wait_online::glance(wanted_, evaluation_,
                               [this](const std::string& device) -> std::optional<std::string> {
                                 for (const auto& [key, listener] : listeners_) {
                                   if (listener->events && listener->device == device) {
                                     return table_of(*listener);
                                   }
                                 }
                                 return std::nullopt;
                               });
  }

  std::optional<std::string> table_of(Listener& listener) {
    os::VerbsQuestion question{listener.device, {}};
    for (const Line& line : evaluation_.lines) {
      if (line.device == listener.device && line.port) {
        question.ports.push_back(line.port->value);
      }
    }
    std::vector<core::Error> errors;
    const os::VerbsDevice answer = listener.events->query(question, true, errors);
    if (!answer.gids) {
      return std::nullopt;
    }
    std::string text;
    for (const os::VerbsGid& gid : *answer.gids) {
      text += std::to_string(gid.port) + " " + std::to_string(gid.index) + " " + gid.netdev + " ";
      text.append(gid.bytes.begin(), gid.bytes.end());
    }
    return text;
  }

  /// Takes a snapshot and judges it. Ends the loop when that decides.
  void look() {
    const Microseconds begin = clock_.now();
    // Before the rest is read: what changes meanwhile differs at the next glance.
    seen_ = glance();
    glances_ = 0;
    a_glance_will_do_ = false;
    auto snapshot = device::take_snapshot(
        snapshot_options(wanted_, {}),
        {device::ask_netlink,
         [this](const auto& questions, bool gids) { return ask(questions, gids); },
         {}});
    if (!snapshot) {
      told(snapshot.error(), Level::kWarning);
      snapshot = device::Snapshot();
    }
    std::vector<core::Error> errors;
    device::HostFacts facts = facts_.read(*snapshot, wanted_.demand.level, errors);
    for (const core::Error& error : errors) {
      told(error, Level::kWarning);
    }
    add_fatal_devices(*snapshot, facts);
    evaluation_ = evaluate(wanted_, *snapshot, facts, proof_.paths());
    ask_peers();
    const bool new_source = attend(*snapshot, facts);

    const Microseconds now = clock_.now();
    looks_in_a_row_ = begin - last_look_ < kRest ? looks_in_a_row_ + 1 : 0;
    last_look_ = now;
    const bool storm = looks_in_a_row_ > kLooksInARow;
    earliest_look_ = now + std::max(kLeastGap, storm ? (now - begin) * kGapPerLook : kLeastGap);
    next_look_ = Microseconds::max();
    if (evaluation_.readiness == Readiness::kReady || is_broken_for_good(now)) {
      finish();
      return;
    }
    tell_status();
    if (new_source) {
      // What happened before it was listened to was not told.
      changed();
    } else if (echo_ < kEchoes.size()) {
      look_by(std::max(now + kEchoes.at(echo_++), earliest_look_));
    } else {
      a_glance_will_do_ = true;
      look_by(now + kSafetyNet);
    }
    // What is asked ends with a look.
    if (const auto due = proof_.next_due(); due && !question_) {
      a_glance_will_do_ = false;
      look_by(std::max(*due, earliest_look_));
    }
    if (broken_since_) {
      a_glance_will_do_ = false;
      look_by(std::max(*broken_since_ + kBrokenGrace, earliest_look_));
    }
  }

  /// Level path: has the next port ask its next peer, one at a time.
  void ask_peers() {
    std::vector<std::string> ports;
    for (const Line& line : evaluation_.lines) {
      if (line.wants_path) {
        ports.push_back(subject_of(line));
      }
    }
    proof_.set_ports(ports);
    const auto question = question_ ? std::nullopt : proof_.next(clock_.now());
    if (!question) {
      return;
    }
    auto asked = PeerQuestion::ask(loop_.get(), RDMABOOT_BIN "/rdmactl", *question,
                                   [this, asks = *question](const std::optional<std::string>& why) {
                                     question_.reset();
                                     proof_.answered(asks, why, clock_.now());
                                     changed();
                                   });
    if (asked) {
      question_ = std::move(*asked);
    } else {
      proof_.answered(*question, asked.error().message(), clock_.now());
    }
  }

  /// Those devices that are open anyway tell their GID table in one call; the tables of others are
  /// read from sysfs.
  os::VerbsFacts ask(const std::vector<os::VerbsQuestion>& questions, bool gids) {
    os::VerbsFacts answers;
    for (const os::VerbsQuestion& question : questions) {
      for (const auto& [key, listener] : listeners_) {
        if (gids && listener->events && listener->device == question.device) {
          answers.devices.push_back(listener->events->query(question, gids, answers.errors));
        }
      }
    }
    return answers;
  }

  /// A fatal error lasts as long as the device: drivers that recover make a new one.
  void add_fatal_devices(const device::Snapshot& snapshot, device::HostFacts& facts) {
    std::set<std::string> still;
    for (const Device& device : snapshot.devices) {
      const std::string identity = identity_of(device);
      if (fatal_.contains(identity)) {
        facts.fatal_devices.insert(device.name);
        still.insert(identity);
      }
    }
    fatal_ = std::move(still);
  }

  bool is_broken_for_good(Microseconds now) {
    if (evaluation_.readiness != Readiness::kBroken) {
      broken_since_.reset();
      return false;
    }
    if (!broken_since_) {
      broken_since_ = now;
    }
    return now - *broken_since_ >= kBrokenGrace;
  }

  /// Listens to the events of the devices that are waited for, and to no others: a device that
  /// goes must find nobody holding it. Returns whether a source is new.
  bool attend(const device::Snapshot& snapshot, const device::HostFacts& facts) {
    bool new_source = false;
    if (!snapshot.devices.empty() && !std::exchange(tried_rdma_notices_, true)) {
      // Optional: before Linux 6.12 there is none, and uevents tell most of it.
      listen(os::NetlinkNotices::rdma(), Level::kDebug);
      new_source = true;
    }
    std::map<std::string, std::unique_ptr<Listener>> kept;
    if (wanted_.demand.level >= device::Level::kPort) {
      for (const Line& line : evaluation_.lines) {
        const Device* const device = snapshot.find(line.device);
        if (device == nullptr) {
          continue;
        }
        const std::string key = listener_key(*device, facts);
        if (key.empty() || kept.contains(key) || kept.size() >= kMostListeners) {
          continue;
        }
        auto found = listeners_.find(key);
        if (found != listeners_.end()) {
          kept.emplace(key, std::move(found->second));
        } else {
          kept.emplace(key, open_listener(*device));
          new_source = true;
        }
      }
    }
    listeners_ = std::move(kept);
    return new_source;
  }

  /// What a listener is for: another one is needed when any of it changes. Empty: not now.
  static std::string listener_key(const Device& device, const device::HostFacts& facts) {
    for (const device::CharacterDevice& node : device.character_devices) {
      const auto opened = facts.nodes.find(node.node);
      if (node.kind == device::CharacterDeviceKind::kUverbs && opened != facts.nodes.end() &&
          opened->second == 0) {
        return identity_of(device) + " " + device.name + " " + node.name;
      }
    }
    return {};
  }

  /// One that failed is kept too, so that it is not tried again at each look.
  std::unique_ptr<Listener> open_listener(const Device& device) {
    auto listener = std::make_unique<Listener>();
    listener->waiter = this;
    listener->identity = identity_of(device);
    listener->device = device.name;
    auto events = os::open_verbs_events(device.name);
    if (!events) {
      told(events.error(), Level::kDebug);
      return listener;
    }
    sd_event_source* source = nullptr;
    if (sd_event_add_io(loop_.get(), &source, (*events)->fd(), EPOLLIN, on_verbs, listener.get()) >=
        0) {
      listener->events = std::move(*events);
      listener->source.reset(source);
    }
    return listener;
  }

  void read_events(Listener& listener) {
    for (int i = 0; i < kEventsARead; ++i) {
      const auto event = listener.events->receive();
      if (event && !*event) {
        return;
      }
      if (!event || **event == os::VerbsEvent::kDeviceFatal) {
        if (event) {
          fatal_.insert(listener.identity);
          program::log(Level::kDebug, listener.device + " has reported a fatal error",
                       {{"RDMA_DEVICE", listener.device}});
        }
        // Nothing more comes from it, and the device may be waiting for us to let go.
        listener.source.reset();
        listener.events.reset();
        return;
      }
    }
  }

  void tell_status() {
    std::string status = summary(evaluation_);
    if (status == status_) {
      return;
    }
    status_ = std::move(status);
    sd_notify(0, ("STATUS=Waiting: " + status_).c_str());
    if (!options_.quiet && !options_.json && ::isatty(STDERR_FILENO) != 0) {
      static_cast<void>(std::fprintf(stderr, "waiting: %s\n", status_.c_str()));
    }
  }

  void finish() {
    report();
    const int status = exit_status(evaluation_.readiness);
    if (status != 0) {
      sd_notify(0, ("STATUS=" + summary(evaluation_)).c_str());
    }
    sd_event_exit(loop_.get(), status);
  }

  void report() {
    const auto waited = std::chrono::duration_cast<milliseconds>(clock_.now() - started_);
    if (options_.quiet) {
      return;
    }
    if (options_.json) {
      static_cast<void>(std::puts(to_json(evaluation_, wanted_.demand.level, waited).c_str()));
      return;
    }
    if (evaluation_.readiness == Readiness::kReady) {
      program::log(Level::kInfo, "ready after " + std::to_string(waited.count()) + " ms",
                   {{"USEC", std::to_string((clock_.now() - started_).count())}});
      return;
    }
    for (const Line& line : evaluation_.lines) {
      if (line.verdict.readiness != Readiness::kReady) {
        program::log(line.verdict.readiness == Readiness::kBroken ? Level::kError : Level::kWarning,
                     describe(line),
                     {{"RDMA_DEVICE", line.device},
                      {"RDMA_PORT", line.port ? std::to_string(line.port->value) : std::string()}});
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
      return -ENOMEM;  // ends the loop; run() reports it
    }
  }

  static int on_look(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
    return guarded([user] { static_cast<Waiter*>(user)->look_again(); });
  }

  static int on_udev(sd_event_source* /*source*/, int fd, std::uint32_t /*events*/, void* user) {
    return guarded([fd, user] {
      auto& self = *static_cast<Waiter*>(user);
      for (const auto& monitor : self.monitors_) {
        // Only that something happened counts; an error (ENOBUFS) means that too.
        for (int i = 0; monitor->fd() == fd && i < kEventsARead; ++i) {
          const auto event = monitor->receive();
          if (!event || !*event) {
            break;
          }
        }
      }
      self.changed();
    });
  }

  static int on_notice(sd_event_source* /*source*/, int fd, std::uint32_t /*events*/, void* user) {
    return guarded([fd, user] {
      auto& self = *static_cast<Waiter*>(user);
      for (os::NetlinkNotices& notices : self.notices_) {
        if (notices.fd() == fd) {
          notices.drain();
          program::log(Level::kDebug, std::string("notice of ") + notices.origin());
        }
      }
      self.changed();
    });
  }

  static int on_verbs(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                      void* user) {
    return guarded([user] {
      auto& listener = *static_cast<Listener*>(user);
      listener.waiter->read_events(listener);
      listener.waiter->changed();
    });
  }

  static int on_timeout(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
    return guarded([user] {
      auto& self = *static_cast<Waiter*>(user);
      // What became ready in the last moment counts.
      self.look();
      if (!self.finished()) {
        self.finish();
      }
    });
  }

  [[nodiscard]] bool finished() const {
    int code = 0;
    return sd_event_get_exit_code(loop_.get(), &code) >= 0;
  }

  const Options& options_;
  Wanted wanted_;
  std::chrono::seconds timeout_;
  core::MonotonicClock clock_;
  Microseconds started_;
  device::HostFactReader facts_;
  Evaluation evaluation_;
  std::set<std::string> told_;
  std::set<std::string> fatal_;  ///< identities
  std::string status_;
  int looks_in_a_row_ = 0;
  Microseconds last_look_{0};
  std::optional<std::string> seen_;
  int glances_ = 0;
  bool a_glance_will_do_ = false;
  std::size_t echo_ = 0;
  Microseconds next_look_ = Microseconds::max();
  Microseconds earliest_look_{0};
  std::optional<Microseconds> broken_since_;
  bool tried_rdma_notices_ = false;
  Loop loop_;
  Source look_again_;
  PathProof proof_;
  std::unique_ptr<PeerQuestion> question_;  ///< that is being asked
  std::vector<std::unique_ptr<os::UeventSource>> monitors_;
  std::vector<os::NetlinkNotices> notices_;
  std::map<std::string, std::unique_ptr<Listener>> listeners_;
};

}  // namespace

core::Result<int> wait_until_ready(const Options& options) {
  std::vector<core::Error> errors;
  const Settings files = read_config(options.root, errors);
  const auto timeout = options.settings.timeout.value_or(files.timeout.value_or(kDefaultTimeout));
  auto wanted = settle(options.settings, files);
  if (wanted && wanted->demand.level == device::Level::kPath && !options.root.empty()) {
    wanted =
        core::fail("wait for level", "path", 0, "expected without --root: nobody can be asked");
  }
  if (!wanted) {
    for (const core::Error& error : errors) {
      program::log(Level::kWarning, error.message());
    }
    return tl::make_unexpected(std::move(wanted).error());
  }
  Waiter waiter(options, std::move(*wanted), timeout);
  for (const core::Error& error : errors) {
    waiter.told(error, Level::kWarning);
  }
  return options.root.empty() ? waiter.run() : waiter.judge_recorded();
}

}  // namespace rdmaboot::wait_online
