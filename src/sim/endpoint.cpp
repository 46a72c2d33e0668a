// SPDX-License-Identifier: BSD-2-Clause
#include "sim/endpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sim/fabric.hpp"

namespace rdmaboot::sim {

using core::Microseconds;
using engine::ConnectParameters;
using engine::EndpointId;
using engine::PrivateData;
using engine::SocketAddress;

namespace {

constexpr Microseconds kResolveDelay{200};  // neighbour and path lookup, at most, when they answer
// InfiniBand's reject reasons, as rdma_cm passes them on.
constexpr int kReasonTimeout = 4;
constexpr int kReasonInvalidId = 6;
constexpr int kReasonConsumer = 28;

}  // namespace

PrivateData padded(std::span<const std::byte> data, std::uint8_t length) {
  PrivateData padded;
  std::copy(data.begin(), data.end(), padded.bytes.begin());
  padded.length = length;
  return padded;
}

SimEndpoint::SimEndpoint(WorldState& world, SimFabric& fabric, HostId host)
    : world_(world),
      fabric_(fabric),
      id_(EndpointId{++world.endpoints_made}),
      host_(host),
      life_(world.host(host).life) {
  world_.endpoints.emplace(id_, this);
  ++world_.host(host_).live.endpoints;
}

SimEndpoint::SimEndpoint(WorldState& world, SimFabric& fabric, std::shared_ptr<SimDevice> device,
                         const CmRequest& request)
    : SimEndpoint(world, fabric, device->state()->host) {
  state_ = State::kRequested;
  passive_ = true;
  device_ = std::move(device);
  local_ = request.destination;
  remote_ = request.source;
  peer_ = request.active;
}

SimEndpoint::~SimEndpoint() {
  queue_pair_.reset();
  if (alive()) {
    say_goodbye();
  }
  world_.endpoints.erase(id_);
  --world_.host(host_).live.endpoints;
}

bool SimEndpoint::alive() const {
  const HostState& host = world_.host(host_);
  return host.alive && host.life == life_;
}

bool SimEndpoint::path_open() const {
  if (!alive() || !device_ || !device_->works()) {
    return false;
  }
  const DeviceState& device = *device_->state();
  return device.port_up && device.gid_generation == gid_generation_ &&
         world_.device_with(local_.ipv4).get() == &device;
}

void SimEndpoint::raise(const decltype(engine::EndpointEvent::what)& what) {
  if (!alive()) {
    return;
  }
  fabric_.raise(engine::EndpointEvent{id_, what});
  if (world_.random.chance(world_.model.repeated_events)) {
    world_.schedule.after(world_.random.between(Microseconds(0), world_.model.long_delay),
                          [&world = world_, id = id_, what] {
                            if (SimEndpoint* self = world.find(id); self != nullptr) {
                              self->fabric_.raise(engine::EndpointEvent{id, what});
                            }
                          });
  }
}

void SimEndpoint::data_arrived() {
  if (state_ == State::kAccepted && !told_communication_) {
    told_communication_ = true;
    raise(engine::event::CommunicationEstablished{});
  }
}

tl::unexpected<core::Error> SimEndpoint::refuse(std::string_view attempt, int error) const {
  return core::fail(attempt, world_.host(host_).name, alive() ? error : EIO);
}

void SimEndpoint::fail_connect(int error_number) {
  state_ = State::kOver;
  raise(engine::event::ConnectFailed{error_number});
}

// ---- Resolving
// -----------------------------------------------------------------------------------

core::Result<void> SimEndpoint::resolve_address(SocketAddress source, SocketAddress destination,
                                                Microseconds timeout) {
  if (state_ != State::kIdle || !alive()) {
    return refuse("resolve an address from", EINVAL);
  }
  if (source.port != 0 && world_.random.chance(world_.model.address_in_use)) {
    return refuse("bind a source port of", EADDRINUSE);
  }
  const auto device = world_.device_with(source.ipv4);
  if (!device || device->host != host_) {
    return refuse("resolve an address from", EADDRNOTAVAIL);
  }
  if (device->removed) {
    return refuse("resolve an address from", ENODEV);
  }
  state_ = State::kResolvingAddress;
  local_ = source;
  remote_ = destination;
  // Whoever was reached lately is still known to the neighbour table.
  const bool known = world_.reachable(destination.ipv4) ||
                     (world_.device_with(destination.ipv4) && world_.random.below(2) == 0);
  const Microseconds delay =
      known ? world_.random.between(Microseconds(1), kResolveDelay) : timeout;
  world_.schedule.after(delay, [&world = world_, id = id_, known] {
    if (SimEndpoint* self = world.find(id); self != nullptr) {
      self->resolved(known);
    }
  });
  return {};
}

void SimEndpoint::resolved(bool reachable) {
  if (!alive() || state_ == State::kOver) {
    return;
  }
  const auto device = world_.device_with(local_.ipv4);
  if (!reachable || !device || device->host != host_ || device->removed) {
    fail_connect(reachable ? ENODEV : (world_.random.below(2) == 0 ? ETIMEDOUT : EHOSTUNREACH));
    return;
  }
  state_ = State::kAddressResolved;
  device_ = fabric_.open(device);
  raise(engine::event::AddressResolved{});
}

core::Result<void> SimEndpoint::resolve_route(Microseconds /*timeout*/) {
  if (state_ != State::kAddressResolved || !alive()) {
    return refuse("resolve a route from", EINVAL);
  }
  state_ = State::kResolvingRoute;
  const Microseconds delay = world_.random.between(Microseconds(1), kResolveDelay);
  world_.schedule.after(delay, [&world = world_, id = id_] {
    SimEndpoint* self = world.find(id);
    if (self != nullptr && self->alive() && self->state_ == State::kResolvingRoute) {
      self->state_ = State::kRouteResolved;
      self->raise(engine::event::RouteResolved{});
    }
  });
  return {};
}

core::Result<std::uint32_t> SimEndpoint::create_queue_pair(const engine::QueueLimits& limits) {
  if (!device_ || queue_pair_) {
    return refuse("create a queue pair on", EINVAL);
  }
  if (!device_->works()) {
    return refuse("create a queue pair on", EIO);
  }
  const engine::DeviceLimits& most = device_->limits();
  if (limits.send_requests == 0 || limits.receive_requests == 0 || limits.segments == 0 ||
      limits.send_requests > most.max_queue_pair_requests ||
      limits.receive_requests > most.max_queue_pair_requests ||
      limits.completions > most.max_completions || limits.segments > most.max_segments) {
    return refuse("create a queue pair on", EINVAL);
  }
  if (world_.out_of_memory(world_.host(host_))) {
    return refuse("create a queue pair on", ENOMEM);
  }
  const std::uint32_t inline_bytes = std::min(limits.inline_bytes, most.max_inline);
  queue_pair_ = std::make_unique<QueuePair>(world_, *this, device_->state(), limits, inline_bytes);
  return inline_bytes;
}

// ---- Work
// ----------------------------------------------------------------------------------------

core::Result<void> SimEndpoint::post(std::span<const engine::SendRequest> chain) {
  if (!queue_pair_ || !device_->works()) {
    return refuse("post to a queue pair of", queue_pair_ ? EIO : EINVAL);
  }
  if (passive_ && device_->limits().requester_speaks_first && !queue_pair_->heard()) {
    world_.fault(host_, id_, Fault::kSpokeFirst);
  }
  return queue_pair_->post(chain);
}

core::Result<void> SimEndpoint::post(std::span<const engine::ReceiveRequest> chain) {
  if (!queue_pair_ || !device_->works()) {
    return refuse("post to a queue pair of", queue_pair_ ? EIO : EINVAL);
  }
  return queue_pair_->post(chain);
}

unsigned SimEndpoint::poll(std::span<engine::Completion> completions) {
  return queue_pair_ ? queue_pair_->poll(completions) : 0;
}

core::Result<void> SimEndpoint::arm() {
  if (!queue_pair_ || !device_->works()) {
    return refuse("arm a completion queue of", queue_pair_ ? EIO : EINVAL);
  }
  queue_pair_->arm();
  return {};
}

core::Result<void> SimEndpoint::flush() {
  if (!queue_pair_) {
    return refuse("flush a queue pair of", EINVAL);
  }
  queue_pair_->fail();
  return {};
}

// ---- Connecting
// ----------------------------------------------------------------------------------

void SimEndpoint::try_again_later(State in_state, void (SimEndpoint::*send)()) {
  world_.schedule.after(
      world_.model.cm_timeout, [&world = world_, id = id_, in_state, send, life = life_] {
        SimEndpoint* self = world.find(id);
        if (self == nullptr || !self->alive() || self->life_ != life || self->state_ != in_state) {
          return;
        }
        if (self->tries_++ < world.model.cm_retries) {
          (self->*send)();
          return;
        }
        if (in_state == State::kDisconnecting) {
          self->arrive_disconnected();
        } else {
          self->fail_connect(ETIMEDOUT);
        }
      });
}

core::Result<void> SimEndpoint::connect(const ConnectParameters& parameters) {
  if (state_ != State::kRouteResolved || !queue_pair_ || !alive() ||
      parameters.private_data.size() > kRequestBytes) {
    return refuse("connect from", EINVAL);
  }
  state_ = State::kConnecting;
  private_data_ = padded(parameters.private_data, kRequestBytes);
  parameters_ = parameters;
  parameters_.private_data = {};
  gid_generation_ = device_->state()->gid_generation;
  tries_ = 0;
  send_request();
  return {};
}

void SimEndpoint::send_request() {
  if (path_open()) {
    cm_send(world_, [&world = world_, request = CmRequest{id_, local_, remote_, private_data_}] {
      arrive_request(world, request);
    });
  }
  try_again_later(State::kConnecting, &SimEndpoint::send_request);
}

core::Result<void> SimEndpoint::accept(const ConnectParameters& parameters) {
  if (state_ != State::kRequested || !queue_pair_ || !alive() || !device_->works() ||
      parameters.private_data.size() > kReplyBytes) {
    return refuse("accept a connection on", EINVAL);
  }
  state_ = State::kAccepted;
  private_data_ = padded(parameters.private_data, kReplyBytes);
  gid_generation_ = device_->state()->gid_generation;
  queue_pair_->connect(peer_, parameters);
  tries_ = 0;
  send_reply();
  return {};
}

void SimEndpoint::send_reply() {
  if (path_open()) {
    cm_send(world_,
            [&world = world_, to = peer_, from = id_, data = private_data_, host = remote_.ipv4] {
              if (!world.reachable(host)) {
                return;
              }
              SimEndpoint* peer = world.find(to);
              if (peer != nullptr && peer->alive()) {
                peer->arrive_reply(from, data);
                return;
              }
              if (SimEndpoint* self = world.find(from); self != nullptr) {
                self->arrive_reject({kReasonInvalidId, padded({}, kRejectBytes)});
              }
            });
  }
  try_again_later(State::kAccepted, &SimEndpoint::send_reply);
}

core::Result<void> SimEndpoint::reject(std::span<const std::byte> private_data) {
  if (state_ != State::kRequested || private_data.size() > kRejectBytes) {
    return refuse("reject a connection on", EINVAL);
  }
  state_ = State::kOver;
  const engine::event::Rejected answer{kReasonConsumer, padded(private_data, kRejectBytes)};
  world_.answers[peer_].reject = answer;
  if (alive()) {
    cm_send(world_, [&world = world_, to = peer_, answer] {
      if (SimEndpoint* peer = world.find(to); peer != nullptr) {
        peer->arrive_reject(answer);
      }
    });
  }
  return {};
}

core::Result<void> SimEndpoint::notify_established() {
  if (!alive()) {
    return refuse("notify", EIO);
  }
  arrive_ready_to_use();
  return {};
}

core::Result<void> SimEndpoint::disconnect() {
  if (queue_pair_) {
    queue_pair_->fail();
  }
  if (alive() && state_ == State::kDisconnected) {
    return {};
  }
  if (!alive() || (state_ != State::kConnected && state_ != State::kAccepted)) {
    return refuse("disconnect", EINVAL);
  }
  state_ = State::kDisconnecting;
  tries_ = 0;
  send_disconnect();
  return {};
}

void SimEndpoint::send_disconnect() {
  if (path_open()) {
    cm_send(world_, [&world = world_, to = peer_, from = id_, host = remote_.ipv4] {
      if (!world.reachable(host)) {
        return;
      }
      SimEndpoint* peer = world.find(to);
      if (peer != nullptr && peer->path_open()) {
        peer->arrive_disconnect();
      }
      // The answer, also for an id that is not there any more.
      cm_send(world, [&world, from] {
        if (SimEndpoint* self = world.find(from); self != nullptr) {
          self->arrive_disconnected();
        }
      });
    });
  }
  try_again_later(State::kDisconnecting, &SimEndpoint::send_disconnect);
}

/// What the kernel tells the other side when an id is destroyed.
void SimEndpoint::say_goodbye() {
  const EndpointId to = peer_;
  switch (state_) {
    case State::kRequested:
      static_cast<void>(reject({}));
      return;
    case State::kConnecting: {
      const auto answer = world_.answers.find(id_);
      if (answer != world_.answers.end()) {
        cm_send(world_, [&world = world_, passive = answer->second.passive] {
          if (SimEndpoint* peer = world.find(passive); peer != nullptr) {
            peer->arrive_reject({kReasonTimeout, padded({}, kRejectBytes)});
          }
        });
      }
      return;
    }
    case State::kAccepted:
    case State::kConnected:
      if (path_open()) {
        cm_send(world_, [&world = world_, to] {
          if (SimEndpoint* peer = world.find(to); peer != nullptr && peer->path_open()) {
            peer->arrive_disconnect();
          }
        });
      }
      return;
    default:
      return;
  }
}

// ---- What the other side sends
// -------------------------------------------------------------------

void cm_send(WorldState& world, const Schedule::Action& arrive) {
  NetworkModel& model = world.model;
  const unsigned copies = world.random.chance(model.cm_duplicates) ? 2 : 1;
  for (unsigned i = 0; i < copies; ++i) {
    if (world.random.chance(model.cm_loss)) {
      continue;
    }
    Microseconds delay = world.travel_time();
    if (i != 0 || world.random.chance(model.cm_delayed)) {
      delay += world.random.between(Microseconds(0), model.long_delay);
    }
    world.schedule.after(delay, arrive);
  }
}

namespace {

void answer_reject(WorldState& world, EndpointId to, const engine::event::Rejected& reject) {
  cm_send(world, [&world, to, reject] {
    if (SimEndpoint* peer = world.find(to); peer != nullptr) {
      peer->arrive_reject(reject);
    }
  });
}

/// The listener for the request; null if there is none, and then what is answered.
SimFabric* find_listener(WorldState& world, const SocketAddress& destination,
                         const DeviceState& device, engine::event::Rejected& otherwise) {
  constexpr int kReasonNobodyListens = 8;
  otherwise = {kReasonNobodyListens, padded({}, kRejectBytes)};
  for (SimFabric* fabric : world.host(device.host).fabrics) {
    if (fabric->alive() && fabric->listens(destination, device.id)) {
      return fabric;
    }
    if (fabric->alive() && fabric->listens_beside(destination.port, device.id)) {
      // The service is known, its address is not: rdma_cm's own reject, without a word.
      otherwise.reason = kReasonConsumer;
    }
  }
  return nullptr;
}

}  // namespace

void arrive_request(WorldState& world, const CmRequest& request) {
  constexpr int kReasonStale = 10;
  if (!world.reachable(request.destination.ipv4)) {
    return;
  }
  if (const auto known = world.answers.find(request.active); known != world.answers.end()) {
    // Once more: the answer is repeated by whoever gave it.
    if (known->second.reject) {
      answer_reject(world, request.active, *known->second.reject);
    }
    return;
  }
  const auto device = world.device_with(request.destination.ipv4);
  engine::event::Rejected otherwise;
  SimFabric* listener = find_listener(world, request.destination, *device, otherwise);
  if (listener != nullptr && world.random.chance(world.model.odd_rejects)) {
    otherwise.reason = world.random.below(2) == 0 ? kReasonStale : kReasonConsumer;
    listener = nullptr;
  }
  if (listener == nullptr) {
    answer_reject(world, request.active, otherwise);
    return;
  }
  listener->arrive(request);
}

void SimEndpoint::arrive_reply(EndpointId passive, const PrivateData& data) {
  if (state_ == State::kConnecting && queue_pair_ && path_open()) {
    state_ = State::kConnected;
    peer_ = passive;
    queue_pair_->connect(passive, parameters_);
    raise(engine::event::Established{data});
  }
  const bool mine = state_ == State::kConnected && peer_ == passive;
  cm_send(world_, [&world = world_, passive, mine] {
    SimEndpoint* peer = world.find(passive);
    if (peer == nullptr || !peer->alive()) {
      return;
    }
    if (mine) {
      peer->arrive_ready_to_use();
    } else {
      peer->arrive_reject({kReasonInvalidId, padded({}, kRejectBytes)});
    }
  });
}

void SimEndpoint::arrive_reject(const engine::event::Rejected& reject) {
  if (!alive() ||
      (state_ != State::kConnecting && state_ != State::kAccepted && state_ != State::kRequested)) {
    return;
  }
  state_ = State::kOver;
  raise(reject);
}

void SimEndpoint::arrive_ready_to_use() {
  if (alive() && state_ == State::kAccepted) {
    state_ = State::kConnected;
    raise(engine::event::Established{});
  }
}

void SimEndpoint::arrive_disconnect() {
  if (alive() && (state_ == State::kConnected || state_ == State::kAccepted ||
                  state_ == State::kDisconnecting)) {
    state_ = State::kDisconnected;
    raise(engine::event::Disconnected{});
  }
}

void SimEndpoint::arrive_disconnected() {
  if (alive() && state_ == State::kDisconnecting) {
    state_ = State::kDisconnected;
    raise(engine::event::Disconnected{});
  }
}

}  // namespace rdmaboot::sim
