// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A network in memory: hosts, devices, addresses, and faults on demand. The same seed and the same
// calls give the same run. One thread.
//
// A process of a host is whatever holds a Fabric. Everything made from a Fabric goes before it, and
// the Fabric before the World.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/fabric.hpp"
#include "sim/model.hpp"
#include "sim/random.hpp"
#include "sim/record.hpp"

namespace rdmaboot::sim {

struct WorldState;

class World {
 public:
  explicit World(std::uint64_t seed, const NetworkModel& model = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  [[nodiscard]] const core::Clock& clock() const;
  [[nodiscard]] Random& random();
  /// May be changed at any time: for a spell of bad weather.
  [[nodiscard]] NetworkModel& model();
  /// Whom to tell; null for nobody. Not owned.
  void observe(Observer* observer);

  // ---- What there is
  [[nodiscard]] HostId add_host(const std::string& name);
  [[nodiscard]] DeviceId add_device(HostId host, const DeviceModel& model);
  /// The device has the address from now on. If another device of the host had it, listeners and
  /// endpoints learn that it moved, and queue pairs of the old device reach nobody any more.
  void give_address(DeviceId device, std::uint32_t ipv4);
  /// The way of a new process of the host to the network.
  [[nodiscard]] std::unique_ptr<engine::Fabric> fabric(HostId host);

  // ---- Time
  /// True if a process of the host has an event to read.
  [[nodiscard]] bool has_events(HostId host) const;
  /// When something happens next; nothing if nothing will.
  [[nodiscard]] std::optional<core::Microseconds> next_time() const;
  /// Moves the clock to what happens next. @return false if nothing will
  bool step();
  /// Lets everything happen until then, and moves the clock there.
  void run_until(core::Microseconds time);
  /// Runs the action at that time.
  void at(core::Microseconds time, std::function<void()> action);

  // ---- Faults
  /// The power goes: nothing of the host says a word more. Its processes' objects are to be
  /// destroyed; they are of no effect.
  void crash(HostId host);
  /// The host is back, with nothing running on it.
  void restart(HostId host);
  [[nodiscard]] bool is_up(HostId host) const;
  void port_down(DeviceId device);
  /// @param gid_moves the GID index is another one: queue pairs from before reach nobody any more
  void port_up(DeviceId device, bool gid_moves);
  /// The GID index is another one, while the port is up: queue pairs from before reach nobody any
  /// more.
  void move_gid(DeviceId device);
  /// The device fails: its queue pairs are in the error state.
  void fatal(DeviceId device);
  /// @param silent nothing that is posted comes back
  void remove_device(DeviceId device, bool silent);
  /// The device is plugged in again, with the addresses it had.
  void restore_device(DeviceId device);
  /// One queue pair of the host, by chance, fails by itself. @return false if there is none
  bool fail_some_queue_pair(HostId host);
  /// Any event, for any endpoint that the host has or had.
  void stray_event(HostId host);
  /// An event for the endpoint, whatever its state; nobody hears it after the endpoint's end.
  void inject(engine::EndpointId endpoint, const decltype(engine::EndpointEvent::what)& what);
  /// The verbs object that so many allocations from now is to be made fails with ENOMEM; 1 is the
  /// next one.
  void fail_allocation(HostId host, std::uint32_t in);

  // ---- What was noted
  [[nodiscard]] LiveObjects live(HostId host) const;
  [[nodiscard]] HighWater high_water(HostId host) const;
  /// True if some peer could write somewhere into that memory of the host now: a live region, or a
  /// window that is bound to a queue pair in order.
  [[nodiscard]] bool exposed(HostId host, const void* memory, std::size_t length) const;

 private:
  std::unique_ptr<WorldState> state_;
};

}  // namespace rdmaboot::sim
