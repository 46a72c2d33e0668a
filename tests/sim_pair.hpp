// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Two hosts of a simulated network with a connection between them, for tests at the seam's level.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sim/world.hpp"

namespace rdmaboot::tests {

inline constexpr engine::SocketAddress kFirstAddress{0x0a000001, 987};
inline constexpr engine::SocketAddress kSecondAddress{0x0a000002, 987};

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// The connecting side is the first, the accepting one the second.
class SimPair {
 public:
  explicit SimPair(std::uint64_t seed = 1, const sim::NetworkModel& network = {},
                   const engine::DeviceLimits& limits = sim::DeviceModel::generous_limits())
      : world(seed, network) {
    world.observe(&recorder);
    for (auto* host : {&first, &second}) {
      *host = world.add_host(host == &first ? "one" : "two");
      const auto made = world.add_device(*host, {host == &first ? "sim0" : "sim1", limits});
      (host == &first ? first_device : second_device) = made;
    }
    world.give_address(first_device, kFirstAddress.ipv4);
    world.give_address(second_device, kSecondAddress.ipv4);
    active_fabric = world.fabric(first);
    passive_fabric = world.fabric(second);
    queues.send_requests = 8;
    queues.receive_requests = 8;
    queues.completions = 16;
  }

  /// The next event of the fabric of the wanted kind; those before it are dropped.
  template <typename What>
  std::optional<What> wait_for(engine::Fabric& fabric) {
    for (int steps = 0; steps < 100'000; ++steps) {
      while (auto event = fabric.next_event()) {
        if constexpr (std::is_same_v<What, engine::ConnectRequested> ||
                      std::is_same_v<What, engine::DeviceEvent>) {
          if (auto* found = std::get_if<What>(&*event)) {
            return std::move(*found);
          }
        } else if (auto* of_endpoint = std::get_if<engine::EndpointEvent>(&*event)) {
          if (auto* found = std::get_if<What>(&of_endpoint->what)) {
            return std::move(*found);
          }
        }
      }
      if (!world.step()) {
        break;
      }
    }
    return std::nullopt;
  }

  void listen() { device = passive_fabric->listen(kSecondAddress, 0).value(); }

  /// Up to a route and a queue pair.
  [[nodiscard]] bool prepare(engine::SocketAddress destination = kSecondAddress) {
    active = active_fabric->create_endpoint().value();
    return active->resolve_address({kFirstAddress.ipv4, 0}, destination, core::Microseconds(1000))
               .has_value() &&
           wait_for<engine::event::AddressResolved>(*active_fabric) &&
           active->resolve_route(core::Microseconds(1000)).has_value() &&
           wait_for<engine::event::RouteResolved>(*active_fabric) &&
           active->create_queue_pair(queues).has_value();
  }

  /// Until the request is at the other side.
  [[nodiscard]] bool request(std::string_view data = "hello") {
    if (!active->connect({bytes_of(data)}).has_value()) {
      return false;
    }
    auto requested = wait_for<engine::ConnectRequested>(*passive_fabric);
    if (!requested) {
      return false;
    }
    asked_with = requested->private_data;
    passive = std::move(requested->endpoint);
    return passive->create_queue_pair(queues).has_value();
  }

  [[nodiscard]] bool connect() {
    listen();
    return prepare() && request() && passive->accept({bytes_of("welcome")}).has_value() &&
           wait_for<engine::event::Established>(*active_fabric) &&
           wait_for<engine::event::Established>(*passive_fabric);
  }

  /// Everything that completes until nothing happens any more, or for so long.
  std::vector<engine::Completion> completions(
      engine::Endpoint& endpoint, core::Microseconds span = core::Microseconds(10'000'000)) {
    world.run_until(world.clock().now() + span);
    std::vector<engine::Completion> all(64);
    all.resize(endpoint.poll(all));
    return all;
  }

  /// A region of one side over the memory.
  static std::unique_ptr<engine::MemoryRegion> region(engine::Endpoint& endpoint,
                                                      std::span<std::byte> memory,
                                                      engine::Access access) {
    return endpoint.device()->register_memory(memory, access).value();
  }

  static engine::Segment segment(const engine::MemoryRegion& region,
                                 std::span<const std::byte> memory) {
    return {reinterpret_cast<std::uint64_t>(memory.data()),
            static_cast<std::uint32_t>(memory.size()), region.local_key()};
  }

  static engine::SendRequest send(std::uint64_t id, const engine::Segment& segment) {
    engine::SendRequest request;
    request.id = id;
    request.signaled = true;
    request.segment_count = 1;
    request.segments[0] = segment;
    return request;
  }

  static engine::SendRequest write(std::uint64_t id, const engine::Segment& segment,
                                   std::span<const std::byte> to, std::uint32_t key) {
    engine::SendRequest request = send(id, segment);
    request.kind = engine::WorkKind::kWrite;
    request.remote_address = reinterpret_cast<std::uint64_t>(to.data());
    request.remote_key = key;
    return request;
  }

  static core::Result<void> post(engine::Endpoint& endpoint, const engine::SendRequest& request) {
    return endpoint.post(std::span(&request, 1));
  }
  static core::Result<void> receive(engine::Endpoint& endpoint, std::uint64_t id,
                                    const engine::Segment& buffer) {
    const engine::ReceiveRequest request{id, buffer};
    return endpoint.post(std::span(&request, 1));
  }

  [[nodiscard]] bool has_fault(sim::Fault wanted) const {
    for (const auto& record : recorder.faults) {
      if (record.fault == wanted) {
        return true;
      }
    }
    return false;
  }

  // The world last of all: whatever is made from it goes first.
  sim::Recorder recorder;
  sim::World world;
  sim::HostId first{};
  sim::HostId second{};
  sim::DeviceId first_device{};
  sim::DeviceId second_device{};
  engine::QueueLimits queues;
  engine::PrivateData asked_with;
  std::unique_ptr<engine::Fabric> active_fabric;
  std::unique_ptr<engine::Fabric> passive_fabric;
  std::shared_ptr<engine::Device> device;
  std::unique_ptr<engine::Endpoint> active;
  std::unique_ptr<engine::Endpoint> passive;
};

}  // namespace rdmaboot::tests
