// SPDX-License-Identifier: BSD-2-Clause
// What can be seen of an engine, and the names of things.

#include <algorithm>
#include <array>

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

std::vector<PeerInfo> Engine::Impl::peers() const {
  const Duration now = clock_.now();
  std::vector<PeerInfo> list;
  list.reserve(peers_.size());
  for (const auto& [nid, peer] : peers_) {
    PeerInfo info;
    info.nid = peer->nid;
    info.incarnation = peer->wish.peer_incarnation;
    info.waiting = static_cast<std::uint32_t>(peer->waiting.size());
    info.connect_failures = peer->failures;
    info.next_attempt =
        peer->timer.set() ? std::max(peer->timer.due - now, Duration{0}) : Duration{0};
    info.last_reason = peer->last_reason;
    info.last_detail = peer->last_detail;
    for (const auto& c : peer->connections) {
      ConnectionInfo entry;
      entry.id = c->id;
      entry.state = c->state;
      entry.active = c->active;
      entry.version = c->attempt.version == wire::Version::k1 ? 1 : 2;
      entry.queue_depth = c->attempt.queue_depth;
      entry.max_fragments = c->attempt.max_fragments;
      if (c->ledger) {
        entry.credits = c->ledger->credits();
        entry.reserved = c->ledger->reserved();
        entry.owed = c->ledger->owed();
        entry.posted = c->ledger->posted();
      }
      entry.messages_sent = c->messages_sent;
      entry.messages_received = c->messages_received;
      entry.bytes_written = c->bytes_written;
      entry.age = now - c->created;
      entry.idle = now - c->last_sent;
      entry.device = c->memory->device().name();
      info.connections.push_back(std::move(entry));
    }
    list.push_back(std::move(info));
  }
  std::sort(list.begin(), list.end(),
            [](const PeerInfo& a, const PeerInfo& b) { return a.nid < b.nid; });
  return list;
}

std::string Engine::Impl::device_name() const {
  return memory_ ? memory_->device().name() : std::string();
}

const Statistics& Engine::Impl::statistics() const {
  statistics_.memory_bytes = budget_.used;
  statistics_.peers = static_cast<std::uint32_t>(peers_.size());
  statistics_.connections = connections_;
  statistics_.transfers = static_cast<std::uint32_t>(transfers_.taken());
  return statistics_;
}

namespace {

template <typename Enum, std::size_t kCount>
std::string_view name_of(Enum value, const std::array<std::string_view, kCount>& names) {
  const auto index = static_cast<std::size_t>(value);
  return index < kCount ? names.at(index) : std::string_view("unknown");
}

}  // namespace

std::string_view to_string(TransferStatus status) {
  static constexpr std::array<std::string_view, 20> kNames = {"ok",
                                                              "nothing matched at the peer",
                                                              "truncated",
                                                              "timed out waiting for a connection",
                                                              "timed out waiting for credits",
                                                              "timed out sending",
                                                              "timed out waiting for an answer",
                                                              "unreachable",
                                                              "refused",
                                                              "connection lost",
                                                              "the peer failed",
                                                              "out of memory",
                                                              "registration failed",
                                                              "not on the allow-list",
                                                              "no device",
                                                              "closed",
                                                              "stopped",
                                                              "too large",
                                                              "too many transfers",
                                                              "invalid argument"};
  return name_of(status, kNames);
}

std::string_view to_string(CloseReason reason) {
  static constexpr std::array<std::string_view, 20> kNames = {"none",
                                                              "closed here",
                                                              "closed by the peer",
                                                              "protocol error",
                                                              "the peer restarted",
                                                              "a transfer timed out",
                                                              "a send failed",
                                                              "a receive failed",
                                                              "the queue pair failed",
                                                              "the device was removed",
                                                              "the address moved",
                                                              "the port is down",
                                                              "the address cannot be resolved",
                                                              "there is no route",
                                                              "connecting failed",
                                                              "no reply in time",
                                                              "rejected",
                                                              "nobody listens",
                                                              "out of resources",
                                                              "the adapter took no more work"};
  return name_of(reason, kNames);
}

std::string_view to_string(ConnectionState state) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "new",       "resolving address", "resolving route", "connecting",
      "accepting", "established",       "draining",        "closed"};
  return name_of(state, kNames);
}

}  // namespace rdmaboot::engine
