// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/session.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <variant>

#include <rdma/rdma_netlink.h>

#include "core/text.hpp"

namespace rdmaboot::iwpm {

using core::Microseconds;

namespace {

bool is_client(std::uint8_t client) {
  return client == kClientIwcm || client == kClientLegacy;
}

bool is_transient(int error) {
  return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

}  // namespace

Session::Session(Settings settings, const core::Clock& clock, Outside& outside,
                 std::uint32_t port_id)
    : settings_(std::move(settings)),
      clock_(&clock),
      outside_(&outside),
      port_id_(port_id),
      limit_(settings_.rate_limit) {}

// The kernel ---------------------------------------------------------------------------------

void Session::send_error(std::uint8_t client, std::uint32_t echoed, ErrorCode code) {
  outside_->to_kernel(encode_error(outgoing(client), echoed, code));
}

void Session::greet() {
  kernel_ = Kernel::kAsked;
  list_asked_ = clock_->now();
  list_again_.reset();
  pending_lists_.clear();
  const Outgoing header = outgoing(kClientIwcm);
  hello_sequence_ = header.sequence;
  outside_->to_kernel(encode_hello(header));
}

void Session::greet_from(std::uint32_t port_id) {
  port_id_ = port_id;
  greet();
}

void Session::from_kernel(std::span<const std::byte> datagram) {
  while (const auto message = next_message(datagram)) {
    const bool is_finished = std::holds_alternative<Finished>(message->body);
    if (!is_finished && !is_client(message->client)) {
      ++counters_.messages_malformed;
      continue;
    }
    std::visit([&](const auto& body) { handle(*message, body); }, message->body);
  }
}

void Session::kernel_overrun() {
  ++counters_.overruns;
  list_follows_up_ = false;
  // What was lost may have been the end of a list: it is asked for anew, not too often.
  list_again_ = std::max(clock_->now(), list_asked_ + kListInterval);
  if (counters_.overruns == 1) {
    outside_->tell("messages of the kernel were lost; raise nl_sock_rbuf_size if that is frequent");
  }
}

void Session::device_added() {
  if (kernel_ == Kernel::kAbsent) {
    greet();
  }
}

void Session::device_removed() {
  if (kernel_ == Kernel::kServed) {
    list_follows_up_ = false;
    list_again_ = std::max(clock_->now(), list_asked_ + kListInterval);
  }
}

void Session::handle(const KernelMessage& message, const Malformed& /*body*/) {
  ++counters_.messages_malformed;
  send_error(message.client, message.sequence, ErrorCode::kInvalidMessage);
}

void Session::handle(const KernelMessage& message, const Hello& body) {
  if (body.version > kAbiVersion) {
    outside_->tell("the kernel's interface has version " + std::to_string(body.version) +
                   ", newer than ours");
    send_error(message.client, message.sequence, ErrorCode::kVersionMismatch);
    return;
  }
  version_ = body.version;
  ask_for_list();
}

void Session::handle(const KernelMessage& message, const Finished& body) {
  if (body.is_error && kernel_ == Kernel::kAsked && message.sequence == hello_sequence_) {
    // Either an old kernel that knows no HELLO, or one without the connection manager. Asking for
    // the list tells which.
    version_ = kAbiVersionBeforeHello;
    ask_for_list();
    return;
  }
  if (body.is_busy && kernel_ == Kernel::kAsked && message.sequence == hello_sequence_) {
    list_again_ = clock_->now() + kListInterval;
    return;
  }
  const auto list = std::find_if(
      pending_lists_.begin(), pending_lists_.end(),
      [&](const PendingList& pending) { return pending.sequence == message.sequence; });
  if (list != pending_lists_.end()) {
    const std::uint8_t client = list->client;
    pending_lists_.erase(list);
    list_ended(client, body);
  }
}

void Session::ask_for_list() {
  if (kernel_ != Kernel::kServed) {
    kernel_ = Kernel::kListed;
  }
  list_asked_ = clock_->now();
  list_again_.reset();
  any_list_ = false;
  listed_ = 0;
  announced_.reset();
  mappings_.begin_list();
  pending_lists_.clear();
  const auto ask = [this](std::uint8_t client) {
    const Outgoing header = outgoing(client);
    pending_lists_.push_back({client, header.sequence});
    outside_->to_kernel(encode_mapinfo_request(header, version_));
  };
  ask(kClientIwcm);
  if (version_ == kAbiVersionBeforeHello) {
    ask(kClientLegacy);
  }
}

void Session::list_ended(std::uint8_t client, const Finished& how) {
  if (how.is_busy) {
    list_again_ = clock_->now() + kListInterval;
    list_follows_up_ = false;
    return;
  }
  // A kernel without mappings announces no number; one that could not send all of them neither, but
  // says that it failed. At the start, nobody there means that nothing is in use.
  const bool whole = how.is_error ? kernel_ == Kernel::kListed
                                  : !how.is_failed && announced_.value_or(0) == listed_;
  any_list_ = any_list_ || !how.is_error;
  listed_ = 0;
  announced_.reset();
  if (whole) {
    const MappingTable::Swept swept = mappings_.end_list(client, clock_->now() - kListGrace);
    for (const auto& [local, mapping] : swept.removed) {
      ended(local, mapping);
    }
    for (const Address& local : swept.changed) {
      outside_->record(local, mappings_.find(local));
    }
    if (swept.young_unseen && !list_follows_up_) {
      list_again_ = clock_->now() + kListGrace;
      list_follows_up_ = true;
    }
  } else if (!how.is_error) {
    mappings_.end_partial_list(client);
  }
  if (pending_lists_.empty()) {
    kernel_ = any_list_ ? Kernel::kServed : Kernel::kAbsent;
  }
}

void Session::handle(const KernelMessage& message, const RegisterPid& body) {
  if (body.library != kLibraryName) {
    outside_->tell("the kernel wants a port mapper called \"" + core::printable(body.library) +
                   "\"");
    send_error(message.client, message.sequence, ErrorCode::kUserLibraryInfo);
    return;
  }
  kernel_ = Kernel::kServed;
  outside_->to_kernel(
      encode_register_answer(outgoing(message.client), message.sequence, body.device, version_));
}

tl::expected<Mapping, ErrorCode> Session::make_mapping(std::uint8_t client, const Address& local,
                                                       std::uint32_t flags) {
  if (mappings_.full()) {
    return tl::make_unexpected(ErrorCode::kCreateMapping);
  }
  Mapping mapping;
  mapping.client = client;
  mapping.mapped = local;
  mapping.since = clock_->now();
  if ((flags & IWPM_FLAGS_NO_PORT_MAP) == 0) {
    const auto port = outside_->reserve_port(local.family, 0);
    if (!port) {
      outside_->tell("no port could be reserved for " + local.text() + ": " +
                     std::strerror(port.error()));
      return tl::make_unexpected(ErrorCode::kCreateMapping);
    }
    mapping.mapped.port = port->number;
    mapping.reservation = port->token;
  }
  mappings_.insert(local, mapping);
  outside_->record(local, &mapping);
  return mapping;
}

void Session::add_reference(const Address& local, Mapping& mapping) {
  ++mapping.references;
  outside_->record(local, &mapping);
}

void Session::ended(const Address& local, const Mapping& mapping) {
  if (mapping.reservation != kNoReservation) {
    outside_->release_port(mapping.reservation);
  }
  outside_->record(local, nullptr);
}

void Session::handle(const KernelMessage& message, const AddMapping& body) {
  ++counters_.adds;
  if (Mapping* const known = mappings_.find(body.local);
      known != nullptr && known->client == message.client) {
    if (body.local.is_wildcard()) {
      add_reference(body.local, *known);
      outside_->to_kernel(
          encode_add_answer(outgoing(message.client), message.sequence, body.local, known->mapped));
      return;
    }
    if (known->doubtful) {
      const Mapping gone = *known;
      mappings_.erase(body.local);
      ended(body.local, gone);
    }
  }
  if (mappings_.clashes(body.local)) {
    send_error(message.client, message.sequence, ErrorCode::kDuplicateMapping);
    return;
  }
  const auto mapping = make_mapping(message.client, body.local, body.flags);
  if (!mapping) {
    send_error(message.client, message.sequence, mapping.error());
    return;
  }
  outside_->to_kernel(
      encode_add_answer(outgoing(message.client), message.sequence, body.local, mapping->mapped));
}

void Session::handle(const KernelMessage& message, const RemoveMapping& body) {
  ++counters_.removes;
  if (const auto last = mappings_.release(body.local, message.client)) {
    ended(body.local, *last);
  } else if (const Mapping* const left = mappings_.find(body.local)) {
    outside_->record(body.local, left);
  }
}

void Session::add_listed(const Address& local, Mapping mapping, bool reserve) {
  if (mappings_.full()) {
    return;
  }
  if (reserve) {
    const auto port = outside_->reserve_port(local.family, mapping.mapped.port);
    if (port) {
      mapping.reservation = port->token;
    } else {
      // Peers may be using it: it stays in the table, only its port is not ours.
      outside_->tell("the port of the mapping " + local.text() + " to " + mapping.mapped.text() +
                     " could not be reserved again: " + std::strerror(port.error()));
    }
  }
  mappings_.insert(local, mapping);
  outside_->record(local, &mapping);
}

void Session::recall(const std::vector<SavedMapping>& saved) {
  for (const SavedMapping& entry : saved) {
    if (mappings_.find(entry.local) == nullptr) {
      Mapping mapping;
      mapping.client = entry.client;
      mapping.mapped = entry.mapped;
      mapping.references = entry.references;
      mapping.doubtful = true;
      // Old enough for the kernel to have it in its list.
      mapping.since = clock_->now() - 2 * kListGrace;
      add_listed(entry.local, mapping, entry.reserved);
    }
  }
}

void Session::handle(const KernelMessage& message, const MapInfo& body) {
  ++listed_;
  if (Mapping* const known = mappings_.find(body.local)) {
    ++known->seen;
    known->doubtful = false;
    return;
  }
  Mapping mapping;
  mapping.client = message.client;
  mapping.mapped = body.mapped;
  mapping.seen = 1;
  mapping.since = clock_->now();
  add_listed(body.local, mapping, (body.flags & IWPM_FLAGS_NO_PORT_MAP) == 0);
}

void Session::handle(const KernelMessage& message, const MapInfoCount& body) {
  announced_ = body.sent;
  outside_->to_kernel(
      encode_mapinfo_count_answer(outgoing(message.client), message.sequence, body.sent, listed_));
}

// Our questions --------------------------------------------------------------------------------

std::uint64_t Session::new_handle() {
  std::uint64_t handle = outside_->random();
  while (queries_.contains(handle)) {
    ++handle;  // with 64 random bits it does not come to this
  }
  return handle;
}

Microseconds Session::retry_time() {
  const auto spread = static_cast<std::uint64_t>(2 * kRetryJitter.count() + 1);
  const auto jitter = static_cast<Microseconds::rep>(outside_->random() % spread);
  return clock_->now() + kRetryInterval - kRetryJitter + Microseconds(jitter);
}

int Session::send_request(const Query& query) {
  WireMessage message;
  message.type = WireType::kRequest;
  message.handle = query.handle;
  message.connecting = query.connection.local;
  message.accepting = query.connection.remote;
  message.connecting_mapped = query.connection.mapped_local;
  return outside_->to_peer(Via::kAsking, query.connection.remote.with_port(kMapperPort),
                           encode(message));
}

void Session::answer_unmapped(const Query& query) {
  Connection connection = query.connection;
  connection.mapped_remote = connection.remote;
  outside_->to_kernel(encode_query_answer(outgoing(query.client), query.kernel_sequence, connection,
                                          ErrorCode::kRemoteQueryReject));
}

void Session::handle(const KernelMessage& message, const QueryMapping& body) {
  ++counters_.queries;
  if (body.local.is_wildcard()) {
    send_error(message.client, message.sequence, ErrorCode::kCreateMapping);
    return;
  }
  Mapping* known = mappings_.find(body.local);
  if (known == nullptr && mappings_.clashes(body.local)) {
    send_error(message.client, message.sequence, ErrorCode::kCreateMapping);
    return;
  }
  Query query;
  query.client = message.client;
  query.kernel_sequence = message.sequence;
  query.connection.local = body.local;
  query.connection.remote = body.remote;
  if (known != nullptr) {
    add_reference(body.local, *known);
    query.connection.mapped_local = known->mapped;
  } else {
    const auto made = make_mapping(message.client, body.local, body.flags);
    if (!made) {
      send_error(message.client, message.sequence, made.error());
      return;
    }
    query.connection.mapped_local = made->mapped;
  }
  const Microseconds now = clock_->now();
  if (silent_.contains(body.remote, now)) {
    ++counters_.from_cache;
    answer_unmapped(query);
    probe(query.connection);
    return;
  }
  if (queries_.full()) {
    answer_unmapped(query);
    return;
  }
  query.handle = new_handle();
  query.resend = retry_time();
  query.give_up = now + settings_.peer_timeout;
  query.expires = now + kExchangeLife;
  queries_.insert(query);
  if (const int error = send_request(query); error != 0 && !is_transient(error)) {
    ++counters_.without_mapper;
    answer_unmapped(query);
    queries_.erase(query.handle);
  }
}

/// Asks a silent peer for a port that nobody has: whatever it answers, it has a port mapper.
void Session::probe(const Connection& connection) {
  const Microseconds now = clock_->now();
  const Microseconds until = now + settings_.peer_timeout;
  if (queries_.full() || !silent_.start_probe(connection.remote, until, now)) {
    return;
  }
  Query query;
  query.phase = Query::Phase::kProbing;
  query.connection.local = connection.local.with_port(0);
  query.connection.remote = connection.remote.with_port(0);
  query.connection.mapped_local = connection.local.with_port(0);
  query.handle = new_handle();
  query.resend = retry_time();
  query.expires = until;
  queries_.insert(query);
  if (const int error = send_request(query); error != 0 && !is_transient(error)) {
    queries_.erase(query.handle);
  }
}

/// The peer will not answer: the kernel is told at once, and the next connects to that host do not
/// wait.
void Session::give_up(Query query, Microseconds cache) {
  const Microseconds now = clock_->now();
  silent_.insert(query.connection.remote, now + cache, now);
  if (query.phase == Query::Phase::kAsking) {
    answer_unmapped(query);
    query.phase = Query::Phase::kProbing;
    queries_.update(query);
  }
}

void Session::query_due(Query query) {
  const Microseconds now = clock_->now();
  if (query.phase == Query::Phase::kAnswered || now >= query.expires) {
    if (query.phase != Query::Phase::kAnswered) {
      give_up(query, settings_.silent_peer_cache);
    }
    queries_.erase(query.handle);
    return;
  }
  if (query.phase == Query::Phase::kAsking && now >= query.give_up) {
    ++counters_.timed_out;
    give_up(query, settings_.silent_peer_cache);
    query.phase = Query::Phase::kProbing;
  }
  if (now >= query.resend) {
    query.resend = retry_time();
    static_cast<void>(send_request(query));
  }
  queries_.update(query);
}

void Session::unreachable(const Address& peer, std::span<const std::byte> sent) {
  const auto handle = handle_of(sent);
  const Query* const found = handle ? queries_.find(*handle) : nullptr;
  if (found == nullptr || found->phase == Query::Phase::kAnswered ||
      !(found->connection.remote.with_port(0) == peer.with_port(0))) {
    ++counters_.datagrams_ignored;
    return;
  }
  const Query query = *found;
  if (query.phase == Query::Phase::kAsking) {
    ++counters_.without_mapper;
  }
  give_up(query, settings_.no_mapper_cache);
  queries_.erase(query.handle);
}

void Session::accept(const Address& peer, const WireMessage& message) {
  const Query* const found = queries_.find(message.handle);
  const bool fits = found != nullptr && message.accepting.port != 0 &&
                    found->connection.remote.with_port(0) == peer.with_port(0) &&
                    found->connection.local == message.connecting;
  if (!fits) {
    ++counters_.datagrams_ignored;
    return;
  }
  Query query = *found;
  silent_.erase(peer);
  if (query.phase == Query::Phase::kAsking) {
    ++counters_.answered;
    query.connection.mapped_remote = message.accepting;
    query.connection.mapped_remote.scope = query.connection.remote.scope;
    outside_->to_kernel(encode_query_answer(outgoing(query.client), query.kernel_sequence,
                                            query.connection, ErrorCode::kNone));
  }
  if (query.phase != Query::Phase::kAnswered) {
    query.phase = Query::Phase::kAnswered;
    query.expires = clock_->now() + kExchangeLife;
    queries_.update(query);
  }
  WireMessage ack = message;
  ack.type = WireType::kAck;
  Address to = query.connection.remote;
  to.port = kMapperPort;
  static_cast<void>(outside_->to_peer(Via::kAsking, to, encode(ack)));
}

void Session::reject(const Address& peer, const WireMessage& message) {
  const Query* const found = queries_.find(message.handle);
  if (found == nullptr || found->phase == Query::Phase::kAnswered ||
      !(found->connection.remote.with_port(0) == peer.with_port(0))) {
    ++counters_.datagrams_ignored;
    return;
  }
  silent_.erase(peer);
  if (found->phase == Query::Phase::kAsking) {
    ++counters_.rejected;
    answer_unmapped(*found);
  }
  queries_.erase(message.handle);
}

// Questions of peers -----------------------------------------------------------------------------

void Session::from_peer(Via via, const Address& peer, std::span<const std::byte> datagram) {
  if (via == Via::kAnswering) {
    if (!limit_.allow(peer, clock_->now())) {
      ++counters_.datagrams_limited;
      return;
    }
    if (!settings_.allows(peer)) {
      ++counters_.datagrams_refused;
      return;
    }
  }
  const auto message = decode(datagram);
  const bool fits = message && message->connecting.family == peer.family;
  if (fits && via == Via::kAnswering && message->type == WireType::kRequest) {
    request(peer, *message);
  } else if (fits && via == Via::kAnswering && message->type == WireType::kAck) {
    acknowledged(peer, *message);
  } else if (fits && via == Via::kAsking && message->type == WireType::kAccept) {
    accept(peer, *message);
  } else if (fits && via == Via::kAsking && message->type == WireType::kReject) {
    reject(peer, *message);
  } else {
    ++counters_.datagrams_ignored;
  }
}

void Session::request(const Address& peer, const WireMessage& message) {
  WireMessage answer = message;
  if (const AcceptedTable::Exchange* const given = accepted_.find(message.handle, peer)) {
    // The requester repeats until it has our accept, so nothing is repeated from here: who forges
    // a source gets one smaller datagram sent to it, never ten.
    answer.type = WireType::kAccept;
    answer.accepting = given->given;
    static_cast<void>(outside_->to_peer(Via::kAnswering, peer, encode(answer)));
    return;
  }
  const auto* const found = mappings_.find_for_peer(message.accepting);
  if (found == nullptr) {
    ++counters_.requests_rejected;
    answer.type = WireType::kReject;
    static_cast<void>(outside_->to_peer(Via::kAnswering, peer, encode(answer)));
    return;
  }
  ++counters_.requests_accepted;
  const auto& [local, mapping] = *found;
  AcceptedTable::Exchange exchange;
  exchange.client = mapping.client;
  exchange.told = accepted_.unacknowledged() < kMostUnacknowledged;
  exchange.given =
      local.is_wildcard() ? mapping.mapped.with_ip(message.accepting.ip) : mapping.mapped;
  exchange.connection = {local, message.connecting, mapping.mapped, message.connecting_mapped};
  accepted_.insert(message.handle, peer, exchange, clock_->now());
  answer.type = WireType::kAccept;
  answer.accepting = exchange.given;
  static_cast<void>(outside_->to_peer(Via::kAnswering, peer, encode(answer)));
  if (exchange.told) {
    outside_->to_kernel(encode_remote_info(outgoing(mapping.client), exchange.connection));
  }
}

void Session::acknowledged(const Address& peer, const WireMessage& message) {
  const auto exchange = accepted_.acknowledge(message.handle, peer, message.accepting);
  if (!exchange) {
    ++counters_.datagrams_ignored;
  } else if (!exchange->told) {
    outside_->to_kernel(encode_remote_info(outgoing(exchange->client), exchange->connection));
  }
}

// Time -------------------------------------------------------------------------------------------

void Session::deadline() {
  const Microseconds now = clock_->now();
  for (const std::uint64_t handle : queries_.due(now)) {
    if (const Query* const query = queries_.find(handle)) {
      query_due(*query);
    }
  }
  accepted_.expire(now);
  if (list_again_ && *list_again_ <= now) {
    // Without an answer to the greeting there is nobody to ask for a list.
    kernel_ == Kernel::kAsked ? greet() : ask_for_list();
  }
}

std::optional<Microseconds> Session::next_deadline() const {
  std::optional<Microseconds> next;
  for (const auto& candidate : {queries_.next_due(), accepted_.next_due(), list_again_}) {
    if (candidate && (!next || *candidate < *next)) {
      next = candidate;
    }
  }
  return next;
}

void Session::apply(Settings settings) {
  if (settings.rate_limit != settings_.rate_limit) {
    limit_ = RateLimit(settings.rate_limit);
  }
  settings_ = std::move(settings);
}

}  // namespace rdmaboot::iwpm
