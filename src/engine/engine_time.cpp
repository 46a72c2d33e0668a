// SPDX-License-Identifier: BSD-2-Clause
// Deadlines: of a connection's stage, of an attempt, of a transfer, of an exchange (section 9).

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

void Engine::Impl::arrange(Timer& timer, TimerKind kind, void* owner, Duration due) {
  timer.kind = static_cast<std::uint8_t>(kind);
  timer.owner = owner;
  deadlines_.set(timer, due);
}

bool Engine::Impl::run_timers() {
  bool any = false;
  while (Timer* timer = deadlines_.take_due(now_)) {
    any = true;
    switch (static_cast<TimerKind>(timer->kind)) {
      case TimerKind::kConnection:
        expired(*static_cast<Connection*>(timer->owner));
        break;
      case TimerKind::kPeer:
        expired(*static_cast<Peer*>(timer->owner));
        break;
      case TimerKind::kTransfer:
        expired(*static_cast<Transfer*>(timer->owner));
        break;
      case TimerKind::kExchange:
        expired(*static_cast<Exchange*>(timer->owner));
        break;
      case TimerKind::kAge:
        if (memory_) {
          memory_->age(now_);
        }
        arrange(age_timer_, TimerKind::kAge, nullptr, now_ + settings_.pool_age);
        break;
      case TimerKind::kDevice:
        sweep_device();
        break;
    }
  }
  return any;
}

// The keepalive of an established connection, or its first look at what came; otherwise the stage
// took too long.
void Engine::Impl::expired(Connection& c) {
  if (!c.established()) {
    apply(c, ConnectionEvent::kTimedOut);
    return;
  }
  if (c.first_look) {
    c.first_look = false;
    if (c.waits_for_first_message()) {
      // It failed on the peer's side, most likely, and nothing that is sent would show it.
      fail(c, CloseReason::kConnectTimeout, "who asked for the connection says nothing");
      return;
    }
    c.nudge = c.messages_received == 0;
    want_send(c);
    if (settings_.keepalive > Duration{0}) {
      arrange(c.timer, TimerKind::kConnection, &c, now_ + settings_.keepalive);
    }
    return;
  }
  const Duration due = c.last_sent + settings_.keepalive;
  if (due <= now_) {
    want_send(c);
    arrange(c.timer, TimerKind::kConnection, &c, now_ + settings_.keepalive);
  } else {
    arrange(c.timer, TimerKind::kConnection, &c, due);
  }
}

void Engine::Impl::expired(Peer& peer) {
  want_connection(peer);
}

// Of a transfer as a whole: it waits, or its user set a deadline of its own.
void Engine::Impl::expired(Transfer& t) {
  ++statistics_.transfers_timed_out;
  if (t.slices == 0) {
    const bool connected = t.peer->count(ConnectionState::kEstablished) > 0;
    t.peer->waiting.remove(t);
    fail_transfer(t,
                  connected ? TransferStatus::kTimedOutQueued : TransferStatus::kTimedOutWaiting);
    return;
  }
  t.peer->waiting.remove(t);
  Peer& peer = *t.peer;
  for (const auto& c : peer.connections) {
    for (Exchange* x = c->exchanges.front(); x != nullptr;) {
      Exchange* next = decltype(c->exchanges)::next(*x);
      if (x->transfer == &t) {
        const bool last = t.slices == 1;
        expired(*x);
        if (last) {
          return;
        }
      }
      x = next;
    }
  }
}

// Only the end of the queue pair makes sure that the peer, or the adapter, has stopped, so one that
// could still be written or read takes its connection with it. LNet's own answers (REPLY, ACK) have
// no such power: the peer may be mute, or nothing matched.
void Engine::Impl::expired(Exchange& x) {
  Connection& c = *x.connection;
  const bool harmless = x.sends == 0 && !x.lease.remote && x.waits_for_answer &&
                        (x.role == ExchangeRole::kPutImmediate ||
                         x.role == ExchangeRole::kGetImmediate || x.writes_done);
  TransferStatus status = TransferStatus::kTimedOutAnswer;
  if (x.sends > x.posted) {
    status = TransferStatus::kTimedOutQueued;
  } else if (x.sends > 0) {
    status = TransferStatus::kTimedOutSending;
  }
  if (harmless) {
    end(x, status, 0);
    return;
  }
  if (!x.ended) {
    x.ended = true;
    x.waits_for_answer = false;
    x.status = status;
  }
  fail(c, CloseReason::kTransferTimeout, std::string(to_string(status)));
}

}  // namespace rdmaboot::engine
