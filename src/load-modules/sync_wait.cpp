// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/sync_wait.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <libudev.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "os/module_index.hpp"
#include "os/udev_monitor.hpp"
#include "os/udev_rules.hpp"

namespace rdmaboot::load_modules {
namespace {

namespace fs = std::filesystem;
using core::Microseconds;

constexpr std::size_t kAttributeLimit = 4096;
/// More entries than this are not read from one directory of sysfs.
constexpr std::size_t kMostEntries = 4096;
constexpr int kMostEvents = 10000;
constexpr Microseconds kLookAnyway = std::chrono::seconds(1);
constexpr int kArphrdInfiniband = 32;  // linux/if_arp.h

using Udev = core::UniqueHandle<udev, udev_unref>;
using Device = core::UniqueHandle<udev_device, udev_device_unref>;

std::vector<std::string> entries(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error);
       !error && at != fs::directory_iterator() && names.size() < kMostEntries;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string attribute(const std::string& path) {
  const auto text = core::read_file(path, kAttributeLimit);
  return text ? std::string(core::trim(*text)) : std::string();
}

std::string real_path(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? std::string() : real.string();
}

/// By stat(2): in the unit's sandbox (DevicePolicy=closed) access(2) is refused for device nodes,
/// whatever is asked.
bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

std::string join(const std::string& directory, const std::string& name) {
  std::string path = directory;
  path += '/';
  path += name;
  return path;
}

/// The entries of a class whose names start with `prefix` (others are issmN, abi_version).
std::vector<SyncNode> read_nodes(const SyncPlaces& places, const std::string& subsystem,
                                 std::string_view prefix) {
  std::vector<SyncNode> nodes;
  const std::string directory = places.sys + "/class/" + subsystem;
  for (const std::string& name : entries(directory)) {
    const std::string entry = join(directory, name);
    const std::string device = attribute(entry + "/ibdev");
    if (!name.starts_with(prefix) || device.empty()) {
      continue;
    }
    const auto port = core::parse_number<unsigned>(attribute(entry + "/port"));
    nodes.push_back({name, device, port.value_or(0), exists(places.dev + "/infiniband/" + name)});
  }
  return nodes;
}

std::vector<SyncPort> read_ports(const std::string& device) {
  std::vector<SyncPort> ports;
  const std::string directory = device + "/ports";
  for (const std::string& name : entries(directory)) {
    if (const auto number = core::parse_number<unsigned>(name)) {
      const bool infiniband = attribute(join(directory, name) + "/link_layer") == "InfiniBand";
      ports.push_back({*number, infiniband});
    }
  }
  return ports;
}

void read_interfaces(const SyncPlaces& places, SyncSnapshot& snapshot) {
  const std::string net = places.sys + "/class/net/";
  for (const std::string& name : entries(net)) {
    const auto type = core::parse_number<int>(attribute(net + name + "/type"));
    const std::string hardware = real_path(net + name + "/device");
    if (type != kArphrdInfiniband || hardware.empty()) {
      continue;
    }
    const auto port = core::parse_number<unsigned>(attribute(net + name + "/dev_port"));
    for (const SyncDevice& device : snapshot.devices) {
      if (real_path(places.sys + "/class/infiniband/" + device.name + "/device") == hardware) {
        snapshot.interfaces.push_back({device.name, port.value_or(0) + 1});
      }
    }
  }
}

bool live(const SyncPlaces& places, const std::string& module) {
  return os::module_state(places.sys, module) == os::ModuleState::kLive;
}

/// The modules that use ib_uverbs.
std::vector<SyncDriver> read_drivers(const SyncPlaces& places) {
  std::vector<SyncDriver> drivers;
  for (const std::string& name : entries(places.sys + "/module/ib_uverbs/holders")) {
    if (name != "rdma_ucm") {
      drivers.push_back({name, os::module_state(places.sys, name) == os::ModuleState::kComing});
    }
  }
  return drivers;
}

using Event = core::UniqueHandle<sd_event, sd_event_unref>;

/// Wakes the loop up; what happened is of no interest, the snapshot is read anew.
int drain_monitor(sd_event_source*, int, std::uint32_t, void* user) {
  for (int i = 0; i < kMostEvents; ++i) {
    const auto event = static_cast<os::UeventSource*>(user)->receive();
    if (!event || !*event) {
      break;
    }
  }
  return 0;
}

int drain_inotify(sd_event_source*, int fd, std::uint32_t, void*) {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (int i = 0; i<kMostEvents&& ::read(fd, buffer.data(), buffer.size())> 0; ++i) {
  }
  return 0;
}

}  // namespace

/// Everything that may tell that something has changed. What cannot be opened is done without:
/// there is a look every second anyway.
class SyncWait::EventSources {
 public:
  explicit EventSources(const SyncPlaces& places) {
    sd_event* raw = nullptr;
    sd_event_new(&raw);
    event_.reset(raw);
    for (const char* const group : {"kernel", "udev"}) {
      add_monitor(group);
    }
    // The directory itself may come only with the first node.
    inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string directory = places.dev + "/infiniband";
    if (::inotify_add_watch(inotify_.get(), directory.c_str(), IN_CREATE | IN_MOVED_TO) < 0) {
      ::inotify_add_watch(inotify_.get(), places.dev.c_str(), IN_CREATE);
    }
    if (event_ && inotify_) {
      sd_event_add_io(event_.get(), nullptr, inotify_.get(), EPOLLIN, drain_inotify, nullptr);
    }
  }

  /// Once; PID 1 may be connected to only after a device has come.
  void listen_to(os::SystemdManager& manager) {
    if (event_ && !std::exchange(listening_, true)) {
      static_cast<void>(manager.watch(event_.get(), [] {}));
    }
  }

  /// Returns after events (all that are there are taken) or at the end of `time`.
  void wait(Microseconds time) {
    auto timeout = static_cast<std::uint64_t>(time.count());
    int taken = event_ ? 1 : -1;
    for (int i = 0; taken > 0 && i < kMostEvents; ++i) {
      taken = sd_event_run(event_.get(), timeout);
      timeout = 0;
    }
    if (taken < 0) {
      // No loop (no memory, no descriptors): what is left is to look again later.
      constexpr int kMilliseconds = 100;
      ::poll(nullptr, 0, kMilliseconds);
    }
  }

 private:
  void add_monitor(const char* group) {
    auto monitor = os::open_udev_monitor(
        group, {"infiniband", "infiniband_verbs", "infiniband_mad", "misc", "module", "net"}, 0);
    if (monitor && event_ &&
        sd_event_add_io(event_.get(), nullptr, (*monitor)->fd(), EPOLLIN, drain_monitor,
                        monitor->get()) >= 0) {
      monitors_.push_back(std::move(*monitor));
    }
  }

  bool listening_ = false;
  std::vector<std::unique_ptr<os::UeventSource>> monitors_;
  core::UniqueFd inotify_;
  Event event_;  // last, so that it lets go of the descriptors before they are closed
};

SyncWait::SyncWait(SyncPlaces places, const core::Clock& clock)
    : places_(std::move(places)), clock_(clock) {}

SyncWait::~SyncWait() = default;

/// Asks udev's database about each device, and PID 1 about those that udev has told it of.
void SyncWait::ask_udev_and_systemd(std::vector<SyncDevice>& devices) {
  if (devices.empty() || !os::devices_become_units(places_.root)) {
    return;
  }
  if (!std::exchange(connected_, true)) {
    if (auto manager = os::SystemdManager::connect(places_.systemd)) {
      manager_ = std::move(*manager);
    }
  }
  if (!manager_) {
    return;  // not systemd: devices count as known
  }
  const Udev udev(udev_new());
  std::vector<std::string> units(devices.size());
  std::vector<std::string> asked;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    SyncDevice& device = devices[i];
    const std::string path = real_path(places_.sys + "/class/infiniband/" + device.name);
    units[i] = core::unit_name_from_path(path, ".device");
    device.systemd_knows = known_.contains(units[i]);
    if (device.systemd_knows) {
      continue;
    }
    const Device record(udev ? udev_device_new_from_syspath(udev.get(), path.c_str()) : nullptr);
    device.udev_done = record && udev_device_get_is_initialized(record.get()) > 0;
    device.tagged = record && udev_device_has_tag(record.get(), "systemd") > 0;
    if (device.udev_done && device.tagged) {
      asked.push_back(units[i]);
    }
  }
  // Without an answer (PID 1 is busy, or was just executed anew) none is known yet.
  if (const auto active = manager_->active_units(asked)) {
    known_.insert(active->begin(), active->end());
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    devices[i].systemd_knows = known_.contains(units[i]);
  }
}

SyncSnapshot SyncWait::snapshot() {
  SyncSnapshot snapshot;
  snapshot.uverbs_live = live(places_, "ib_uverbs");
  snapshot.umad_live = live(places_, "ib_umad");
  snapshot.ucm_live = live(places_, "rdma_ucm");
  snapshot.ipoib_live = live(places_, "ib_ipoib");
  snapshot.rdma_cm_in_dev = exists(places_.dev + "/infiniband/rdma_cm");
  snapshot.drivers = read_drivers(places_);
  snapshot.uverbs = read_nodes(places_, "infiniband_verbs", "uverbs");
  snapshot.umad = read_nodes(places_, "infiniband_mad", "umad");
  const std::string directory = places_.sys + "/class/infiniband/";
  for (const std::string& name : entries(directory)) {
    SyncDevice device;
    device.name = name;
    device.ports = read_ports(directory + name);
    if (exists(directory + name)) {
      snapshot.devices.push_back(std::move(device));
    }
  }
  ask_udev_and_systemd(snapshot.devices);
  if (snapshot.ipoib_live) {
    read_interfaces(places_, snapshot);
  }
  return snapshot;
}

std::vector<Missing> SyncWait::wait(Microseconds patience) {
  const Microseconds start = clock_.now();
  const auto longest = [patience](const std::vector<Missing>& missing) {
    Microseconds time{0};
    for (const Missing& thing : missing) {
      time = std::max(time, thing.waits == Waits::kForSystem   ? patience
                            : thing.waits == Waits::kForKernel ? kKernelPatience
                                                               : kDevicePatience);
    }
    return std::min(time, patience);
  };
  while (true) {
    std::vector<Missing> missing = find_missing(snapshot());
    const Microseconds end = start + longest(missing);
    const Microseconds now = clock_.now();
    if (missing.empty() || now >= end) {
      std::erase_if(missing, [](const Missing& m) { return m.waits == Waits::kForDevice; });
      return missing;
    }
    if (!sources_) {
      // Usually the first look finds all; only now events are of interest, and a second look, for
      // what happened before they were subscribed to.
      sources_ = std::make_unique<EventSources>(places_);
      continue;
    }
    if (manager_) {
      sources_->listen_to(*manager_);
    }
    sources_->wait(std::min(end - now, kLookAnyway));
  }
}

}  // namespace rdmaboot::load_modules
