// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a simulated process sees of its network. Inside src/sim only.

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "engine/fabric.hpp"
#include "sim/endpoint.hpp"
#include "sim/memory.hpp"
#include "sim/state.hpp"

namespace rdmaboot::sim {

class SimFabric final : public engine::Fabric {
 public:
  SimFabric(WorldState& world, HostId host);
  SimFabric(const SimFabric&) = delete;
  SimFabric& operator=(const SimFabric&) = delete;
  ~SimFabric() override;

  [[nodiscard]] core::Result<std::shared_ptr<engine::Device>> listen(engine::SocketAddress address,
                                                                     int backlog) override;
  void stop_listening() override;
  [[nodiscard]] core::Result<std::string> device_of(engine::SocketAddress address) override;
  [[nodiscard]] core::Result<std::unique_ptr<engine::Endpoint>> create_endpoint() override;
  [[nodiscard]] std::optional<engine::Event> next_event() override;
  [[nodiscard]] int fd() const override { return -1; }

  // For the other parts of the simulation.
  [[nodiscard]] HostId host() const { return host_; }
  [[nodiscard]] bool alive() const;
  [[nodiscard]] bool has_events() const { return !events_.empty(); }
  [[nodiscard]] bool listens(const engine::SocketAddress& address, DeviceId device) const;
  [[nodiscard]] bool listens_beside(std::uint16_t port, DeviceId device) const;
  /// A request for the listener; dropped if too many wait unread.
  void arrive(const CmRequest& request);
  void raise(engine::Event event);
  /// If the listener stands on that device.
  void raise(DeviceId device, engine::DeviceEvent::Kind kind);
  /// The process as it sees the device: one protection domain for all that it makes.
  [[nodiscard]] std::shared_ptr<SimDevice> open(const std::shared_ptr<DeviceState>& device);
  /// Its host crashed: nothing is seen any more.
  void die();

 private:
  struct Listener {
    engine::SocketAddress address;
    std::shared_ptr<SimDevice> device;
    std::size_t backlog = 0;
  };
  /// The device with the address, if this host has it and it works.
  [[nodiscard]] core::Result<std::shared_ptr<DeviceState>> find_device(
      const engine::SocketAddress& address) const;

  WorldState& world_;
  HostId host_;
  std::uint32_t life_;
  std::optional<Listener> listener_;
  std::map<const DeviceState*, std::weak_ptr<SimDevice>> devices_;
  std::deque<engine::Event> events_;
};

}  // namespace rdmaboot::sim
