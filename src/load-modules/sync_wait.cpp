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
#include "os/kmod_index.hpp"

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

/// Asks udev's database about each device, and PID 1 about those that udev has tagged for it.
void ask_udev_and_systemd(const SyncPlaces& places, os::SystemdManager& manager,
                          std::vector<SyncDevice>& devices) {
  const Udev udev(udev_new());
  std::vector<std::string> units;
  for (SyncDevice& device : devices) {
    const std::string path = real_path(places.sys + "/class/infiniband/" + device.name);
    const Device record(udev ? udev_device_new_from_syspath(udev.get(), path.c_str()) : nullptr);
    device.udev_done = record && udev_device_get_is_initialized(record.get()) > 0;
    device.wanted_by_systemd = record && udev_device_has_tag(record.get(), "systemd") > 0;
    units.push_back(core::unit_name_from_path(path, ".device"));
  }
  const auto states = manager.active_states(units);
  for (std::size_t i = 0; states && i < devices.size(); ++i) {
    const auto found = states->find(units[i]);
    devices[i].systemd_knows = found != states->end() && found->second == "active";
  }
}

bool live(const SyncPlaces& places, const std::string& module) {
  return os::module_state(places.sys, module) == os::ModuleState::kLive;
}

using Event = core::UniqueHandle<sd_event, sd_event_unref>;

/// Wakes the loop up; what happened is of no interest, the snapshot is read anew.
int drain_monitor(sd_event_source*, int, std::uint32_t, void* user) {
  for (int i = 0; i < kMostEvents; ++i) {
    if (!Device(udev_monitor_receive_device(static_cast<udev_monitor*>(user)))) {
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

/// Everything that may tell that something has changed. What cannot be opened is done without:
/// there is a look every second anyway.
class EventSources {
 public:
  explicit EventSources(const SyncPlaces& places) : udev_(udev_new()) {
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

  void listen_to(os::SystemdManager& manager) {
    if (event_) {
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
    Monitor monitor(udev_ ? udev_monitor_new_from_netlink(udev_.get(), group) : nullptr);
    if (!monitor || !event_) {
      return;
    }
    for (const char* const subsystem :
         {"infiniband", "infiniband_verbs", "infiniband_mad", "misc", "net"}) {
      udev_monitor_filter_add_match_subsystem_devtype(monitor.get(), subsystem, nullptr);
    }
    if (udev_monitor_enable_receiving(monitor.get()) >= 0 &&
        sd_event_add_io(event_.get(), nullptr, udev_monitor_get_fd(monitor.get()), EPOLLIN,
                        drain_monitor, monitor.get()) >= 0) {
      monitors_.push_back(std::move(monitor));
    }
  }

  Udev udev_;
  std::vector<Monitor> monitors_;
  core::UniqueFd inotify_;
  Event event_;  // last, so that it lets go of the descriptors before they are closed
};

std::optional<os::SystemdManager> connect(const SyncPlaces& places) {
  auto manager = os::SystemdManager::connect(places.systemd);
  if (!manager) {
    return std::nullopt;
  }
  return std::move(*manager);
}

}  // namespace

bool devices_become_units(const SyncPlaces& places) {
  if (!exists(places.udev_control)) {
    return false;
  }
  for (const std::string& directory : places.rules) {
    const std::string rule = directory + "/90-rdma-ulp-modules.rules";
    if (exists(rule)) {
      return real_path(rule) != "/dev/null";
    }
  }
  return false;
}

SyncSnapshot read_snapshot(const SyncPlaces& places, os::SystemdManager* manager) {
  SyncSnapshot snapshot;
  snapshot.uverbs_live = live(places, "ib_uverbs");
  snapshot.umad_live = live(places, "ib_umad");
  snapshot.ucm_live = live(places, "rdma_ucm");
  snapshot.ipoib_live = live(places, "ib_ipoib");
  snapshot.rdma_cm_in_dev = exists(places.dev + "/infiniband/rdma_cm");
  snapshot.uverbs = read_nodes(places, "infiniband_verbs", "uverbs");
  snapshot.umad = read_nodes(places, "infiniband_mad", "umad");
  const std::string directory = places.sys + "/class/infiniband/";
  for (const std::string& name : entries(directory)) {
    SyncDevice device;
    device.name = name;
    device.ports = read_ports(directory + name);
    if (exists(directory + name)) {
      snapshot.devices.push_back(std::move(device));
    }
  }
  if (manager != nullptr && devices_become_units(places)) {
    ask_udev_and_systemd(places, *manager, snapshot.devices);
  }
  if (snapshot.ipoib_live) {
    read_interfaces(places, snapshot);
  }
  return snapshot;
}

std::vector<Missing> wait_for_promises(const SyncPlaces& places, const core::Clock& clock,
                                       Microseconds patience) {
  const Microseconds start = clock.now();
  // The event loop outlives the connection that is attached to it.
  std::unique_ptr<EventSources> sources;
  std::optional<os::SystemdManager> manager;
  // Without devices nobody is asked; rdma_cm is made by its module's init function.
  if (!entries(places.sys + "/class/infiniband").empty()) {
    manager = connect(places);
  }
  while (true) {
    std::vector<Missing> missing =
        find_missing(read_snapshot(places, manager ? &*manager : nullptr));
    const bool only_kernel = std::all_of(missing.begin(), missing.end(), [](const Missing& thing) {
      return thing.waits == Waits::kForKernel;
    });
    const Microseconds end = start + (only_kernel ? std::min(patience, kKernelPatience) : patience);
    const Microseconds now = clock.now();
    if (missing.empty() || now >= end) {
      return missing;
    }
    if (!sources) {
      // Usually the first look finds all; only now events are of interest, and a second look, for
      // what happened before they were subscribed to.
      sources = std::make_unique<EventSources>(places);
      if (manager) {
        sources->listen_to(*manager);
      }
      continue;
    }
    sources->wait(std::min(end - now, kLookAnyway));
  }
}

}  // namespace rdmaboot::load_modules
