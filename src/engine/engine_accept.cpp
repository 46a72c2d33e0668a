// SPDX-License-Identifier: BSD-2-Clause
// Passive connection establishment: judge the request, create CQ and QP, post the receives, accept.

#include <algorithm>

#include "engine/engine_impl.hpp"
#include "engine/wire_connect.hpp"

namespace rdmaboot::engine {

void Engine::Impl::refuse(Endpoint& endpoint, const wire::Reject& reject, Nid who,
                          const std::string& detail) {
  ++statistics_.requests_refused;
  const auto record = wire::encode_reject(reject);
  // The requester may be gone already; there is nothing to be done about it then.
  (void)endpoint.reject(record);
  tell(EngineEventKind::kRequestRefused, who, CloseReason::kRejected,
       std::string(wire::to_string(reject.why)) + (detail.empty() ? "" : ": " + detail));
}

bool Engine::Impl::close_stale(Peer& peer, std::uint64_t incarnation) {
  bool any = false;
  for (const auto& c : peer.connections) {
    const std::uint64_t known = c->attempt.peer_incarnation;
    if (c->established() && c->ledger && known != incarnation) {
      any = true;
      fail(*c, CloseReason::kStalePeer, "the peer restarted");
    }
  }
  return any;
}

void Engine::Impl::requested(ConnectRequested request) {
  Endpoint& endpoint = *request.endpoint;
  wire::AcceptorIdentity self;
  self.nids = {&settings_.nid, 1};
  self.ready = port_up_ && memory_ != nullptr;
  self.incarnation = settings_.incarnation;
  self.limits = {settings_.peer_credits, settings_.max_fragments, wire::kMessageBytes};
  self.require_privileged_port = settings_.require_privileged_port;

  const SocketAddress from = endpoint.peer_address();
  auto checked = wire::check_connect_request(request.private_data.view(), from.port, self);
  if (!checked && checked.error().cause.field == wire::Field::kMaxFrags &&
      checked.error().reject.version == static_cast<std::uint16_t>(wire::Version::k1)) {
    // Version 1 has no way to agree on fewer: it gets as many as there can be.
    self.limits.max_fragments = wire::kMaxFragments;
    checked = wire::check_connect_request(request.private_data.view(), from.port, self);
  }
  if (!checked) {
    refuse(endpoint, checked.error().reject, Nid::o2ib(from.ipv4),
           wire::to_string(checked.error().cause));
    return;
  }
  const wire::Header& header = checked->header;
  const Nid nid = header.source;
  const auto refuse_for = [&](wire::RejectReason why, const std::string& detail) {
    refuse(endpoint, wire::refuse(self, header.version, why), nid, detail);
  };

  // Whom I admit
  if (settings_.check_source_address && nid.ipv4() != from.ipv4) {
    refuse_for(
        wire::RejectReason::kFatal,
        wire::to_string(wire::DecodeError{wire::Field::kSourceAddress, from.ipv4, nid.ipv4()}));
    return;
  }
  if (!is_allowed(nid, settings_.allowed)) {
    refuse_for(wire::RejectReason::kFatal, "not on the allow-list");
    return;
  }
  if (settings_.versions == Versions::kOnly2 && header.version != wire::Version::k2) {
    refuse_for(wire::RejectReason::kFatal, "version 1 is not spoken here");
    return;
  }
  if (stopping_ || !self.ready) {
    refuse_for(wire::RejectReason::kEarly, "no device, or its port is down");
    return;
  }
  Peer* peer = make_peer(nid);
  if (peer == nullptr || connections_ >= settings_.max_connections ||
      half_open_ >= settings_.max_half_open ||
      peer->connections.size() >= settings_.max_connections_of_a_peer ||
      peer->count(ConnectionState::kAccepting) >= settings_.max_half_open_of_a_peer) {
    refuse_for(wire::RejectReason::kNoResources, "too many connections or requests");
    return;
  }

  // Stale peers and races (section 10)
  if (close_stale(*peer, header.source_stamp)) {
    peer->wish.peer_incarnation = header.source_stamp;
    refuse_for(wire::RejectReason::kStale, "the peer restarted");
    return;
  }
  if (peer->connecting() > 0 &&
      refuses_race(settings_.nid, nid, settings_.tie_break, peer->race_refusals)) {
    ++peer->race_refusals;
    ++statistics_.races_refused;
    refuse_for(wire::RejectReason::kRace, "my own request is on the way");
    return;
  }
  peer->race_refusals = 0;
  peer->wish.peer_incarnation = header.source_stamp;

  if (endpoint.device().get() != &memory_->device()) {
    refuse_for(wire::RejectReason::kNoResources, "on another device");
    return;
  }
  Connection& c = add_connection(*peer, std::move(request.endpoint), false);
  c.attempt.version = header.version;
  c.attempt.queue_depth = checked->asked.queue_depth;
  c.attempt.max_fragments = checked->asked.max_fragments;
  c.attempt.peer_incarnation = header.source_stamp;
  c.state = ConnectionState::kAccepting;
  c.on_the_way = true;
  ++half_open_;

  auto made = make_queue_pair(c);
  if (made) {
    made = post_all_receives(c);
  }
  if (!made) {
    refuse(*c.endpoint, wire::refuse(self, header.version, wire::RejectReason::kNoResources), nid,
           made.error().message());
    fail(c, CloseReason::kLocalResources, made.error().message());
    return;
  }
  const PrivateData reply = connect_message(
      c, wire::ConnectReply{{c.attempt.queue_depth, c.attempt.max_fragments, wire::kMessageBytes}});
  made = c.endpoint->accept(
      {reply.view(), settings_.retry_count, settings_.receiver_not_ready_retries});
  if (!made) {
    fail(c, CloseReason::kConnectFailed, made.error().message());
    return;
  }
  // The peer's own connection is here: mine need not be tried again for now.
  deadlines_.cancel(peer->timer);
  arrange(c.timer, TimerKind::kConnection, &c, now_ + connect_timeout(settings_));
}

}  // namespace rdmaboot::engine
