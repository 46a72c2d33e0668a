// SPDX-License-Identifier: BSD-2-Clause
// Transfers of this side: cut into slices, sent, and completed exactly once, after everything that
// could still touch their memory is over.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/engine_impl.hpp"
#include "engine/wire_ping.hpp"

namespace rdmaboot::engine {

tl::expected<Transfer*, TransferStatus> Engine::Impl::new_transfer(
    Nid nid, std::span<const iovec> fragments) {
  const std::uint64_t total = total_bytes(fragments);
  if (stopping_) {
    return tl::unexpected(TransferStatus::kStopped);
  }
  if (nid.type() != Nid::kTypeO2ib || nid.value >> 32 != settings_.nid.value >> 32 ||
      nid == settings_.nid) {
    return tl::unexpected(TransferStatus::kInvalid);
  }
  if (!is_allowed(nid, settings_.allowed)) {
    return tl::unexpected(TransferStatus::kNotAllowed);
  }
  if (total > kMaxTransferBytes) {
    return tl::unexpected(TransferStatus::kTooLarge);
  }
  Peer* peer = make_peer(nid);
  if (peer == nullptr) {
    return tl::unexpected(TransferStatus::kNoMemory);
  }
  Transfer* t = transfers_.take(settings_.max_transfers);
  if (t == nullptr) {
    return tl::unexpected(TransferStatus::kTooManyTransfers);
  }
  t->peer = peer;
  t->fragments = fragments;
  t->total = total;
  t->started = now_;
  return t;
}

tl::expected<TransferId, TransferStatus> Engine::Impl::begin(Nid, Transfer& t, Duration deadline) {
  const TransferId id{t.handle};
  Peer& peer = *t.peer;
  ++peer.transfers;
  if (deadline > Duration{0}) {
    t.deadline = now_ + deadline;
    arrange(t.timer, TimerKind::kTransfer, &t, t.deadline);
  } else {
    restart_wait_timer(t);
  }
  peer.waiting.push_back(t);
  pump(peer);
  leave();
  return id;
}

tl::expected<TransferId, TransferStatus> Engine::Impl::put(Nid nid, std::span<const iovec> source,
                                                           const PutOptions& options,
                                                           WhenDone done) {
  enter();
  const auto t = new_transfer(nid, source);
  if (!t) {
    return tl::unexpected(t.error());
  }
  (*t)->kind = TransferKind::kPut;
  (*t)->portal = options.portal;
  (*t)->match_bits = options.match_bits;
  (*t)->offset = options.offset;
  (*t)->header_data = options.header_data;
  (*t)->acknowledged = options.acknowledged;
  (*t)->done = done;
  return begin(nid, **t, options.deadline);
}

tl::expected<TransferId, TransferStatus> Engine::Impl::get(Nid nid, std::span<const iovec> sink,
                                                           const GetOptions& options,
                                                           WhenDone done) {
  enter();
  const auto t = new_transfer(nid, sink);
  if (!t) {
    return tl::unexpected(t.error());
  }
  (*t)->kind = TransferKind::kGet;
  (*t)->portal = options.portal;
  (*t)->match_bits = options.match_bits;
  (*t)->offset = options.offset;
  (*t)->done = done;
  return begin(nid, **t, options.deadline);
}

tl::expected<TransferId, TransferStatus> Engine::Impl::ping(Nid nid, WhenPinged done,
                                                            Duration deadline) {
  enter();
  const auto t = new_transfer(nid, {});
  if (!t) {
    return tl::unexpected(t.error());
  }
  (*t)->kind = TransferKind::kPing;
  (*t)->portal = wire::kReservedPortal;
  (*t)->match_bits = wire::kPingMatchBits;
  (*t)->pinged = done;
  return begin(nid, **t, deadline > Duration{0} ? deadline : settings_.timeout);
}

// ---- Slices ------------------------------------------------------------------------------------

Exchange* Engine::Impl::make_exchange(Connection& c, ExchangeRole role, Transfer* transfer) {
  Exchange* x = &exchanges_.take();
  x->role = role;
  x->transfer = transfer;
  c.asked += transfer == nullptr ? 1U : 0U;
  x->connection = &c;
  c.exchanges.push_back(*x);
  arrange(x->timer, TimerKind::kExchange, x, now_ + settings_.timeout);
  return x;
}

wire::Handle Engine::Impl::handle_of(const Exchange& x) const {
  wire::Handle handle;
  std::memcpy(handle.bytes.data(), &settings_.incarnation, sizeof settings_.incarnation);
  std::memcpy(handle.bytes.data() + sizeof settings_.incarnation, &x.handle, sizeof x.handle);
  return handle;
}

Exchange* Engine::Impl::find_by_handle(const Connection& c, const wire::Handle& handle) {
  std::uint64_t incarnation = 0;
  std::uint64_t object = 0;
  std::memcpy(&incarnation, handle.bytes.data(), sizeof incarnation);
  std::memcpy(&object, handle.bytes.data() + sizeof incarnation, sizeof object);
  Exchange* x = incarnation == settings_.incarnation ? exchanges_.find(object) : nullptr;
  // LNet may answer over another connection to the same peer.
  return x != nullptr && x->connection->peer == c.peer && x->transfer != nullptr ? x : nullptr;
}

Engine::Impl::Issued Engine::Impl::issue(Connection& c, Transfer& t) {
  const Cursor before = t.cursor;
  const Slice slice = t.kind == TransferKind::kPing
                          ? Slice{}
                          : cut(t.fragments, t.cursor, kMaxSliceBytes, kMaxTransferFragments);
  Lease lease;
  if (slice.length > wire::kMaxImmediatePayload) {
    auto leased = t.kind == TransferKind::kPut
                      ? c.memory->lease_source(slice, kMaxTransferFragments)
                      : c.memory->lease_sink(slice);
    if (!leased) {
      t.cursor = before;
      const int error = leased.error().error_number;
      if (error == ENOMEM && c.memory->leases() > 0) {
        return Issued::kNotNow;  // until another transfer gives its buffer back
      }
      c.peer->waiting.remove(t);
      fail_transfer(t, error == ENOMEM ? TransferStatus::kNoMemory : TransferStatus::kMemoryFailed,
                    error);
      return Issued::kFailed;
    }
    lease = std::move(*leased);
  }
  const bool small = slice.length <= wire::kMaxImmediatePayload;
  ExchangeRole role = small ? ExchangeRole::kGetImmediate : ExchangeRole::kGetSink;
  if (t.kind == TransferKind::kPut) {
    role = small ? ExchangeRole::kPutImmediate : ExchangeRole::kPutSource;
  }
  Exchange* x = make_exchange(c, role, &t);
  x->slice = slice;
  x->offset = t.cut_bytes;
  x->lease = std::move(lease);
  if (x->lease.window) {
    x->lease.remote_key = x->lease.window->next_key();
  }
  Outgoing* message = first_message(c, t, *x);
  if (message == nullptr) {
    t.cursor = before;
    (void)c.memory->give_back(x->lease, now_);
    deadlines_.cancel(x->timer);
    c.exchanges.remove(*x);
    exchanges_.give(*x);
    c.peer->waiting.remove(t);
    fail_transfer(t, TransferStatus::kNoMemory, ENOMEM);
    return Issued::kFailed;
  }
  t.cut_bytes += slice.length;
  t.all_cut = t.cut_bytes == t.total;
  ++t.slices;
  queue(c, *message);
  return Issued::kYes;
}

Outgoing* Engine::Impl::first_message(Connection& c, Transfer& t, Exchange& x) {
  wire::LnetHeader lnet;
  lnet.destination = t.peer->nid;
  lnet.source = settings_.nid;
  const auto offset = static_cast<std::uint32_t>(t.offset + x.offset);
  const auto length = static_cast<std::uint32_t>(x.slice.length);
  if (t.kind == TransferKind::kPut) {
    lnet.payload_length = length;
    lnet.command = wire::LnetPut{t.acknowledged ? handle_of(x) : wire::Handle::none(), t.match_bits,
                                 t.header_data, t.portal, offset};
  } else {
    lnet.command = wire::LnetGet{handle_of(x), t.match_bits, t.portal, offset,
                                 t.kind == TransferKind::kPing ? wire::kPingRoom : length};
  }
  switch (x.role) {
    case ExchangeRole::kPutImmediate: {
      x.waits_for_answer = t.acknowledged;
      statistics_.immediate_bytes += x.slice.length;
      return make_message(c, &x, wire::Immediate{lnet, {}}, &x.slice);
    }
    case ExchangeRole::kGetImmediate:
      x.waits_for_answer = true;
      return make_message(c, &x, wire::Immediate{lnet, {}});
    case ExchangeRole::kPutSource:
      x.waits_for_answer = true;
      return make_message(c, &x, wire::PutRequest{lnet, wire::Cookie{x.handle}});
    default:
      break;
  }
  x.waits_for_answer = true;
  const wire::Fragment fragment{reinterpret_cast<std::uint64_t>(x.lease.range.iov_base), length};
  Outgoing* message = make_message(
      c, &x,
      wire::GetRequest{lnet,
                       wire::Cookie{x.handle},
                       {x.lease.remote_key, std::span<const wire::Fragment>(&fragment, 1)}});
  if (message != nullptr && x.lease.window) {
    message->binds = true;
    ++message->requests;
  }
  return message;
}

// ---- Ends --------------------------------------------------------------------------------------

void Engine::Impl::end(Exchange& x, TransferStatus status, std::uint64_t bytes, int error_number) {
  if (!x.ended) {
    x.ended = true;
    x.waits_for_answer = false;
    x.status = status;
    x.bytes = bytes;
    x.error_number = error_number;
  }
  settle(x);
}

void Engine::Impl::settle(Exchange& x) {
  if (!x.ended || x.sends > 0) {
    return;
  }
  if (x.lease.window && x.lease.key_lives) {
    if (!x.killing_key && x.connection->established()) {
      queue_invalidate(*x.connection, x);
    }
    return;  // the invalidate, or the queue pair's end, leads to finish()
  }
  finish(x);
}

void Engine::Impl::finish(Exchange& x) {
  Connection& c = *x.connection;
  deadlines_.cancel(x.timer);
  const bool sink = x.role == ExchangeRole::kGetSink || x.role == ExchangeRole::kPutSink;
  if (sink && x.lease.kind == LeaseKind::kBounce && x.status == TransferStatus::kOk) {
    scatter({static_cast<const std::byte*>(x.lease.range.iov_base), x.bytes}, x.slice);
  }
  if (const auto returned = c.memory->give_back(x.lease, now_); !returned) {
    x.error_number = returned.error().error_number;
  }
  if (x.ack_wanted && x.role == ExchangeRole::kPutSink && x.status == TransferStatus::kOk &&
      c.established()) {
    acknowledge(c, x.ack_handle, x.match_bits, static_cast<std::uint32_t>(x.bytes));
  }
  c.exchanges.remove(x);
  Transfer* t = x.transfer;
  c.asked -= t == nullptr ? 1U : 0U;
  Peer& peer = *c.peer;
  if (Exposure* exposure = exposures_.find(x.exposure)) {
    used(*exposure, x);
  }
  if (t != nullptr) {
    slice_ended(*t, x);
  }
  exchanges_.give(x);
  if (t != nullptr && t->slices == 0 && (t->all_cut || t->status != TransferStatus::kOk)) {
    complete(*t);
  }
  if (!peer.waiting.empty()) {
    pump(peer);
  }
}

void Engine::Impl::slice_ended(Transfer& t, const Exchange& x) {
  --t.slices;
  TransferStatus status = x.status;
  if (status == TransferStatus::kOk && x.bytes < x.slice.length && t.kind != TransferKind::kPing) {
    status = TransferStatus::kTruncated;
  }
  if (status != TransferStatus::kOk) {
    t.reached = std::min(t.reached, x.offset + x.bytes);
    if (t.status == TransferStatus::kOk) {
      t.status = status;
      t.error_number = x.error_number;
    }
    t.peer->waiting.remove(t);
    return;
  }
  const bool closed = stopping_ || x.connection->reason == CloseReason::kAsked;
  if (!t.all_cut && t.status == TransferStatus::kOk && closed) {
    // What waited for this peer was failed before its connections were; this joins it.
    t.peer->waiting.remove(t);
    t.status = stopping_ ? TransferStatus::kStopped : TransferStatus::kClosed;
    t.reached = std::min(t.reached, t.cut_bytes);
    return;
  }
  if (!t.all_cut && t.status == TransferStatus::kOk && !decltype(t.peer->waiting)::contains(t)) {
    t.peer->waiting.push_back(t);
    if (t.deadline == Duration{0}) {
      restart_wait_timer(t);
    }
  }
}

void Engine::Impl::fail_transfer(Transfer& t, TransferStatus status, int error_number) {
  if (t.status == TransferStatus::kOk) {
    t.status = status;
    t.error_number = error_number;
    t.reached = std::min(t.reached, t.cut_bytes);
  }
  if (t.slices == 0) {
    complete(t);
  }
}

void Engine::Impl::complete(Transfer& t) {
  Peer& peer = *t.peer;
  peer.waiting.remove(t);
  deadlines_.cancel(t.timer);
  TransferResult result;
  result.id = TransferId{t.handle};
  result.status = t.status;
  result.error_number = t.error_number;
  result.bytes =
      t.status == TransferStatus::kOk ? t.total : std::min({t.reached, t.cut_bytes, t.total});
  result.peer = peer.nid;
  const bool ok = t.status == TransferStatus::kOk;
  --peer.transfers;
  if (t.probe) {
    probe_ended(peer, ok);
  } else {
    ++(ok ? statistics_.transfers_completed : statistics_.transfers_failed);
    if (t.kind == TransferKind::kPing) {
      result.context = t.pinged.context;
      // A ping that was answered was delivered with its answer.
      if (!ok || !t.delivered) {
        deliveries_.push_back(PingDelivery{t.pinged, result, {}});
      }
    } else {
      result.context = t.done.context;
      deliveries_.push_back(TransferDelivery{t.done, result});
    }
  }
  transfers_.give(t);
}

void Engine::Impl::restart_wait_timer(Transfer& t) {
  const bool connected = t.peer->count(ConnectionState::kEstablished) > 0;
  const Duration patience =
      connected ? settings_.timeout : connect_timeout(settings_) + settings_.wait_margin;
  arrange(t.timer, TimerKind::kTransfer, &t, now_ + patience);
}

}  // namespace rdmaboot::engine
