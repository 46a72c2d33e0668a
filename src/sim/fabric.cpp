// SPDX-License-Identifier: BSD-2-Clause
#include "sim/fabric.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rdmaboot::sim {

using engine::Event;
using engine::SocketAddress;

namespace {

/// What a backlog of 0 means to rdma_cm's user side (its default max_backlog).
constexpr std::size_t kDefaultBacklog = 1024;

}  // namespace

SimFabric::SimFabric(WorldState& world, HostId host)
    : world_(world), host_(host), life_(world.host(host).life) {
  world_.host(host_).fabrics.push_back(this);
}

SimFabric::~SimFabric() {
  stop_listening();
  events_.clear();
  std::erase(world_.host(host_).fabrics, this);
  const bool outlived = std::any_of(devices_.begin(), devices_.end(),
                                    [](const auto& entry) { return !entry.second.expired(); });
  if (outlived) {
    world_.fault(host_, {}, Fault::kOutlivedFabric);
  }
}

bool SimFabric::alive() const {
  const HostState& host = world_.host(host_);
  return host.alive && host.life == life_;
}

void SimFabric::die() {
  listener_.reset();
  events_.clear();
}

core::Result<std::shared_ptr<DeviceState>> SimFabric::find_device(
    const SocketAddress& address) const {
  constexpr std::string_view kAttempt = "find the device of";
  if (!alive()) {
    return core::fail(kAttempt, world_.host(host_).name, EIO);
  }
  const auto device = world_.device_with(address.ipv4);
  if (!device || device->host != host_) {
    return core::fail(kAttempt, world_.host(host_).name, EADDRNOTAVAIL);
  }
  if (device->removed) {
    return core::fail(kAttempt, world_.host(host_).name, ENODEV);
  }
  return device;
}

core::Result<std::shared_ptr<engine::Device>> SimFabric::listen(SocketAddress address,
                                                                int backlog) {
  stop_listening();
  const auto device = find_device(address);
  if (!device) {
    return tl::make_unexpected(device.error());
  }
  for (const SimFabric* other : world_.host(host_).fabrics) {
    if (other->listener_ && other->listener_->address == address) {
      return core::fail("listen on", world_.host(host_).name, EADDRINUSE);
    }
  }
  if (world_.out_of_memory(world_.host(host_))) {
    return core::fail("listen on", world_.host(host_).name, ENOMEM);
  }
  auto opened = open(*device);
  listener_ =
      Listener{address, opened, backlog <= 0 ? kDefaultBacklog : static_cast<std::size_t>(backlog)};
  return opened;
}

void SimFabric::stop_listening() {
  listener_.reset();
  // Their end is a reject, which may raise events: not while the queue is being walked.
  std::deque<Event> kept;
  std::deque<Event> dropped;
  for (Event& event : events_) {
    auto& to = std::holds_alternative<engine::ConnectRequested>(event) ? dropped : kept;
    to.push_back(std::move(event));
  }
  events_ = std::move(kept);
  dropped.clear();
}

core::Result<std::string> SimFabric::device_of(SocketAddress address) {
  const auto device = find_device(address);
  if (!device) {
    return tl::make_unexpected(device.error());
  }
  return (*device)->model.name;
}

core::Result<std::unique_ptr<engine::Endpoint>> SimFabric::create_endpoint() {
  if (!alive()) {
    return core::fail("create an endpoint on", world_.host(host_).name, EIO);
  }
  if (world_.out_of_memory(world_.host(host_))) {
    return core::fail("create an endpoint on", world_.host(host_).name, ENOMEM);
  }
  return std::make_unique<SimEndpoint>(world_, *this, host_);
}

std::optional<Event> SimFabric::next_event() {
  while (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    const auto* mine = std::get_if<engine::EndpointEvent>(&event);
    if (mine == nullptr || world_.find(mine->endpoint) != nullptr ||
        world_.random.chance(world_.model.late_events)) {
      return event;
    }
  }
  return std::nullopt;
}

bool SimFabric::listens(const SocketAddress& address, DeviceId device) const {
  return listener_ && listener_->address == address && listener_->device->works() &&
         listener_->device->state()->id == device;
}

bool SimFabric::listens_beside(std::uint16_t port, DeviceId device) const {
  return listener_ && listener_->address.port == port && listener_->device->works() &&
         listener_->device->state()->id == device;
}

void SimFabric::arrive(const CmRequest& request) {
  const auto waiting = static_cast<std::size_t>(std::count_if(
      events_.begin(), events_.end(),
      [](const Event& event) { return std::holds_alternative<engine::ConnectRequested>(event); }));
  if (!listener_ || waiting >= listener_->backlog) {
    return;
  }
  auto endpoint = std::make_unique<SimEndpoint>(world_, *this, listener_->device, request);
  world_.answers[request.active] = {endpoint->id(), std::nullopt};
  events_.emplace_back(engine::ConnectRequested{std::move(endpoint), request.private_data});
}

void SimFabric::raise(Event event) {
  if (alive()) {
    events_.push_back(std::move(event));
  }
}

void SimFabric::raise(DeviceId device, engine::DeviceEvent::Kind kind) {
  if (listener_ && listener_->device->state()->id == device) {
    raise(engine::DeviceEvent{kind});
  }
}

std::shared_ptr<SimDevice> SimFabric::open(const std::shared_ptr<DeviceState>& device) {
  auto& known = devices_[device.get()];
  auto opened = known.lock();
  if (!opened) {
    opened = std::make_shared<SimDevice>(world_, device);
    known = opened;
  }
  return opened;
}

}  // namespace rdmaboot::sim
