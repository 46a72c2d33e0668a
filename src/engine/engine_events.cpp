// SPDX-License-Identifier: BSD-2-Clause
// What happens to connections and to the device, and how they end: first flush, then free.

#include <algorithm>
#include <cerrno>

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

namespace {

struct EventOf {
  ConnectionEvent operator()(const event::AddressResolved&) const {
    return ConnectionEvent::kAddressResolved;
  }
  ConnectionEvent operator()(const event::RouteResolved&) const {
    return ConnectionEvent::kRouteResolved;
  }
  ConnectionEvent operator()(const event::Established&) const {
    return ConnectionEvent::kEstablished;
  }
  ConnectionEvent operator()(const event::Rejected&) const { return ConnectionEvent::kRejected; }
  ConnectionEvent operator()(const event::ConnectFailed&) const {
    return ConnectionEvent::kConnectFailed;
  }
  ConnectionEvent operator()(const event::Disconnected&) const {
    return ConnectionEvent::kDisconnected;
  }
  ConnectionEvent operator()(const event::CommunicationEstablished&) const {
    return ConnectionEvent::kCommunicationEstablished;
  }
  ConnectionEvent operator()(const event::QueuePairFailed&) const {
    return ConnectionEvent::kQueuePairFailed;
  }
  ConnectionEvent operator()(const event::DeviceRemoval&) const {
    return ConnectionEvent::kDeviceRemoval;
  }
  ConnectionEvent operator()(const event::AddressChanged&) const {
    return ConnectionEvent::kAddressChanged;
  }
  ConnectionEvent operator()(const event::CompletionsReady&) const {
    return ConnectionEvent::kCompletionsReady;
  }
};

/// What befalls the transfers of a connection that ended for this reason.
TransferStatus status_of(CloseReason reason, bool stopping) {
  if (stopping) {
    return TransferStatus::kStopped;
  }
  switch (reason) {
    case CloseReason::kAsked:
      return TransferStatus::kClosed;
    case CloseReason::kDeviceRemoved:
    case CloseReason::kPortDown:
      return TransferStatus::kNoDevice;
    default:
      return TransferStatus::kConnectionLost;
  }
}

/// The way to the peer may be another one afterwards.
bool calls_for_probation(CloseReason reason) {
  return reason == CloseReason::kDeviceRemoved || reason == CloseReason::kPortDown ||
         reason == CloseReason::kAddressChanged;
}

}  // namespace

void Engine::Impl::handle(EndpointEvent& event) {
  const auto entry = by_endpoint_.find(static_cast<std::uint64_t>(event.endpoint));
  if (entry == by_endpoint_.end()) {
    return;  // too late: nobody
  }
  Connection& c = *entry->second;
  const ConnectionEvent what = std::visit(EventOf{}, event.what);
  std::string detail;
  if (const auto* failed = std::get_if<event::ConnectFailed>(&event.what)) {
    detail = core::Error{"connect", to_string(c.peer->nid), failed->error_number, {}}.message();
    if (failed->error_number == ECONNRESET) {
      // iWARP: the peer's host is there, but it closed TCP before it answered.
      c.after_refusal = AfterRefusal::kRetryLater;
    }
  }
  apply(c, what, CloseReason::kNone, std::move(detail), &event);
}

void Engine::Impl::apply(Connection& c, ConnectionEvent event, CloseReason reason,
                         std::string detail, const EndpointEvent* cause) {
  const ConnectionState from = c.state;
  const ConnectionStep next = step(from, event);
  const bool ends = next.next != from && next.next >= ConnectionState::kDraining;
  if (ends && c.reason == CloseReason::kNone) {
    c.reason = reason != CloseReason::kNone ? reason : reason_of(from, event);
    c.detail = std::move(detail);
  }
  c.state = next.next;
  if (from == ConnectionState::kAccepting && c.state != from && c.on_the_way) {
    c.on_the_way = false;
    --half_open_;
  }
  switch (next.action) {
    case ConnectionAction::kIgnore:
      break;
    case ConnectionAction::kResolveRoute:
      resolve_route(c);
      break;
    case ConnectionAction::kConnect:
      request_connection(c);
      break;
    case ConnectionAction::kOpen:
      if (c.active) {
        judge_reply(c, std::get<event::Established>(cause->what).private_data);
      } else {
        ++statistics_.accepts_established;
        opened(c);
      }
      break;
    case ConnectionAction::kNotify:
      (void)c.endpoint->notify_established();
      break;
    case ConnectionAction::kPoll:
      c.armed = false;
      want_poll(c);
      break;
    case ConnectionAction::kRefused: {
      const Verdict verdict =
          judge_refusal(std::get<event::Rejected>(cause->what), c.attempt, settings_.versions);
      c.reason = verdict.reason;
      c.detail = verdict.detail;
      c.after_refusal = verdict.what;
      if (verdict.what == AfterRefusal::kRetry) {
        c.peer->wish = verdict.next;
      }
      dead_.push_back(&c);
      break;
    }
    case ConnectionAction::kTearDown:
      tear_down(c);
      break;
    case ConnectionAction::kDestroy:
      dead_.push_back(&c);
      break;
  }
}

void Engine::Impl::fail(Connection& c, CloseReason reason, std::string detail) {
  apply(c, ConnectionEvent::kBroken, reason, std::move(detail));
}

void Engine::Impl::protocol_error(Connection& c, const wire::DecodeError& error) {
  ++statistics_.protocol_errors;
  fail(c, CloseReason::kProtocol, wire::to_string(error));
}

// First phase: nothing is posted any more, what was posted comes back.
void Engine::Impl::tear_down(Connection& c) {
  arrange(c.timer, TimerKind::kConnection, &c, now_ + settings_.drain_timeout);
  to_send_.remove(c);
  c.to_be_sent = false;
  (void)c.endpoint->disconnect();
  (void)c.endpoint->flush();
  c.armed = false;
  want_poll(c);
}

void Engine::Impl::drain_if_done(Connection& c) {
  if (c.state == ConnectionState::kDraining && c.receives_posted == 0 && c.posted.empty()) {
    apply(c, ConnectionEvent::kDrained);
  }
}

// Second phase: the endpoint first, then what its queue pair could write to, then completions.
void Engine::Impl::bury(Connection& c) {
  Peer& peer = *c.peer;
  deadlines_.cancel(c.timer);
  to_poll_.remove(c);
  to_send_.remove(c);
  by_endpoint_.erase(static_cast<std::uint64_t>(c.endpoint->id()));
  c.endpoint.reset();

  for (const MessageBuffer& buffer : c.receives) {
    c.memory->give_buffer(buffer);
  }
  for (auto* queue : {&c.requests, &c.paying, &c.answers, &c.writing, &c.posted}) {
    while (Outgoing* message = queue->pop_front()) {
      discard(c, *message);
    }
  }
  while (Exchange* x = c.exchanges.front()) {
    x->sends = 0;
    x->posted = 0;
    if (!x->ended) {
      x->ended = true;
      x->status = status_of(c.reason, stopping_);
    }
    finish(*x);
  }
  note_closed(c);

  const CloseReason reason = c.reason;
  const AfterRefusal after =
      calls_for_probation(reason) ? AfterRefusal::kRetryLater : c.after_refusal;
  const bool attempt = c.active && !c.ledger;
  --connections_;
  std::erase_if(peer.connections, [&](const auto& entry) { return entry.get() == &c; });
  if (attempt && !stopping_) {
    attempt_failed(peer, after, reason);
  }
  pump(peer);
}

void Engine::Impl::note_closed(Connection& c) {
  Peer& peer = *c.peer;
  ++statistics_.connections_closed;
  peer.last_reason = c.reason;
  peer.last_detail = c.detail;
  peer.on_probation = peer.on_probation || calls_for_probation(c.reason);
  tell(EngineEventKind::kConnectionClosed, peer.nid, c.reason, c.detail);
}

bool Engine::Impl::bury_all() {
  const bool any = !dead_.empty();
  while (!dead_.empty()) {
    Connection* c = dead_.back();
    dead_.pop_back();
    bury(*c);
  }
  return any;
}

// ---- The device (section 13) -------------------------------------------------------------------

void Engine::Impl::handle(const DeviceEvent& event) {
  switch (event.kind) {
    case DeviceEvent::Kind::kPortActive:
      if (!port_up_) {
        port_up_ = true;
        // The index of the port's GID may be another one since: bind and listen anew.
        last_failover_ = Duration::min();
        arrange(device_timer_, TimerKind::kDevice, nullptr, now_);
        memory_.reset();
      }
      break;
    case DeviceEvent::Kind::kPortError:
      if (!memory_) {
        break;  // late: of a device that is gone
      }
      port_up_ = false;
      lose_device(CloseReason::kPortDown);
      break;
    case DeviceEvent::Kind::kGidChange:
      lose_device(CloseReason::kAddressChanged);
      memory_.reset();
      arrange(device_timer_, TimerKind::kDevice, nullptr, now_);
      break;
    case DeviceEvent::Kind::kFatal:
    case DeviceEvent::Kind::kRemoval:
      lose_device(CloseReason::kDeviceRemoved);
      fabric_.stop_listening();
      memory_.reset();
      port_up_ = true;  // whatever comes next has a port of its own
      arrange(device_timer_, TimerKind::kDevice, nullptr, now_ + std::chrono::seconds(1));
      break;
    case DeviceEvent::Kind::kAddressChange:
      if (settings_.failover != Failover::kOff) {
        arrange(device_timer_, TimerKind::kDevice, nullptr, now_);
      }
      break;
  }
}

void Engine::Impl::lose_device(CloseReason reason) {
  for (const auto& [nid, peer] : peers_) {
    peer->on_probation = peer->on_probation || !peer->connections.empty();
    for (const auto& c : peer->connections) {
      fail(*c, reason, {});
    }
  }
  tell(EngineEventKind::kDeviceDown, Nid::any(), reason, device_name());
}

/// Listener first, otherwise the address would be in use; then the device, then its memory.
core::Result<void> Engine::Impl::find_device() {
  const std::uint16_t port = settings_.listen_anywhere ? 0 : settings_.port;
  auto device = fabric_.listen({settings_.nid.ipv4(), port}, settings_.backlog);
  if (!device) {
    ++device_failures_;
    // Without a listener nobody tells what becomes of the port.
    last_device_.clear();
    return tl::unexpected(device.error());
  }
  auto memory = std::make_shared<DeviceMemory>(std::move(*device), settings_, budget_, statistics_);
  for (const std::span<std::byte> range : user_memory_) {
    // A range that cannot be had here is copied or registered for each transfer.
    (void)memory->add_region(range);
  }
  memory_ = std::move(memory);
  device_failures_ = 0;
  if (memory_->device().name() != last_device_) {
    last_device_ = memory_->device().name();
    port_up_ = true;  // until that device says otherwise
  }
  return {};
}

void Engine::Impl::sweep_device() {
  const Duration retry = std::chrono::seconds(std::clamp(device_failures_, 1U, 10U));
  if (memory_) {
    const auto name = fabric_.device_of({settings_.nid.ipv4(), settings_.port});
    const bool moved =
        settings_.failover != Failover::kOff && (!name || *name != memory_->device().name());
    if (!moved || (last_failover_ != Duration::min() && now_ - last_failover_ < kFailoverPause)) {
      arrange(device_timer_, TimerKind::kDevice, nullptr,
              now_ + (moved ? kFailoverPause : settings_.failover_sweep));
      return;
    }
    lose_device(CloseReason::kAddressChanged);
    memory_.reset();
  }
  if (!find_device()) {
    arrange(device_timer_, TimerKind::kDevice, nullptr, now_ + retry);
    return;
  }
  last_failover_ = now_;
  ++statistics_.failovers;
  tell(EngineEventKind::kFailedOver, Nid::any(), CloseReason::kNone, device_name());
  arrange(device_timer_, TimerKind::kDevice, nullptr, now_ + settings_.failover_sweep);
  for (const auto& [nid, peer] : peers_) {
    peer->failures = 0;
    deadlines_.cancel(peer->timer);
    pump(*peer);
  }
}

}  // namespace rdmaboot::engine
