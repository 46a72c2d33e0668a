// SPDX-License-Identifier: BSD-2-Clause
// Peers: when to connect, what waits for it, who comes back.

#include <algorithm>

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

namespace {

TransferStatus status_of_failed_connect(CloseReason reason) {
  switch (reason) {
    case CloseReason::kRejected:
    case CloseReason::kNobodyListens:
    case CloseReason::kProtocol:
      return TransferStatus::kRefused;
    case CloseReason::kLocalResources:
      return TransferStatus::kNoMemory;
    case CloseReason::kAsked:
      return TransferStatus::kClosed;
    case CloseReason::kConnectTimeout:
      return TransferStatus::kTimedOutWaiting;
    case CloseReason::kDeviceRemoved:
    case CloseReason::kPortDown:
      return TransferStatus::kNoDevice;
    default:
      return TransferStatus::kUnreachable;
  }
}

}  // namespace

Peer* Engine::Impl::find_peer(Nid nid) {
  const auto entry = peers_.find(nid.value);
  return entry == peers_.end() ? nullptr : entry->second.get();
}

Peer* Engine::Impl::make_peer(Nid nid) {
  if (Peer* known = find_peer(nid)) {
    return known;
  }
  if (peers_.size() >= settings_.max_peers) {
    forget_idle_peer();
  }
  if (peers_.size() >= settings_.max_peers) {
    return nullptr;
  }
  auto peer = std::make_unique<Peer>();
  peer->nid = nid;
  const bool old = settings_.versions == Versions::kOnly1;
  peer->wish.version = old ? wire::Version::k1 : wire::Version::k2;
  peer->wish.queue_depth = old ? wire::kVersion1Depth : settings_.peer_credits;
  peer->wish.max_fragments = settings_.max_fragments;
  return peers_.emplace(nid.value, std::move(peer)).first->second.get();
}

void Engine::Impl::forget_idle_peer() {
  const auto idle = std::find_if(peers_.begin(), peers_.end(), [](const auto& entry) {
    return entry.second->connections.empty() && entry.second->transfers == 0;
  });
  if (idle != peers_.end()) {
    deadlines_.cancel(idle->second->timer);
    peers_.erase(idle);
  }
}

void Engine::Impl::want_connection(Peer& peer) {
  if (stopping_ || !memory_ || !port_up_ || peer.waiting.empty() || peer.timer.set()) {
    return;
  }
  // A connection that closes is waited for: the new one starts when the old queue pair is gone.
  if (!peer.connections.empty()) {
    return;
  }
  for (unsigned i = 0; i < settings_.connections_per_peer; ++i) {
    connect(peer);
  }
}

Connection* Engine::Impl::pick(Peer& peer) {
  const std::size_t count = peer.connections.size();
  for (std::size_t i = 0; i < count; ++i) {
    Connection& c = *peer.connections[(peer.round_robin + i) % count];
    if (c.has_room()) {
      peer.round_robin = (peer.round_robin + i + 1) % count;
      return &c;
    }
  }
  return nullptr;
}

void Engine::Impl::pump(Peer& peer) {
  if (peer.on_probation && !stopping_ && peer.count(ConnectionState::kEstablished) > 0) {
    start_probe(peer);
  }
  while (Transfer* t = peer.waiting.front()) {
    if (peer.on_probation && !t->probe) {
      break;
    }
    Connection* c = pick(peer);
    if (c == nullptr) {
      break;
    }
    const Issued issued = issue(*c, *t);
    if (issued == Issued::kNotNow) {
      break;
    }
    if (issued == Issued::kYes && (t->all_cut || t->slices >= settings_.pipeline)) {
      peer.waiting.remove(*t);
      if (t->deadline == Duration{0}) {
        deadlines_.cancel(t->timer);
      }
    }
  }
  want_connection(peer);
}

void Engine::Impl::attempt_failed(Peer& peer, AfterRefusal after, CloseReason reason) {
  ++statistics_.connects_failed;
  if (after == AfterRefusal::kRetry && ++peer.quick_retries <= kQuickRetries) {
    return;  // bury() asks for the next attempt, once this one is gone
  }
  ++peer.failures;
  arrange(peer.timer, TimerKind::kPeer, &peer, now_ + back_off(peer.failures, settings_, jitter_));
  const bool others =
      std::any_of(peer.connections.begin(), peer.connections.end(),
                  [](const auto& c) { return c->state <= ConnectionState::kEstablished; });
  if (after == AfterRefusal::kGiveUp && !others) {
    fail_waiting(peer, status_of_failed_connect(reason));
  }
}

void Engine::Impl::fail_waiting(Peer& peer, TransferStatus status) {
  while (Transfer* t = peer.waiting.pop_front()) {
    fail_transfer(*t, status);
  }
}

// ---- Admitting a peer again
// ----------------------------------------------------------------------

void Engine::Impl::start_probe(Peer& peer) {
  if (peer.probe != 0) {
    return;
  }
  Transfer* t = &transfers_.take();
  t->kind = TransferKind::kPing;
  t->peer = &peer;
  t->match_bits = wire::kPingMatchBits;  // in portal 0, LNet's own
  t->probe = true;
  t->started = now_;
  t->deadline = now_ + std::min(kProbeTimeout, settings_.timeout);
  peer.probe = t->handle;
  ++peer.transfers;
  arrange(t->timer, TimerKind::kTransfer, t, t->deadline);
  peer.waiting.push_front(*t);
}

void Engine::Impl::probe_ended(Peer& peer, bool answered) {
  peer.probe = 0;
  if (answered) {
    peer.on_probation = false;
    return;
  }
  for (const auto& c : peer.connections) {
    if (c->established()) {
      fail(*c, CloseReason::kTransferTimeout, "no answer to the ping that would admit it again");
    }
  }
  ++peer.failures;
  arrange(peer.timer, TimerKind::kPeer, &peer, now_ + back_off(peer.failures, settings_, jitter_));
}

}  // namespace rdmaboot::engine
