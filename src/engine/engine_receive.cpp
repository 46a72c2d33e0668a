// SPDX-License-Identifier: BSD-2-Clause
// Completions and messages in: poll in batches, judge, post the buffer again, then answer.

#include <algorithm>
#include <cerrno>

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

namespace {

constexpr std::uint64_t kIdKind = ~std::uint64_t{UINT32_MAX};

/// LNet's -ENODATA, as it travels: nothing matched (section 3).
constexpr int kNoMatch = -61;

}  // namespace

void Engine::Impl::want_poll(Connection& c) {
  if (!c.polled) {
    c.polled = true;
    to_poll_.push_back(c);
  }
}

// Polls one connection for its turn. Leaves it in the list while it is not armed.
bool Engine::Impl::poll(Connection& c) {
  bool any = false;
  if (c.established() && !c.early.empty()) {
    replay_early(c);
    any = true;
  }
  bool rearmed = c.armed;
  for (unsigned batch = 0; batch < kBatchesOfTurn;) {
    const unsigned count = poll_batch(c);
    if (count > 0) {
      any = true;
      rearmed = false;
      c.hot_until = now_ + settings_.busy_poll;
    }
    if (count == kPollBatch) {
      ++batch;
      continue;
    }
    if (c.state == ConnectionState::kDraining) {
      drain_if_done(c);
    }
    if (c.state >= ConnectionState::kClosed) {
      to_poll_.remove(c);
      c.polled = false;
      return any;
    }
    if (rearmed) {
      // Armed, and empty since: the next completion becomes an event.
      to_poll_.remove(c);
      c.polled = false;
      return any;
    }
    if (c.established() && settings_.busy_poll > Duration{0} && now_ < c.hot_until) {
      return any;
    }
    if (!c.endpoint->arm()) {
      fail(c, CloseReason::kQueuePairFailed, "the completion queue cannot be armed");
    }
    c.armed = true;
    rearmed = true;
  }
  return any;
}

unsigned Engine::Impl::poll_batch(Connection& c) {
  std::array<Completion, kPollBatch> completions;
  const unsigned count = c.endpoint->poll(completions);
  for (const Completion& completion : std::span(completions).first(count)) {
    const auto index = static_cast<std::uint32_t>(completion.id);
    if ((completion.id & kIdKind) != 0) {
      send_completed(c, completion);
      continue;
    }
    if (index >= c.receives.size() || c.receives_posted == 0) {
      continue;
    }
    --c.receives_posted;
    if (completion.status != WorkStatus::kSuccess) {
      if (completion.status != WorkStatus::kFlushed || c.established()) {
        fail(c, CloseReason::kReceiveFailed, std::string(to_string(completion.status)));
      }
    } else if (c.established()) {
      take(c, index, completion.bytes);
    } else if (c.state == ConnectionState::kConnecting || c.state == ConnectionState::kAccepting) {
      c.early.push_back({index, completion.bytes});
      if (!c.active && !c.after_data) {
        // Data instead of an RTU: the connection stands.
        c.after_data = true;
        (void)c.endpoint->notify_established();
      }
    }
  }
  if (!taken_.empty()) {
    repost(c);
  }
  return count;
}

void Engine::Impl::replay_early(Connection& c) {
  while (c.established() && !c.early.empty()) {
    const std::vector<Connection::Early> early = std::exchange(c.early, {});
    for (const Connection::Early& message : early) {
      if (c.established()) {
        take(c, message.index, message.bytes);
      }
    }
    repost(c);
  }
}

void Engine::Impl::take(Connection& c, std::uint32_t index, std::uint32_t bytes) {
  ++c.messages_received;
  ++statistics_.messages_received;
  const MessageBuffer& buffer = c.receives[index];
  Taken taken;
  taken.index = index;
  const auto judged = receive(
      c, buffer.bytes().first(std::min<std::size_t>(bytes, wire::kMessageBytes)), taken.type);
  if (!judged) {
    protocol_error(c, judged.error());
    return;
  }
  if (c.asked > kMostAsked) {
    ++statistics_.protocol_errors;
    fail(c, CloseReason::kProtocol,
         "more than " + std::to_string(kMostAsked) + " requests without credits for the answers");
    return;
  }
  taken.put_acknowledged = *judged;
  taken_.push_back(taken);
}

// Buffers are posted again before their credits can travel, and before a PUT_ACK does.
void Engine::Impl::repost(Connection& c) {
  if (!c.established()) {
    taken_.clear();
    return;
  }
  receive_chain_.clear();
  for (const Taken& taken : taken_) {
    const MessageBuffer& buffer = c.receives[taken.index];
    receive_chain_.push_back({taken.index,
                              {reinterpret_cast<std::uint64_t>(buffer.data),
                               static_cast<std::uint32_t>(wire::kMessageBytes), buffer.local_key}});
  }
  const auto posted = c.endpoint->post(std::span<const ReceiveRequest>(receive_chain_));
  if (!posted) {
    taken_.clear();
    fail(c, CloseReason::kPostFailed, posted.error().message());
    return;
  }
  c.receives_posted += static_cast<std::uint32_t>(taken_.size());
  for (const Taken& taken : taken_) {
    c.ledger->reposted(taken.type, taken.put_acknowledged);
  }
  taken_.clear();
  want_send(c);
}

wire::Decoded<bool> Engine::Impl::receive(Connection& c, std::span<const std::byte> bytes,
                                          wire::Type& type) {
  const auto message = wire::decode(bytes);
  if (!message) {
    return tl::unexpected(message.error());
  }
  type = wire::type_of(message->body);
  if (const auto identity = check_identity(c, message->header); !identity) {
    return tl::unexpected(identity.error());
  }
  if (type == wire::Type::kConnectRequest || type == wire::Type::kConnectReply) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kType, static_cast<std::uint64_t>(type), 0});
  }
  if (const auto credits = c.ledger->received(type, message->header.credits); !credits) {
    return tl::unexpected(credits.error());
  }
  return std::visit(
      [&](const auto& body) -> wire::Decoded<bool> {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, wire::Noop> ||
                      std::is_base_of_v<wire::ConnectParameters, Body>) {
          return false;
        } else {
          return on(c, body);
        }
      },
      message->body);
}

wire::Decoded<void> Engine::Impl::check_identity(const Connection& c, const wire::Header& h) const {
  using wire::DecodeError;
  using wire::Field;
  if (h.source != c.peer->nid) {
    return tl::unexpected(DecodeError{Field::kSourceNid, h.source.value, c.peer->nid.value});
  }
  if (h.destination != settings_.nid) {
    return tl::unexpected(
        DecodeError{Field::kDestinationNid, h.destination.value, settings_.nid.value});
  }
  if (h.source_stamp != c.attempt.peer_incarnation) {
    return tl::unexpected(
        DecodeError{Field::kSourceStamp, h.source_stamp, c.attempt.peer_incarnation});
  }
  if (h.destination_stamp != settings_.incarnation) {
    return tl::unexpected(
        DecodeError{Field::kDestinationStamp, h.destination_stamp, settings_.incarnation});
  }
  if (h.version != c.attempt.version) {
    return tl::unexpected(DecodeError{Field::kVersion, static_cast<std::uint64_t>(h.version),
                                      static_cast<std::uint64_t>(c.attempt.version)});
  }
  return {};
}

wire::Decoded<bool> Engine::Impl::check_lnet(const Connection& c,
                                             const wire::LnetHeader& lnet) const {
  using wire::DecodeError;
  using wire::Field;
  const auto on_my_network = [&](Nid nid) { return nid.value >> 32 == settings_.nid.value >> 32; };
  if (lnet.destination != settings_.nid) {
    if (on_my_network(lnet.destination)) {
      return tl::unexpected(
          DecodeError{Field::kLnetDestinationNid, lnet.destination.value, settings_.nid.value});
    }
    return false;  // nothing is routed here
  }
  if (lnet.source != c.peer->nid) {
    if (on_my_network(lnet.source)) {
      return tl::unexpected(
          DecodeError{Field::kLnetSourceNid, lnet.source.value, c.peer->nid.value});
    }
    return false;
  }
  return true;
}

wire::Decoded<Exchange*> Engine::Impl::answered(const Connection& c, wire::Cookie cookie,
                                                ExchangeRole role) {
  Exchange* x = exchanges_.find(static_cast<std::uint64_t>(cookie));
  if (x == nullptr || x->connection != &c || x->role != role || !x->waits_for_answer ||
      x->writes_done) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kCookie, static_cast<std::uint64_t>(cookie), 0});
  }
  return x;
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::Immediate& message) {
  const auto mine = check_lnet(c, message.lnet);
  if (!mine) {
    return tl::unexpected(mine.error());
  }
  if (!*mine || !message.complete()) {
    ++statistics_.messages_dropped;
    return false;
  }
  statistics_.immediate_bytes += message.payload.size();
  const wire::LnetCommand& command = message.lnet.command;
  if (const auto* put = std::get_if<wire::LnetPut>(&command)) {
    on_put(c, message.lnet, *put, message.payload);
  } else if (const auto* get = std::get_if<wire::LnetGet>(&command)) {
    on_get(c, message.lnet, *get);
  } else if (const auto* reply = std::get_if<wire::LnetReply>(&command)) {
    on_reply(c, *reply, message.payload);
  } else if (const auto* ack = std::get_if<wire::LnetAck>(&command)) {
    on_ack(c, *ack);
  }
  return false;
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::PutRequest& message) {
  const auto mine = check_lnet(c, message.lnet);
  if (!mine) {
    return tl::unexpected(mine.error());
  }
  const auto nak = [&](int status) {
    ++statistics_.messages_dropped;
    answer_now(c, wire::PutNak{{message.cookie, status}});
    return false;
  };
  if (const auto* reply = std::get_if<wire::LnetReply>(&message.lnet.command); *mine && reply) {
    return on_long_reply(c, message, *reply);
  }
  const auto* put = std::get_if<wire::LnetPut>(&message.lnet.command);
  Exposure* exposure =
      *mine && put != nullptr ? match(c.peer->nid, put->portal, put->match_bits, true) : nullptr;
  if (exposure == nullptr || put->offset >= exposure->total) {
    return nak(0);
  }
  const std::uint64_t room = exposure->total - put->offset;
  const std::uint64_t wanted = message.lnet.payload_length;
  if (wanted == 0 || (wanted > room && !exposure->options.truncates)) {
    return nak(0);
  }
  const Slice sink = slice_at(exposure->fragments, put->offset, std::min(room, wanted));
  auto lease = c.memory->lease_sink(sink);
  if (!lease) {
    return nak(-(lease.error().error_number == 0 ? EIO : lease.error().error_number));
  }
  Exchange* x = make_exchange(c, ExchangeRole::kPutSink);
  x->exposure = exposure->handle;
  x->slice = sink;
  x->offset = put->offset;
  x->lease = std::move(*lease);
  x->waits_for_answer = true;
  x->ack_wanted = put->ack != wire::Handle::none();
  x->ack_handle = put->ack;
  x->match_bits = put->match_bits;
  x->header_data = put->header_data;
  ++exposure->users;
  if (!queue_put_ack(c, *x, message.cookie)) {
    return false;
  }
  if (exposure->options.once) {
    withdraw(ExposureId{exposure->handle});
  }
  return true;
}

// Says where to write; a window is bound first.
bool Engine::Impl::queue_put_ack(Connection& c, Exchange& x, wire::Cookie source) {
  if (x.lease.window) {
    x.lease.remote_key = x.lease.window->next_key();
  }
  const wire::Fragment fragment{reinterpret_cast<std::uint64_t>(x.lease.range.iov_base),
                                static_cast<std::uint32_t>(x.lease.range.iov_len)};
  Outgoing* ack = make_message(
      c, &x,
      wire::PutAck{source,
                   wire::Cookie{x.handle},
                   {x.lease.remote_key, std::span<const wire::Fragment>(&fragment, 1)}});
  if (ack == nullptr) {
    fail(c, CloseReason::kLocalResources, "no buffer for PUT_ACK");
    return false;
  }
  if (x.lease.window) {
    ack->binds = true;
    ++ack->requests;
  }
  queue(c, *ack);
  return true;
}

// The REPLY to a GET of mine that was one IMMEDIATE. It would fit one, too, but a peer may prefer
// to write it: a kernel does so with the memory of a GPU (section 5). The exchange becomes a sink.
wire::Decoded<bool> Engine::Impl::on_long_reply(Connection& c, const wire::PutRequest& message,
                                                const wire::LnetReply& reply) {
  const auto nak = [&](int status) {
    ++statistics_.messages_dropped;
    answer_now(c, wire::PutNak{{message.cookie, status}});
    return false;
  };
  Exchange* x = find_by_handle(c, reply.destination);
  // One that came over another connection finds the exchange with this one's, and is not wanted.
  if (x == nullptr || x->connection != &c || x->role != ExchangeRole::kGetImmediate ||
      !x->waits_for_answer || x->slice.length == 0 || message.lnet.payload_length == 0) {
    return nak(0);
  }
  auto lease = c.memory->lease_sink(
      first(x->slice, std::min<std::uint64_t>(x->slice.length, message.lnet.payload_length)));
  if (!lease) {
    const int error = lease.error().error_number == 0 ? EIO : lease.error().error_number;
    end(*x, TransferStatus::kMemoryFailed, 0, error);
    return nak(-error);
  }
  x->role = ExchangeRole::kPutSink;
  x->lease = std::move(*lease);
  arrange(x->timer, TimerKind::kExchange, x, now_ + settings_.timeout);
  return queue_put_ack(c, *x, message.cookie);
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::PutNak& message) {
  const auto x = answered(c, message.cookie, ExchangeRole::kPutSource);
  if (!x) {
    return tl::unexpected(x.error());
  }
  if (message.status > 0) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kStatus, static_cast<std::uint64_t>(message.status), 0});
  }
  (*x)->waits_for_answer = false;
  end(**x, message.status == 0 ? TransferStatus::kNotMatched : TransferStatus::kPeerFailed, 0,
      -message.status);
  return false;
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::PutAck& message) {
  const auto found = answered(c, message.source_cookie, ExchangeRole::kPutSource);
  if (!found) {
    return tl::unexpected(found.error());
  }
  Exchange& x = **found;
  const wire::FragmentList& sink = message.sink.fragments;
  if (sink.size() > c.attempt.max_fragments) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kFragmentCount, sink.size(), c.attempt.max_fragments});
  }
  const std::uint64_t bytes = sink.total_bytes();
  if (bytes > x.slice.length) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kLnetPayloadLength, bytes, x.slice.length});
  }
  x.waits_for_answer = false;
  arrange(x.timer, TimerKind::kExchange, &x, now_ + settings_.timeout);
  if (!queue_writes(c, x, message.sink, bytes,
                    wire::PutDone{{message.sink_cookie, static_cast<std::int32_t>(bytes)}})) {
    end(x, TransferStatus::kMemoryFailed, 0, EIO);
  }
  return false;
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::PutDone& message) {
  return finish(c, message, ExchangeRole::kPutSink, TransferStatus::kPeerFailed);
}

wire::Decoded<bool> Engine::Impl::finish(Connection& c, const wire::Completion& message,
                                         ExchangeRole role, TransferStatus refused) {
  const auto found = answered(c, message.cookie, role);
  if (!found) {
    return tl::unexpected(found.error());
  }
  Exchange& x = **found;
  const std::uint64_t room = x.lease.range.iov_len;  // as the PUT_ACK or GET_REQ said
  if (message.status > 0 && static_cast<std::uint64_t>(message.status) > room) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kStatus, static_cast<std::uint64_t>(message.status), room});
  }
  x.waits_for_answer = false;
  if (message.status < 0) {
    end(x, refused, 0, -message.status);
  } else {
    end(x, TransferStatus::kOk, static_cast<std::uint64_t>(message.status));
  }
  return false;
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::GetRequest& message) {
  const auto mine = check_lnet(c, message.lnet);
  if (!mine) {
    return tl::unexpected(mine.error());
  }
  const wire::FragmentList& sink = message.sink.fragments;
  if (sink.size() > c.attempt.max_fragments) {
    return tl::unexpected(
        wire::DecodeError{wire::Field::kFragmentCount, sink.size(), c.attempt.max_fragments});
  }
  const auto done = [&](int status) {
    answer_now(c, wire::GetDone{{message.cookie, status}});
    return false;
  };
  const auto* get = std::get_if<wire::LnetGet>(&message.lnet.command);
  if (!*mine || get == nullptr) {
    ++statistics_.messages_dropped;
    return done(kNoMatch);
  }
  Slice source;
  Exposure* exposure = nullptr;
  const std::uint64_t room =
      std::min<std::uint64_t>({get->length, sink.total_bytes(), std::uint64_t{wire::kMaxPayload}});
  if (get->portal == wire::kReservedPortal && get->match_bits == wire::kPingMatchBits) {
    ping_range_ = {ping_bytes_.data(), ping_answer(ping_bytes_)};
    source = slice_at({&ping_range_, 1}, get->offset, room);
    ++statistics_.pings_answered;
  } else {
    exposure = match(c.peer->nid, get->portal, get->match_bits, false);
    if (exposure == nullptr) {
      ++statistics_.messages_dropped;
      return done(kNoMatch);
    }
    if (get->offset < exposure->total) {
      source =
          slice_at(exposure->fragments, get->offset, std::min(room, exposure->total - get->offset));
    }
  }
  if (source.length == 0) {
    return done(0);
  }
  auto lease = c.memory->lease_source(source, kMaxTransferFragments);
  if (!lease) {
    // The requester is told, and does not have to wait for its deadline (D7).
    return done(-(lease.error().error_number == 0 ? EIO : lease.error().error_number));
  }
  Exchange* x = make_exchange(c, ExchangeRole::kGetSource);
  x->slice = source;
  x->offset = get->offset;
  x->lease = std::move(*lease);
  if (exposure != nullptr) {
    x->exposure = exposure->handle;
    ++exposure->users;
  }
  if (!queue_writes(c, *x, message.sink, source.length,
                    wire::GetDone{{message.cookie, static_cast<std::int32_t>(source.length)}})) {
    end(*x, TransferStatus::kMemoryFailed, 0, EIO);
  }
  if (exposure != nullptr && exposure->options.once) {
    withdraw(ExposureId{exposure->handle});
  }
  return false;
}

wire::Decoded<bool> Engine::Impl::on(Connection& c, const wire::GetDone& message) {
  return finish(
      c, message, ExchangeRole::kGetSink,
      message.status == kNoMatch ? TransferStatus::kNotMatched : TransferStatus::kPeerFailed);
}

}  // namespace rdmaboot::engine
