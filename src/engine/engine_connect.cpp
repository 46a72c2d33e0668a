// SPDX-License-Identifier: BSD-2-Clause
// Active connection establishment: resolve the address, resolve the route, create CQ and QP,
// connect, judge the reply.

#include <algorithm>
#include <cerrno>

#include "engine/engine_impl.hpp"
#include "engine/wire_connect.hpp"

namespace rdmaboot::engine {

namespace {

// Source ports that a listener takes for a privileged process's (section 4.1). Each attempt begins
// one lower than the one before and starts over at the end of bindresvport()'s range: over iWARP
// this is a port of TCP, which keeps the pair of ports of a connection for a minute after its end.
constexpr std::uint16_t kHighestPrivilegedPort = 1023;
constexpr std::uint16_t kLowestFirstPort = 600;
// A queue pair of less than two receives for each direction is of no use (section 7).
constexpr std::uint16_t kLeastDepth = 2;

// siw sends the reply to a request before it listens to what comes after it: a first message that
// comes within these microseconds is looked at when the next one comes. So there is a next one.
constexpr Duration kNudgeAfter = std::chrono::milliseconds(200);

bool too_many_requests(const core::Error& error) {
  return error.error_number == ENOMEM || error.error_number == EINVAL;
}

bool port_taken(const core::Error& error) {
  return error.error_number == EADDRINUSE || error.error_number == EADDRNOTAVAIL;
}

}  // namespace

Connection& Engine::Impl::add_connection(Peer& peer, std::unique_ptr<Endpoint> endpoint,
                                         bool active) {
  auto c = std::make_unique<Connection>();
  c->id = next_connection_++;
  c->active = active;
  c->peer = &peer;
  c->memory = memory_;
  c->attempt = peer.wish;
  c->created = now_;
  c->last_sent = now_;
  c->endpoint = std::move(endpoint);
  by_endpoint_[static_cast<std::uint64_t>(c->endpoint->id())] = c.get();
  ++connections_;
  peer.connections.push_back(std::move(c));
  return *peer.connections.back();
}

// Step 1: resolve the address.
void Engine::Impl::connect(Peer& peer) {
  if (connections_ >= settings_.max_connections) {
    attempt_failed(peer, AfterRefusal::kGiveUp, CloseReason::kLocalResources);
    return;
  }
  auto endpoint = fabric_.create_endpoint();
  if (!endpoint) {
    attempt_failed(peer, AfterRefusal::kGiveUp, CloseReason::kLocalResources);
    return;
  }
  ++statistics_.connects_started;
  Connection& c = add_connection(peer, std::move(*endpoint), true);
  const SocketAddress destination{peer.nid.ipv4(), settings_.port};
  last_source_port_ =
      last_source_port_ > kLowestFirstPort ? last_source_port_ - 1 : kHighestPrivilegedPort;
  std::uint16_t port = settings_.use_privileged_port ? last_source_port_ : 0;
  auto begun = c.endpoint->resolve_address({settings_.nid.ipv4(), port}, destination,
                                           settings_.resolve_timeout);
  while (!begun && port > 1 && port_taken(begun.error())) {
    begun = c.endpoint->resolve_address({settings_.nid.ipv4(), --port}, destination,
                                        settings_.resolve_timeout);
  }
  c.state = ConnectionState::kResolvingAddress;
  if (!begun) {
    apply(c, ConnectionEvent::kConnectFailed, CloseReason::kAddressUnresolved,
          begun.error().message());
    return;
  }
  arrange(c.timer, TimerKind::kConnection, &c, now_ + settings_.resolve_timeout);
}

// Step 2: resolve the route.
void Engine::Impl::resolve_route(Connection& c) {
  if (c.endpoint->device().get() != &c.memory->device()) {
    // The address moved to another device under us (section 13).
    fail(c, CloseReason::kAddressChanged, "resolved on another device");
    arrange(device_timer_, TimerKind::kDevice, nullptr, now_);
    return;
  }
  const auto begun = c.endpoint->resolve_route(settings_.resolve_timeout);
  if (!begun) {
    fail(c, CloseReason::kRouteUnresolved, begun.error().message());
    return;
  }
  arrange(c.timer, TimerKind::kConnection, &c, now_ + settings_.resolve_timeout);
}

// Step 3: create the CQ and the QP, post all receives, connect.
void Engine::Impl::request_connection(Connection& c) {
  auto made = make_queue_pair(c);
  if (made) {
    // What could not be had is remembered for the next connection (LU-12901).
    c.peer->wish.queue_depth = std::min(c.peer->wish.queue_depth, c.attempt.queue_depth);
    made = post_all_receives(c);
  }
  if (made) {
    const PrivateData request =
        connect_message(c, wire::ConnectRequest{{c.attempt.queue_depth, c.attempt.max_fragments,
                                                 wire::kMessageBytes}});
    made = c.endpoint->connect(
        {request.view(), settings_.retry_count, settings_.receiver_not_ready_retries});
  }
  if (!made) {
    if (port_taken(made.error())) {
      // iWARP binds the port only now; the next attempt has another one.
      c.after_refusal = AfterRefusal::kRetry;
    }
    fail(c, CloseReason::kLocalResources, made.error().message());
    return;
  }
  arrange(c.timer, TimerKind::kConnection, &c, now_ + connect_timeout(settings_));
}

core::Result<void> Engine::Impl::make_queue_pair(Connection& c) {
  const DeviceLimits& device = c.memory->device().limits();
  std::uint16_t& depth = c.attempt.queue_depth;
  if (device.max_queue_pair_requests > 0) {
    while (depth > kLeastDepth &&
           receives_of(c.attempt.version, depth) > device.max_queue_pair_requests) {
      --depth;
    }
  }
  for (;; --depth) {
    c.limits = queue_limits(depth, std::max(settings_.max_fragments, c.attempt.max_fragments),
                            c.attempt.version, settings_, device);
    c.limits.completion_vector = static_cast<std::uint32_t>(c.id);
    const auto inline_bytes = c.endpoint->create_queue_pair(c.limits);
    if (inline_bytes) {
      c.inline_bytes = *inline_bytes;
      return {};
    }
    if (!too_many_requests(inline_bytes.error()) || depth <= kLeastDepth ||
        c.attempt.version == wire::Version::k1) {
      return tl::unexpected(inline_bytes.error());
    }
  }
}

core::Result<void> Engine::Impl::post_all_receives(Connection& c) {
  const unsigned count = receives_of(c.attempt.version, c.attempt.queue_depth);
  c.receives.reserve(count);
  receive_chain_.clear();
  while (c.receives.size() < count) {
    const auto buffer = c.memory->take_buffer();
    if (!buffer) {
      return tl::unexpected(buffer.error());
    }
    receive_chain_.push_back(
        {c.receives.size(),
         {reinterpret_cast<std::uint64_t>(buffer->data),
          static_cast<std::uint32_t>(wire::kMessageBytes), buffer->local_key}});
    c.receives.push_back(*buffer);
  }
  auto posted = c.endpoint->post(std::span<const ReceiveRequest>(receive_chain_));
  if (posted) {
    c.receives_posted = count;
    posted = c.endpoint->arm();
    c.armed = true;
  }
  return posted;
}

PrivateData Engine::Impl::connect_message(const Connection& c, const wire::Body& body) const {
  PrivateData data;
  data.length = static_cast<std::uint8_t>(wire::encode(header_for(c), body, data.bytes));
  return data;
}

void Engine::Impl::judge_reply(Connection& c, const PrivateData& reply) {
  wire::ConnectorIdentity self;
  self.self = settings_.nid;
  self.peer = c.peer->nid;
  self.incarnation = settings_.incarnation;
  self.version = c.attempt.version;
  self.asked = {c.attempt.queue_depth, c.attempt.max_fragments, wire::kMessageBytes};
  const auto agreed = wire::check_connect_reply(reply.view(), self);
  if (!agreed) {
    protocol_error(c, agreed.error());
    return;
  }
  close_stale(*c.peer, agreed->peer_incarnation);
  c.attempt.peer_incarnation = agreed->peer_incarnation;
  // Only the ledger is lowered: the receives that are posted stay as many as they are (D4).
  c.attempt.queue_depth = agreed->parameters.queue_depth;
  c.attempt.max_fragments = agreed->parameters.max_fragments;
  c.peer->wish.peer_incarnation = agreed->peer_incarnation;
  ++statistics_.connects_established;
  opened(c);
}

void Engine::Impl::opened(Connection& c) {
  CreditTerms terms;
  terms.version = c.attempt.version;
  terms.depth = c.attempt.queue_depth;
  terms.configured_high_water = settings_.peer_credits_high_water;
  terms.configured_depth = settings_.peer_credits;
  terms.concurrent_sends = settings_.concurrent_sends;
  c.ledger.emplace(terms);
  c.last_sent = now_;
  Peer& peer = *c.peer;
  peer.failures = 0;
  peer.quick_retries = 0;
  peer.race_refusals = 0;
  deadlines_.cancel(peer.timer);
  deadlines_.cancel(c.timer);
  c.first_look = c.requester_speaks_first();
  if (c.first_look) {
    arrange(c.timer, TimerKind::kConnection, &c,
            now_ + (c.active ? kNudgeAfter : connect_timeout(settings_)));
  } else if (settings_.keepalive > Duration{0}) {
    arrange(c.timer, TimerKind::kConnection, &c, now_ + settings_.keepalive);
  }
  tell(EngineEventKind::kConnected, peer.nid, CloseReason::kNone, {});
  replay_early(c);
  want_poll(c);
  pump(peer);
  if (c.established() && c.owes_message()) {
    want_send(c);
  }
}

}  // namespace rdmaboot::engine
