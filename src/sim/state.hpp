// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the parts of a World share. Inside src/sim only.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/model.hpp"
#include "sim/random.hpp"
#include "sim/record.hpp"
#include "sim/schedule.hpp"

namespace rdmaboot::sim {

class SimEndpoint;
class SimFabric;

/// A host and what of it exists.
struct HostState {
  HostId id{};
  std::string name;
  bool alive = true;
  /// Counts crashes: what was made in an earlier life is dead.
  std::uint32_t life = 1;
  LiveObjects live;
  HighWater high_water;
  std::vector<SimFabric*> fabrics;
  /// The verbs object that many allocations from now fails with ENOMEM; 0 is none.
  std::uint32_t fail_allocation_in = 0;
};

/// Memory that is registered.
struct RegionState {
  std::uint64_t serial = 0;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  engine::Access access{};
  std::uint32_t local_key = 0;
  std::uint32_t remote_key = 0;
  std::uint32_t bound_windows = 0;
  bool live = true;
};

/// A window, bound or not.
struct WindowState {
  std::uint32_t index = 0;
  std::uint8_t next_tag = 1;
  std::uint32_t key = 0;  ///< while bound
  bool bound = false;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::shared_ptr<RegionState> region;
  engine::EndpointId endpoint{};  ///< type 2: only this queue pair's peer may use it
};

/// A device of a host while it is plugged in; coming back makes a new one under the same id.
struct DeviceState {
  DeviceId id{};
  HostId host{};
  DeviceModel model;
  bool removed = false;
  bool silent = false;  ///< gone without flushing anything
  bool port_up = true;
  std::uint32_t gid_generation = 1;  ///< a queue pair of another generation has a dead GID index
  // Keys by their upper 24 bits.
  std::map<std::uint32_t, std::shared_ptr<RegionState>> regions;
  std::map<std::uint32_t, std::shared_ptr<WindowState>> windows;
};

/// What the connection manager answered to a request, for when it comes once more.
struct Answer {
  engine::EndpointId passive{};
  std::optional<engine::event::Rejected> reject;
};

struct WorldState {
  explicit WorldState(std::uint64_t seed, const NetworkModel& network_model)
      : random(seed), model(network_model) {}

  Schedule schedule;
  Random random;
  NetworkModel model;
  Observer* observer = nullptr;
  std::deque<HostState> hosts;
  std::vector<std::shared_ptr<DeviceState>> devices;
  std::map<std::uint32_t, DeviceId> addresses;
  std::map<engine::EndpointId, SimEndpoint*> endpoints;
  std::map<engine::EndpointId, Answer> answers;  ///< by the active side
  std::uint64_t endpoints_made = 0;
  std::uint32_t keys_made = 0;
  std::uint64_t regions_made = 0;

  [[nodiscard]] HostState& host(HostId id) { return hosts[static_cast<std::size_t>(id)]; }
  /// The endpoint, or null after its end.
  [[nodiscard]] SimEndpoint* find(engine::EndpointId id) const {
    const auto found = endpoints.find(id);
    return found == endpoints.end() ? nullptr : found->second;
  }
  /// The device that has the address, plugged in or not; null if nobody has it.
  [[nodiscard]] std::shared_ptr<DeviceState> device_with(std::uint32_t ipv4) const {
    const auto found = addresses.find(ipv4);
    return found == addresses.end() ? nullptr : devices[static_cast<std::size_t>(found->second)];
  }
  /// Packets from or to the address get through, as far as this end is concerned.
  [[nodiscard]] bool reachable(std::uint32_t ipv4) {
    const auto device = device_with(ipv4);
    return device && !device->removed && device->port_up && host(device->host).alive;
  }
  [[nodiscard]] core::Microseconds travel_time() {
    core::Microseconds time = random.between(model.latency, model.latency + model.jitter);
    if (random.chance(model.delayed)) {
      time += random.between(core::Microseconds(0), model.long_delay);
    }
    return time;
  }
  /// One verbs object more: true if this one fails with ENOMEM.
  [[nodiscard]] bool out_of_memory(HostState& host) {
    if (host.fail_allocation_in != 0 && --host.fail_allocation_in == 0) {
      return true;
    }
    return random.chance(model.no_memory);
  }
  void fault(HostId host, engine::EndpointId endpoint, Fault what) const {
    if (observer != nullptr) {
      observer->on_fault({schedule.now(), host, endpoint, what});
    }
  }
};

}  // namespace rdmaboot::sim
