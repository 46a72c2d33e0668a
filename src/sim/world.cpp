// SPDX-License-Identifier: BSD-2-Clause
#include "sim/world.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "sim/endpoint.hpp"
#include "sim/fabric.hpp"
#include "sim/state.hpp"

namespace rdmaboot::sim {

using core::Microseconds;
using engine::DeviceEvent;
using engine::EndpointId;

namespace {

using What = decltype(engine::EndpointEvent::what);

/// Told to every listener on the device.
void tell(WorldState& world, const DeviceState& device, DeviceEvent::Kind kind) {
  for (SimFabric* fabric : world.host(device.host).fabrics) {
    fabric->raise(device.id, kind);
  }
}

/// The endpoints of a host, by the order they were made in.
std::vector<SimEndpoint*> endpoints_of(const WorldState& world, HostId host) {
  std::vector<SimEndpoint*> found;
  for (const auto& [id, endpoint] : world.endpoints) {
    if (endpoint->host() == host && endpoint->alive()) {
      found.push_back(endpoint);
    }
  }
  return found;
}

std::vector<SimEndpoint*> endpoints_on(const WorldState& world, const DeviceState& device) {
  std::vector<SimEndpoint*> found = endpoints_of(world, device.host);
  std::erase_if(found, [&device](const SimEndpoint* endpoint) {
    return !endpoint->sim_device() || endpoint->sim_device()->state().get() != &device;
  });
  return found;
}

DeviceState& device_of(WorldState& world, DeviceId device) {
  return *world.devices[static_cast<std::size_t>(device)];
}

What any_event(Random& random) {
  constexpr int kOddReason = 10;
  constexpr std::array<int, 4> kReasons{4, 8, kOddReason, 28};
  engine::PrivateData nonsense;
  nonsense.length = static_cast<std::uint8_t>(random.below(kReplyBytes + 1));
  for (std::size_t i = 0; i < nonsense.length; ++i) {
    nonsense.bytes.at(i) = static_cast<std::byte>(random.next());
  }
  switch (random.below(std::variant_size_v<What>)) {
    case 0:
      return engine::event::AddressResolved{};
    case 1:
      return engine::event::RouteResolved{};
    case 2:
      return engine::event::Established{nonsense};
    case 3:
      return engine::event::Rejected{kReasons.at(random.below(kReasons.size())), nonsense};
    case 4:
      return engine::event::ConnectFailed{ETIMEDOUT};
    case 5:
      return engine::event::Disconnected{};
    case 6:
      return engine::event::CommunicationEstablished{};
    case 7:
      return engine::event::QueuePairFailed{};
    case 8:
      return engine::event::DeviceRemoval{};
    case 9:
      return engine::event::AddressChanged{};
    default:
      return engine::event::CompletionsReady{};
  }
}

}  // namespace

World::World(std::uint64_t seed, const NetworkModel& model)
    : state_(std::make_unique<WorldState>(seed, model)) {}

World::~World() = default;

const core::Clock& World::clock() const {
  return state_->schedule;
}
Random& World::random() {
  return state_->random;
}
NetworkModel& World::model() {
  return state_->model;
}
void World::observe(Observer* observer) {
  state_->observer = observer;
}

HostId World::add_host(const std::string& name) {
  HostState host;
  host.id = HostId{static_cast<std::uint32_t>(state_->hosts.size())};
  host.name = name;
  state_->hosts.push_back(std::move(host));
  return state_->hosts.back().id;
}

DeviceId World::add_device(HostId host, const DeviceModel& model) {
  auto device = std::make_shared<DeviceState>();
  device->id = DeviceId{static_cast<std::uint32_t>(state_->devices.size())};
  device->host = host;
  device->model = model;
  state_->devices.push_back(device);
  return device->id;
}

void World::give_address(DeviceId device, std::uint32_t ipv4) {
  const auto before = state_->device_with(ipv4);
  state_->addresses[ipv4] = device;
  if (!before || before->id == device) {
    return;
  }
  tell(*state_, *before, DeviceEvent::Kind::kAddressChange);
  for (SimEndpoint* endpoint : endpoints_on(*state_, *before)) {
    if (endpoint->local_ipv4() == ipv4) {
      endpoint->raise(engine::event::AddressChanged{});
    }
  }
}

std::unique_ptr<engine::Fabric> World::fabric(HostId host) {
  return std::make_unique<SimFabric>(*state_, host);
}

// ---- Time
// ----------------------------------------------------------------------------------------

bool World::has_events(HostId host) const {
  const auto& fabrics = state_->host(host).fabrics;
  return std::any_of(fabrics.begin(), fabrics.end(),
                     [](const SimFabric* fabric) { return fabric->has_events(); });
}

std::optional<Microseconds> World::next_time() const {
  return state_->schedule.next_time();
}
bool World::step() {
  return state_->schedule.run_next();
}
void World::run_until(Microseconds time) {
  state_->schedule.run_until(time);
}

void World::at(Microseconds time, std::function<void()> action) {
  state_->schedule.at(time, std::move(action));
}

// ---- Faults
// --------------------------------------------------------------------------------------

void World::crash(HostId host) {
  HostState& state = state_->host(host);
  for (SimEndpoint* endpoint : endpoints_of(*state_, host)) {
    if (endpoint->queue_pair() != nullptr) {
      endpoint->queue_pair()->fail();
    }
  }
  state.alive = false;
  ++state.life;
  for (SimFabric* fabric : state.fabrics) {
    fabric->die();
  }
}

void World::restart(HostId host) {
  state_->host(host).alive = true;
}
bool World::is_up(HostId host) const {
  return state_->host(host).alive;
}

void World::port_down(DeviceId device) {
  DeviceState& state = device_of(*state_, device);
  if (state.port_up && !state.removed) {
    state.port_up = false;
    tell(*state_, state, DeviceEvent::Kind::kPortError);
  }
}

void World::port_up(DeviceId device, bool gid_moves) {
  DeviceState& state = device_of(*state_, device);
  if (state.port_up || state.removed) {
    return;
  }
  state.port_up = true;
  tell(*state_, state, DeviceEvent::Kind::kPortActive);
  if (gid_moves) {
    move_gid(device);
  }
}

void World::move_gid(DeviceId device) {
  DeviceState& state = device_of(*state_, device);
  ++state.gid_generation;
  tell(*state_, state, DeviceEvent::Kind::kGidChange);
}

void World::fatal(DeviceId device) {
  DeviceState& state = device_of(*state_, device);
  if (state.removed) {
    return;
  }
  for (SimEndpoint* endpoint : endpoints_on(*state_, state)) {
    if (endpoint->queue_pair() != nullptr && !endpoint->queue_pair()->failed()) {
      endpoint->queue_pair()->fail();
      endpoint->raise(engine::event::QueuePairFailed{});
    }
  }
  tell(*state_, state, DeviceEvent::Kind::kFatal);
}

void World::remove_device(DeviceId device, bool silent) {
  DeviceState& state = device_of(*state_, device);
  if (state.removed) {
    return;
  }
  for (SimEndpoint* endpoint : endpoints_on(*state_, state)) {
    if (endpoint->queue_pair() != nullptr) {
      endpoint->queue_pair()->fail();
    }
    endpoint->raise(engine::event::DeviceRemoval{});
  }
  tell(*state_, state, DeviceEvent::Kind::kRemoval);
  state.silent = silent;
  state.removed = true;
}

void World::restore_device(DeviceId device) {
  const DeviceState& old = device_of(*state_, device);
  if (!old.removed) {
    return;
  }
  auto fresh = std::make_shared<DeviceState>();
  fresh->id = old.id;
  fresh->host = old.host;
  fresh->model = old.model;
  state_->devices[static_cast<std::size_t>(device)] = std::move(fresh);
}

bool World::fail_some_queue_pair(HostId host) {
  std::vector<SimEndpoint*> candidates = endpoints_of(*state_, host);
  std::erase_if(candidates, [](SimEndpoint* endpoint) {
    return endpoint->queue_pair() == nullptr || endpoint->queue_pair()->failed();
  });
  if (candidates.empty()) {
    return false;
  }
  SimEndpoint* chosen = candidates[state_->random.below(candidates.size())];
  chosen->queue_pair()->fail();
  chosen->raise(engine::event::QueuePairFailed{});
  return true;
}

void World::stray_event(HostId host) {
  const std::vector<SimEndpoint*> candidates = endpoints_of(*state_, host);
  Random& random = state_->random;
  const What what = any_event(random);
  if (!candidates.empty() && random.below(4) != 0) {
    inject(candidates[random.below(candidates.size())]->id(), what);
    return;
  }
  const EndpointId anybody{random.below(state_->endpoints_made + 1)};
  for (SimFabric* fabric : state_->host(host).fabrics) {
    if (state_->find(anybody) == nullptr) {
      fabric->raise(engine::EndpointEvent{anybody, what});
    }
  }
}

void World::inject(EndpointId endpoint, const What& what) {
  if (SimEndpoint* found = state_->find(endpoint); found != nullptr) {
    found->raise(what);
  }
}

void World::fail_allocation(HostId host, std::uint32_t in) {
  state_->host(host).fail_allocation_in = in;
}

LiveObjects World::live(HostId host) const {
  return state_->host(host).live;
}
HighWater World::high_water(HostId host) const {
  return state_->host(host).high_water;
}

bool World::exposed(HostId host, const void* memory, std::size_t length) const {
  const auto start = reinterpret_cast<std::uint64_t>(memory);
  const auto overlaps = [start, length](std::uint64_t address, std::uint64_t size) {
    return address < start + length && start < address + size;
  };
  for (const auto& device : state_->devices) {
    if (device->host != host || device->removed) {
      continue;
    }
    for (const auto& [index, region] : device->regions) {
      if (region->live && engine::allows(region->access, engine::Access::kRemoteWrite) &&
          overlaps(region->address, region->length)) {
        return true;
      }
    }
    for (const auto& [index, window] : device->windows) {
      SimEndpoint* endpoint = state_->find(window->endpoint);
      if (window->bound && overlaps(window->address, window->length) && endpoint != nullptr &&
          endpoint->queue_pair() != nullptr && !endpoint->queue_pair()->failed()) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace rdmaboot::sim
