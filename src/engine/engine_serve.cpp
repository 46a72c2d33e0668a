// SPDX-License-Identifier: BSD-2-Clause
// What peers ask of this side: exposed buffers, ping and push; and the answers to mine that come as
// LNet messages.

#include <algorithm>
#include <cerrno>

#include "engine/engine_impl.hpp"
#include "engine/wire_ping.hpp"

namespace rdmaboot::engine {

// ---- Exposed buffers ---------------------------------------------------------------------------

core::Result<ExposureId> Engine::Impl::expose(std::span<const iovec> buffer,
                                              const ExposeOptions& options) {
  enter();
  const std::uint64_t total = total_bytes(buffer);
  if (options.portal == wire::kReservedPortal || total > kMaxTransferBytes) {
    return core::fail("expose", "buffer", EINVAL, "a portal above 0 and at most 4 GiB");
  }
  const std::pair<std::uint32_t, std::uint64_t> key{options.portal, options.match_bits};
  if (matches_.contains(key)) {
    return core::fail("expose", "buffer", EEXIST, "match bits of its own in its portal");
  }
  Exposure* exposure = &exposures_.take();
  exposure->fragments.assign(buffer.begin(), buffer.end());
  exposure->total = total;
  exposure->options = options;
  matches_.emplace(key, exposure->handle);
  return ExposureId{exposure->handle};
}

bool Engine::Impl::withdraw(ExposureId id) {
  Exposure* exposure = exposures_.find(static_cast<std::uint64_t>(id));
  if (exposure == nullptr || exposure->withdrawn) {
    return false;
  }
  exposure->withdrawn = true;
  matches_.erase({exposure->options.portal, exposure->options.match_bits});
  withdraw_if_unused(*exposure);
  return true;
}

void Engine::Impl::withdraw_if_unused(Exposure& exposure) {
  if (exposure.withdrawn && exposure.users == 0) {
    tell(exposure, ExposureEvent::Kind::kWithdrawn, Nid::any(), 0, 0, 0, TransferStatus::kOk);
    exposures_.give(exposure);
  }
}

Exposure* Engine::Impl::match(Nid peer, std::uint32_t portal, std::uint64_t match_bits,
                              bool is_put) {
  const auto entry = matches_.find({portal, match_bits});
  if (entry == matches_.end()) {
    return nullptr;
  }
  Exposure* exposure = exposures_.find(entry->second);
  const bool open = exposure != nullptr &&
                    (is_put ? exposure->options.puts : exposure->options.gets) &&
                    (!exposure->options.only || *exposure->options.only == peer);
  return open ? exposure : nullptr;
}

void Engine::Impl::tell(const Exposure& exposure, ExposureEvent::Kind kind, Nid peer,
                        std::uint64_t offset, std::uint64_t bytes, std::uint64_t header_data,
                        TransferStatus status) {
  if (exposure.options.function == nullptr) {
    return;
  }
  ExposureEvent event;
  event.kind = kind;
  event.id = ExposureId{exposure.handle};
  event.peer = peer;
  event.offset = offset;
  event.bytes = bytes;
  event.header_data = header_data;
  event.status = status;
  event.context = exposure.options.context;
  deliveries_.push_back(ExposureDelivery{exposure.options.function, event});
}

void Engine::Impl::used(Exposure& exposure, const Exchange& x) {
  --exposure.users;
  ExposureEvent::Kind kind = ExposureEvent::Kind::kFailed;
  if (x.status == TransferStatus::kOk) {
    kind = x.role == ExchangeRole::kPutSink ? ExposureEvent::Kind::kPut : ExposureEvent::Kind::kGet;
  }
  tell(exposure, kind, x.connection->peer->nid, x.offset, x.bytes, x.header_data, x.status);
  withdraw_if_unused(exposure);
}

// ---- Answers -----------------------------------------------------------------------------------

void Engine::Impl::answer_now(Connection& c, const wire::Body& body) {
  Exchange* x = make_exchange(c, ExchangeRole::kAnswer);
  Outgoing* message = make_message(c, x, body);
  if (message == nullptr) {
    fail(c, CloseReason::kLocalResources, "no buffer for an answer");
    return;
  }
  queue(c, *message);
}

void Engine::Impl::reply_now(Connection& c, const wire::Handle& to, const Slice& payload) {
  wire::LnetHeader lnet;
  lnet.destination = c.peer->nid;
  lnet.source = settings_.nid;
  lnet.payload_length = static_cast<std::uint32_t>(payload.length);
  lnet.command = wire::LnetReply{to};
  Exchange* x = make_exchange(c, ExchangeRole::kAnswer);
  Outgoing* message = make_message(c, x, wire::Immediate{lnet, {}}, &payload);
  if (message == nullptr) {
    fail(c, CloseReason::kLocalResources, "no buffer for a reply");
    return;
  }
  statistics_.immediate_bytes += payload.length;
  queue(c, *message);
}

void Engine::Impl::acknowledge(Connection& c, const wire::Handle& to, std::uint64_t match_bits,
                               std::uint32_t length) {
  wire::LnetHeader lnet;
  lnet.destination = c.peer->nid;
  lnet.source = settings_.nid;
  lnet.command = wire::LnetAck{to, match_bits, length};
  answer_now(c, wire::Immediate{lnet, {}});
}

std::size_t Engine::Impl::ping_answer(std::span<std::byte> out) const {
  const std::array<wire::PingEntry, 2> entries = {
      wire::PingEntry{Nid::loopback(), 0, 0},
      wire::PingEntry{settings_.nid, port_up_ ? wire::kStatusUp : wire::kStatusDown, 0}};
  wire::PingInfo info;
  if (settings_.multi_rail_ping) {
    info.features |= wire::kFeatureMultiRail | wire::kFeatureDiscovery;
  }
  info.announced = 2;
  info.entries = wire::PingEntries(entries);
  return wire::encode_ping(info, out);
}

// ---- LNet messages in an IMMEDIATE -------------------------------------------------------------

void Engine::Impl::on_put(Connection& c, const wire::LnetHeader& lnet, const wire::LnetPut& put,
                          std::span<const std::byte> payload) {
  const bool wants_ack = put.ack != wire::Handle::none();
  if (put.portal == wire::kReservedPortal) {
    // A peer pushes what it is. Nothing here depends on it; it wants to know that it came.
    if (put.match_bits == wire::kPingMatchBits && wants_ack) {
      ++statistics_.pushes_acknowledged;
      acknowledge(c, put.ack, put.match_bits, lnet.payload_length);
    }
    return;
  }
  Exposure* exposure = match(c.peer->nid, put.portal, put.match_bits, true);
  const std::uint64_t room =
      exposure == nullptr || put.offset > exposure->total ? 0 : exposure->total - put.offset;
  if (exposure == nullptr || put.offset > exposure->total ||
      (payload.size() > room && !exposure->options.truncates)) {
    ++statistics_.messages_dropped;
    return;
  }
  const std::uint64_t bytes = std::min<std::uint64_t>(payload.size(), room);
  if (bytes > 0) {
    scatter(payload.first(bytes), slice_at(exposure->fragments, put.offset, bytes));
  }
  tell(*exposure, ExposureEvent::Kind::kPut, c.peer->nid, put.offset, bytes, put.header_data,
       TransferStatus::kOk);
  if (exposure->options.once) {
    withdraw(ExposureId{exposure->handle});
  }
  if (wants_ack) {
    acknowledge(c, put.ack, put.match_bits, static_cast<std::uint32_t>(bytes));
  }
}

void Engine::Impl::on_get(Connection& c, const wire::LnetHeader&, const wire::LnetGet& get) {
  if (get.portal == wire::kReservedPortal) {
    if (get.match_bits != wire::kPingMatchBits) {
      ++statistics_.messages_dropped;
      return;
    }
    const iovec whole{ping_bytes_.data(), ping_answer(ping_bytes_)};
    ++statistics_.pings_answered;
    reply_now(c, get.reply, slice_at({&whole, 1}, get.offset, get.length));
    return;
  }
  Exposure* exposure = match(c.peer->nid, get.portal, get.match_bits, false);
  if (exposure == nullptr || get.offset > exposure->total) {
    ++statistics_.messages_dropped;
    return;
  }
  const auto bytes = std::min<std::uint64_t>(
      {get.length, exposure->total - get.offset, std::uint64_t{wire::kMaxPayload}});
  const Slice source = slice_at(exposure->fragments, get.offset, bytes);
  if (bytes > wire::kMaxImmediatePayload) {
    reply_by_rdma(c, *exposure, get, source);
  } else {
    reply_now(c, get.reply, source);
    tell(*exposure, ExposureEvent::Kind::kGet, c.peer->nid, get.offset, bytes, 0,
         TransferStatus::kOk);
  }
  if (exposure->options.once) {
    withdraw(ExposureId{exposure->handle});
  }
}

// A reply that is too long for an IMMEDIATE travels as a PUT does: PUT_REQ, PUT_ACK, writes,
// PUT_DONE (section 5). A peer asks for so much with an IMMEDIATE if it takes this side for a
// router.
void Engine::Impl::reply_by_rdma(Connection& c, Exposure& exposure, const wire::LnetGet& get,
                                 const Slice& source) {
  auto lease = c.memory->lease_source(source, kMaxTransferFragments);
  if (!lease) {
    ++statistics_.messages_dropped;  // there is no message that could say so
    return;
  }
  Exchange* x = make_exchange(c, ExchangeRole::kPutSource);
  x->exposure = exposure.handle;
  x->slice = source;
  x->offset = get.offset;
  x->lease = std::move(*lease);
  x->waits_for_answer = true;
  ++exposure.users;
  wire::LnetHeader lnet;
  lnet.destination = c.peer->nid;
  lnet.source = settings_.nid;
  lnet.payload_length = static_cast<std::uint32_t>(source.length);
  lnet.command = wire::LnetReply{get.reply};
  Outgoing* message = make_message(c, x, wire::PutRequest{lnet, wire::Cookie{x->handle}});
  if (message == nullptr) {
    fail(c, CloseReason::kLocalResources, "no buffer for a reply");
    return;
  }
  queue(c, *message);
}

void Engine::Impl::on_reply(Connection& c, const wire::LnetReply& reply,
                            std::span<const std::byte> payload) {
  Exchange* x = find_by_handle(c, reply.destination);
  if (x == nullptr || x->role != ExchangeRole::kGetImmediate || !x->waits_for_answer) {
    ++statistics_.messages_dropped;  // too late, or made up
    return;
  }
  Transfer& t = *x->transfer;
  x->waits_for_answer = false;
  if (t.kind == TransferKind::kGet) {
    const std::uint64_t bytes = std::min<std::uint64_t>(payload.size(), x->slice.length);
    scatter(payload.first(bytes), x->slice);
    end(*x, TransferStatus::kOk, bytes);
    return;
  }
  const auto info = wire::decode_ping(payload);
  if (!info) {
    end(*x, TransferStatus::kPeerFailed, 0, EPROTO);
    return;
  }
  if (!t.probe) {
    PingDelivery delivery;
    delivery.pinged = t.pinged;
    delivery.result.id = TransferId{t.handle};
    delivery.result.bytes = payload.size();
    delivery.result.peer = t.peer->nid;
    delivery.result.context = t.pinged.context;
    delivery.reply.features = info->features;
    delivery.reply.announced = info->announced;
    delivery.reply.round_trip = now_ - t.started;
    for (std::size_t i = 1; i < info->entries.size(); ++i) {
      if (delivery.reply.count == PingReply::kMaxNids) {
        break;
      }
      const wire::PingEntry entry = info->entries[i];
      delivery.reply.nids[delivery.reply.count] = entry.nid;
      delivery.reply.up[delivery.reply.count++] = entry.status == wire::kStatusUp;
    }
    t.delivered = true;
    deliveries_.push_back(delivery);
  }
  end(*x, TransferStatus::kOk, payload.size());
}

void Engine::Impl::on_ack(Connection& c, const wire::LnetAck& ack) {
  Exchange* x = find_by_handle(c, ack.destination);
  // Before its PUT_DONE is on the way nothing of a PUT can have arrived.
  const bool expected =
      x != nullptr && x->transfer->acknowledged && !x->ended && !x->ack_received &&
      (x->role == ExchangeRole::kPutImmediate || !x->waits_for_answer || x->writes_done);
  if (!expected) {
    ++statistics_.messages_dropped;
    return;
  }
  const std::uint64_t bytes = std::min<std::uint64_t>(ack.length, x->slice.length);
  x->ack_received = true;
  end(*x, TransferStatus::kOk, bytes);
}

}  // namespace rdmaboot::engine
