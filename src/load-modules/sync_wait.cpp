// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/sync_wait.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <libudev.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "os/kmod_index.hpp"

namespace rdmaboot::load_modules {
namespace {

namespace fs = std::filesystem;
using core::Microseconds;

constexpr std::size_t kAttributeLimit = 4096;
/// More entries than this are not read from one directory of sysfs.
constexpr std::size_t kMostEntries = 4096;
constexpr Microseconds kLookAnyway = std::chrono::seconds(1);
constexpr int kArphrdInfiniband = 32;  // linux/if_arp.h

using Udev = core::UniqueHandle<udev, udev_unref>;
using Monitor = core::UniqueHandle<udev_monitor, udev_monitor_unref>;
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

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::vector<SyncNode> read_nodes(const SyncPlaces& places, const std::string& subsystem) {
  std::vector<SyncNode> nodes;
  const std::string directory = places.sys + "/class/" + subsystem;
  for (const std::string& name : entries(directory)) {
    const std::string entry = directory + "/" + name;
    const std::string device = attribute(entry + "/ibdev");
    if (device.empty() || !exists(entry + "/dev")) {
      continue;  // abi_version, or an entry without a device number (issm is one with)
    }
    const auto port = core::parse_number<unsigned>(attribute(entry + "/port"));
    nodes.push_back({name, device, port.value_or(0), exists(places.dev + "/infiniband/" + name)});
  }
  return nodes;
}

std::vector<SyncPort> read_ports(const std::string& device) {
  std::vector<SyncPort> ports;
  for (const std::string& name : entries(device + "/ports")) {
    if (const auto number = core::parse_number<unsigned>(name)) {
      const bool infiniband = attribute(device + "/ports/" + name + "/link_layer") == "InfiniBand";
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

/// Asks udev's database and, where udev has tagged the device for it, PID 1.
void ask_udev_and_systemd(const SyncPlaces& places, os::SystemdManager& manager,
                          SyncDevice& device) {
  const std::string path = real_path(places.sys + "/class/infiniband/" + device.name);
  const Udev udev(udev_new());
  const Device record(udev ? udev_device_new_from_syspath(udev.get(), path.c_str()) : nullptr);
  device.udev_done = record && udev_device_get_is_initialized(record.get()) > 0;
  device.wanted_by_systemd = record && udev_device_has_tag(record.get(), "systemd") > 0;
  if (!device.udev_done || !device.wanted_by_systemd) {
    return;
  }
  const std::string unit = core::unit_name_from_path(path, ".device");
  // Watch, then ask: a change in between is not lost.
  const auto watched = manager.watch(unit);
  const auto state = manager.active_state(unit);
  device.systemd_knows = watched && state && *state == "active";
}

bool live(const SyncPlaces& places, const std::string& module) {
  return os::module_state(places.sys, module) == os::ModuleState::kLive;
}

/// Everything that may tell that something has changed.
class EventSources {
 public:
  explicit EventSources(const SyncPlaces& places) : udev_(udev_new()) {
    for (const char* const group : {"kernel", "udev"}) {
      add_monitor(group);
    }
    // Nodes appear without an event of their own: devtmpfs makes them before the uevent, but the
    // directory itself may come with the first of them.
    inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (inotify_) {
      const std::string directory = places.dev + "/infiniband";
      if (::inotify_add_watch(inotify_.get(), directory.c_str(), IN_CREATE | IN_MOVED_TO) < 0) {
        ::inotify_add_watch(inotify_.get(), places.dev.c_str(), IN_CREATE);
      }
    }
  }

  /// Returns after an event or at the end of `time`.
  void wait(Microseconds time, os::SystemdManager* manager) {
    std::vector<pollfd> polled;
    for (const Monitor& monitor : monitors_) {
      polled.push_back({udev_monitor_get_fd(monitor.get()), POLLIN, 0});
    }
    if (inotify_) {
      polled.push_back({inotify_.get(), POLLIN, 0});
    }
    if (manager != nullptr) {
      polled.push_back({manager->fd(), manager->events(), 0});
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    const timespec timeout = {static_cast<time_t>(seconds.count()),
                              static_cast<long>(std::chrono::nanoseconds(time - seconds).count())};
    ::ppoll(polled.data(), polled.size(), &timeout, nullptr);
    drain();
  }

 private:
  void add_monitor(const char* group) {
    Monitor monitor(udev_ ? udev_monitor_new_from_netlink(udev_.get(), group) : nullptr);
    if (!monitor) {
      return;
    }
    for (const char* const subsystem :
         {"infiniband", "infiniband_verbs", "infiniband_mad", "misc", "net"}) {
      udev_monitor_filter_add_match_subsystem_devtype(monitor.get(), subsystem, nullptr);
    }
    if (udev_monitor_enable_receiving(monitor.get()) >= 0) {
      monitors_.push_back(std::move(monitor));
    }
  }

  /// What happened is of no interest: the snapshot is read anew.
  void drain() {
    constexpr int kMostEvents = 10000;
    for (const Monitor& monitor : monitors_) {
      for (int i = 0; i < kMostEvents; ++i) {
        if (!Device(udev_monitor_receive_device(monitor.get()))) {
          break;
        }
      }
    }
    alignas(inotify_event) std::array<char, 4096> buffer{};
    while (inotify_ && ::read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
    }
  }

  Udev udev_;
  std::vector<Monitor> monitors_;
  core::UniqueFd inotify_;
};

std::optional<os::SystemdManager> connect(const SyncPlaces& places, Microseconds patience) {
  auto manager = os::SystemdManager::connect(places.systemd, patience);
  if (!manager) {
    return std::nullopt;
  }
  return std::move(*manager);
}

}  // namespace

SyncSnapshot read_snapshot(const SyncPlaces& places, os::SystemdManager* manager) {
  SyncSnapshot snapshot;
  snapshot.uverbs_live = live(places, "ib_uverbs");
  snapshot.umad_live = live(places, "ib_umad");
  snapshot.ucm_live = live(places, "rdma_ucm");
  snapshot.ipoib_live = live(places, "ib_ipoib");
  snapshot.rdma_cm_in_dev = exists(places.dev + "/infiniband/rdma_cm");
  snapshot.uverbs = read_nodes(places, "infiniband_verbs");
  snapshot.umad = read_nodes(places, "infiniband_mad");
  const bool udev_runs = exists(places.udev_control);
  const std::string directory = places.sys + "/class/infiniband/";
  for (const std::string& name : entries(directory)) {
    SyncDevice device;
    device.name = name;
    device.ports = read_ports(directory + name);
    if (udev_runs && manager != nullptr) {
      ask_udev_and_systemd(places, *manager, device);
    }
    if (exists(directory + name)) {
      snapshot.devices.push_back(std::move(device));
    }
  }
  if (snapshot.ipoib_live) {
    read_interfaces(places, snapshot);
  }
  return snapshot;
}

std::vector<Missing> wait_for_promises(const SyncPlaces& places, const core::Clock& clock,
                                       Microseconds patience) {
  // Without devices nobody is asked; rdma_cm is made by its module's init function.
  const bool any_device = !entries(places.sys + "/class/infiniband").empty();
  std::optional<os::SystemdManager> manager;
  if (any_device) {
    manager = connect(places, patience);
  }
  const auto asked = [&manager] { return manager ? &*manager : nullptr; };
  // One look before anything is set up: usually all is there.
  std::vector<Missing> missing = find_missing(read_snapshot(places, asked()));
  if (missing.empty()) {
    return missing;
  }
  const Microseconds start = clock.now();
  EventSources sources(places);
  while (true) {
    missing = find_missing(read_snapshot(places, asked()));
    const bool only_kernel = std::all_of(missing.begin(), missing.end(), [](const Missing& thing) {
      return thing.waits == Waits::kForKernel;
    });
    const Microseconds end = start + (only_kernel ? std::min(patience, kKernelPatience) : patience);
    const Microseconds now = clock.now();
    if (missing.empty() || now >= end) {
      return missing;
    }
    sources.wait(std::min(end - now, kLookAnyway), asked());
    if (manager && !manager->changed()) {
      // The connection is lost (PID 1 re-executes itself): a new one.
      manager = connect(places, patience);
    }
  }
}

}  // namespace rdmaboot::load_modules
