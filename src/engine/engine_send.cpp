// SPDX-License-Identifier: BSD-2-Clause
// Messages out: queues, chains with one doorbell, and what comes back of them.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

namespace {

// What a completion is about: the kind in the upper half, an index in the lower.
constexpr std::uint64_t kIdWrite = std::uint64_t{1} << 32;  ///< a request before a message
constexpr std::uint64_t kIdLast = std::uint64_t{2} << 32;   ///< a message, or an invalidate

wire::Checksum checksum_of(const Settings& settings) {
  switch (settings.checksum) {
    case MessageChecksum::kSignedChar:
      return wire::Checksum::kSigned;
    case MessageChecksum::kUnsignedChar:
      return wire::Checksum::kUnsigned;
    case MessageChecksum::kNone:
      break;
  }
  return wire::Checksum::kNone;
}

}  // namespace

wire::Header Engine::Impl::header_for(const Connection& c) const {
  return {c.attempt.version,         0, settings_.nid, c.peer->nid, settings_.incarnation,
          c.attempt.peer_incarnation};
}

Outgoing* Engine::Impl::make_message(Connection& c, Exchange* x, wire::Body body,
                                     const Slice* payload) {
  const auto buffer = c.memory->take_buffer();
  if (!buffer) {
    return nullptr;
  }
  if (payload != nullptr) {
    // Gathered to where it belongs; the encoder leaves it there.
    const auto place = buffer->bytes().subspan(wire::kImmediateBytes, payload->length);
    gather(*payload, place);
    std::get<wire::Immediate>(body).payload = place;
  }
  const std::size_t bytes = wire::encode(header_for(c), body, buffer->bytes());
  if (bytes == 0) {
    c.memory->give_buffer(*buffer);
    return nullptr;
  }
  Outgoing* message = &outgoing_.take();
  message->buffer = *buffer;
  message->type = wire::type_of(body);
  message->toll = toll_of(message->type);
  message->bytes = static_cast<std::uint32_t>(bytes);
  message->requests = 1;
  if (x != nullptr) {
    message->exchange = x->handle;
    ++x->sends;
  }
  return message;
}

void Engine::Impl::queue(Connection& c, Outgoing& message) {
  switch (message.type) {
    case wire::Type::kPutRequest:
    case wire::Type::kGetRequest:
      c.requests.push_back(message);
      break;
    case wire::Type::kImmediate:
      c.paying.push_back(message);
      break;
    default:
      (message.write_bytes > 0 ? c.writing : c.answers).push_back(message);
      break;
  }
  want_send(c);
}

void Engine::Impl::want_send(Connection& c) {
  if (!c.to_be_sent && c.established()) {
    c.to_be_sent = true;
    to_send_.push_back(c);
  }
}

void Engine::Impl::send_all() {
  while (Connection* c = to_send_.pop_front()) {
    c->to_be_sent = false;
    send_from(*c);
  }
}

// Answers first, those with data last of them, then a NOOP, then what pays; each first come, first
// served (section 6). What may go now goes in one chain, with one doorbell and one completion.
void Engine::Impl::send_from(Connection& c) {
  bool moved = false;
  while (c.established() && !c.waits_for_first_message()) {
    bool paid = false;
    Queue* from = next_to_send(c, paid);
    if (from == nullptr || !fits(c, *from->front())) {
      if (batch_.empty()) {
        break;
      }
      // Whatever did not fit the chain may fit the next.
      if (!post_chain(c) || from == nullptr) {
        break;
      }
      continue;
    }
    append(c, *from->front(), *from);
    moved = moved || paid;
  }
  if (moved && !c.peer->waiting.empty() && c.has_room()) {
    pump(*c.peer);
  }
}

// The queue whose first message may be posted now, as far as the ledger is concerned.
Engine::Impl::Queue* Engine::Impl::next_to_send(Connection& c, bool& pays) {
  while (!c.requests.empty() && c.ledger->may_open_exchange()) {
    Outgoing* request = c.requests.pop_front();
    c.ledger->open_exchange();
    c.paying.push_back(*request);
  }
  const bool held = !c.writing.empty() && c.write_bytes_posted >= kMostWriteBytesPosted;
  Queue& answers = c.answers.empty() && !held ? c.writing : c.answers;
  if (const Outgoing* answer = answers.front()) {
    return answer->invalidate || c.ledger->may_post(answer->toll) ? &answers : nullptr;
  }
  const bool silent =
      settings_.keepalive > Duration{0} && now_ - c.last_sent >= settings_.keepalive;
  const bool keepalive = batch_.empty() && (silent || c.owes_message());
  if (c.ledger->noop_due({held, !c.paying.empty()}, keepalive)) {
    if (c.requests_posted == c.limits.send_requests) {
      // Decided anew when there is room: credits that are owed travel with anything.
      return nullptr;
    }
    Outgoing* noop = make_message(c, nullptr, wire::Noop{});
    if (noop == nullptr) {
      return nullptr;
    }
    c.answers.push_front(*noop);
    return &c.answers;
  }
  pays = true;
  return !c.paying.empty() && c.ledger->may_post(Toll::kCredit) ? &c.paying : nullptr;
}

bool Engine::Impl::fits(const Connection& c, const Outgoing& message) const {
  return c.requests_posted + message.requests <= c.limits.send_requests &&
         batch_.size() < kMessagesOfChain &&
         (message.write_bytes == 0 || write_bytes_of_chain_ < kWriteBytesOfChain) &&
         (batch_.empty() || chain_used_ + message.requests <= chain_.size());
}

// Appends [bind] [writes ...] send, or an invalidate alone, to the chain. All that could go wrong
// was checked when it was queued.
void Engine::Impl::append(Connection& c, Outgoing& message, Queue& from) {
  if (chain_.size() < chain_used_ + message.requests) {
    chain_.resize(chain_used_ + message.requests);
  }
  message.given = 0;
  if (!message.invalidate) {
    message.given = c.ledger->post(message.toll);
    wire::seal(message.buffer.bytes().first(message.bytes), message.given, checksum_of(settings_));
  }
  chain_used_ += build(c, message, std::span(chain_).subspan(chain_used_));
  from.remove(message);
  c.posted.push_back(message);
  batch_.push_back(&message);
  c.requests_posted += message.requests;
  c.write_bytes_posted += message.write_bytes;
  write_bytes_of_chain_ += message.write_bytes;
}

std::size_t Engine::Impl::build(Connection& c, const Outgoing& message,
                                std::span<SendRequest> out) {
  const std::uint64_t index = static_cast<std::uint32_t>(message.handle);
  Exchange* x = exchanges_.find(message.exchange);
  std::size_t count = 0;
  if (message.invalidate) {
    SendRequest& kill = out[count++];
    kill = SendRequest{};
    kill.id = kIdLast | index;
    kill.kind = WorkKind::kInvalidate;
    kill.remote_key = message.remote_key;
    return count;
  }
  if (message.binds && x != nullptr) {
    SendRequest& bind = out[count++];
    bind = SendRequest{};
    bind.id = kIdWrite | index;
    bind.kind = WorkKind::kBindWindow;
    bind.window = x->lease.window.get();
    bind.region = x->lease.region;
    bind.bind_address = reinterpret_cast<std::uint64_t>(x->lease.range.iov_base);
    bind.bind_length = x->lease.range.iov_len;
    x->lease.key_lives = true;
  }
  if (message.write_bytes > 0 && x != nullptr) {
    const std::size_t pieces = c.memory->pieces(x->lease, x->slice, pieces_);
    const auto kept = message.buffer.bytes().subspan(
        kKeptFragmentsOffset, message.remote_fragments * wire::kFragmentBytes);
    const std::size_t writes =
        plan_writes(std::span(pieces_).first(pieces), wire::FragmentList::in_place(kept, false),
                    message.remote_key, message.write_bytes, c.limits.segments, out.subspan(count))
            .value_or(0);
    for (std::size_t i = 0; i < writes; ++i) {
      SendRequest& write = out[count++];
      write.id = kIdWrite | index;
      write.signaled = false;
      write.inline_data = false;
    }
  }
  SendRequest& send = out[count++];
  send.id = kIdLast | index;
  send.kind = WorkKind::kSend;
  send.signaled = false;
  send.inline_data = message.bytes <= c.inline_bytes;
  send.segment_count = 1;
  send.segments[0] = {reinterpret_cast<std::uint64_t>(message.buffer.data), message.bytes,
                      message.buffer.local_key};
  return count;
}

// Rings the doorbell for what was appended. Only the last request is signaled: the send queue works
// in order, so its completion is that of all before it, and no chain is without one.
bool Engine::Impl::post_chain(Connection& c) {
  chain_[chain_used_ - 1].signaled = true;
  const auto posted = c.endpoint->post(std::span<const SendRequest>(chain_).first(chain_used_));
  chain_used_ = 0;
  write_bytes_of_chain_ = 0;
  if (!posted) {
    // Backwards, so that the ledger is as it was. What was posted all the same comes back flushed,
    // under names that nobody has any more.
    for (; !batch_.empty(); batch_.pop_back()) {
      Outgoing& message = *batch_.back();
      c.posted.remove(message);
      c.answers.push_front(message);
      c.requests_posted -= message.requests;
      c.write_bytes_posted -= message.write_bytes;
      if (!message.invalidate) {
        c.ledger->undo_post(message.toll, message.given);
      }
    }
    fail(c, CloseReason::kPostFailed, posted.error().message());
    return false;
  }
  for (const Outgoing* message : batch_) {
    if (Exchange* x = exchanges_.find(message->exchange)) {
      ++x->posted;
    }
    if (message->invalidate) {
      continue;
    }
    ++c.messages_sent;
    ++statistics_.messages_sent;
    statistics_.noops_sent += message->type == wire::Type::kNoop ? 1U : 0U;
    c.bytes_written += message->write_bytes;
    statistics_.bytes_written += message->write_bytes;
    statistics_.windows_bound += message->binds ? 1U : 0U;
  }
  batch_.clear();
  c.nudge = false;
  c.last_sent = now_;
  return true;
}

void Engine::Impl::send_completed(Connection& c, const Completion& completion) {
  if (completion.status != WorkStatus::kSuccess) {
    // A later flush tells nothing; the first error says what happened.
    if (completion.status != WorkStatus::kFlushed || c.established()) {
      fail(c, CloseReason::kSendFailed, std::string(to_string(completion.status)));
    }
  }
  if ((completion.id & ~std::uint64_t{UINT32_MAX}) != kIdLast) {
    return;
  }
  const auto index = static_cast<std::uint32_t>(completion.id);
  const bool succeeded = completion.status == WorkStatus::kSuccess;
  // The send queue works in order: what is before it, and was not signaled, came back as well. With
  // an error it has most likely arrived, but nothing says so.
  while (Outgoing* message = c.posted.front()) {
    const bool last = static_cast<std::uint32_t>(message->handle) == index;
    c.posted.remove(*message);
    c.requests_posted -= message->requests;
    c.write_bytes_posted -= message->write_bytes;
    if (succeeded) {
      retire(c, *message);
    } else {
      if (Exchange* x = exchanges_.find(message->exchange)) {
        --x->posted;
        --x->sends;
      }
      message->exchange = 0;
      discard(c, *message);
    }
    if (last) {
      break;
    }
  }
  if (c.established()) {
    want_send(c);
  }
}

// A message arrived at the peer's adapter, or a key is dead.
void Engine::Impl::retire(Connection& c, Outgoing& message) {
  Exchange* x = exchanges_.find(message.exchange);
  const wire::Type type = message.type;
  const bool invalidate = message.invalidate;
  const std::uint64_t written = message.write_bytes;
  if (!invalidate) {
    c.ledger->completed(message.toll);
    c.memory->give_buffer(message.buffer);
  }
  outgoing_.give(message);
  if (x == nullptr) {
    return;
  }
  --x->posted;
  --x->sends;
  if (invalidate) {
    x->lease.key_lives = false;
    x->killing_key = false;
  } else if (!x->waits_for_answer && !x->ended) {
    switch (x->role) {
      case ExchangeRole::kPutImmediate:
        end(*x, TransferStatus::kOk, x->slice.length);
        return;
      case ExchangeRole::kPutSource:
        if (type == wire::Type::kPutDone && x->transfer != nullptr && x->transfer->acknowledged) {
          x->writes_done = true;
          x->waits_for_answer = true;
        } else if (type == wire::Type::kPutDone) {
          end(*x, TransferStatus::kOk, written);
          return;
        }
        break;
      case ExchangeRole::kGetSource:
        end(*x, TransferStatus::kOk, written);
        return;
      case ExchangeRole::kAnswer:
        end(*x, TransferStatus::kOk, 0);
        return;
      case ExchangeRole::kGetImmediate:
      case ExchangeRole::kGetSink:
      case ExchangeRole::kPutSink:
        break;
    }
  }
  settle(*x);
}

void Engine::Impl::discard(Connection& c, Outgoing& message) {
  if (!message.invalidate) {
    c.memory->give_buffer(message.buffer);
  }
  if (Exchange* x = exchanges_.find(message.exchange)) {
    x->sends = x->sends == 0 ? 0 : static_cast<std::uint16_t>(x->sends - 1);
  }
  outgoing_.give(message);
}

void Engine::Impl::queue_invalidate(Connection& c, Exchange& x) {
  Outgoing* kill = &outgoing_.take();
  kill->invalidate = true;
  kill->requests = 1;
  kill->remote_key = x.lease.remote_key;
  kill->exchange = x.handle;
  ++x.sends;
  x.killing_key = true;
  c.answers.push_back(*kill);
  want_send(c);
}

bool Engine::Impl::queue_writes(Connection& c, Exchange& x, const wire::Descriptor& sink,
                                std::uint64_t bytes, wire::Body done) {
  // One chain has to fit the send queue: a source in too many pieces is copied into one.
  const std::size_t most =
      std::min<std::size_t>(std::max(settings_.max_fragments, c.attempt.max_fragments),
                            c.limits.send_requests - kRequestsBesideWrites);
  if (chain_.size() < most + kRequestsBesideWrites) {
    chain_.resize(most + kRequestsBesideWrites);
  }
  tl::expected<std::size_t, PlanError> writes = 0;
  if (bytes > 0) {
    const auto plan = [&] {
      const std::size_t pieces = c.memory->pieces(x.lease, x.slice, pieces_);
      return plan_writes(std::span(pieces_).first(pieces), sink.fragments, sink.key, bytes,
                         c.limits.segments, std::span(chain_).first(most));
    };
    writes = plan();
    if (!writes && writes.error() == PlanError::kTooManyWrites &&
        x.lease.kind == LeaseKind::kDirect) {
      (void)c.memory->give_back(x.lease, now_);
      auto copy = c.memory->lease_source(x.slice, 0);
      if (copy) {
        x.lease = std::move(*copy);
        writes = plan();
      }
    }
  }
  if (!writes) {
    auto& completion = std::holds_alternative<wire::PutDone>(done)
                           ? static_cast<wire::Completion&>(std::get<wire::PutDone>(done))
                           : static_cast<wire::Completion&>(std::get<wire::GetDone>(done));
    completion.status = writes.error() == PlanError::kTooManyWrites ? -EMSGSIZE : -EPROTO;
    bytes = 0;
  }
  Outgoing* message = make_message(c, &x, done);
  if (message == nullptr) {
    // Without an answer the peer would wait for its deadline; a closed connection tells it now.
    fail(c, CloseReason::kLocalResources, "no buffer for an answer");
    return false;
  }
  message->write_bytes = bytes;
  if (bytes > 0) {
    message->remote_key = sink.key;
    message->remote_fragments = static_cast<std::uint32_t>(sink.fragments.size());
    message->requests += static_cast<std::uint32_t>(*writes);
    std::byte* kept = message->buffer.data + kKeptFragmentsOffset;
    for (std::size_t i = 0; i < sink.fragments.size(); ++i, kept += wire::kFragmentBytes) {
      const wire::Fragment fragment = sink.fragments[i];
      std::memcpy(kept, &fragment.length, sizeof fragment.length);
      std::memcpy(kept + sizeof fragment.length, &fragment.address, sizeof fragment.address);
    }
  }
  queue(c, *message);
  return writes.has_value();
}

}  // namespace rdmaboot::engine
