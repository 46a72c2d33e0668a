// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/request_table.hpp"

#include <algorithm>

namespace rdmaboot::iwpm {

using core::Microseconds;

Microseconds QueryTable::due_of(const Query& query) {
  switch (query.phase) {
    case Query::Phase::kAsking:
      return std::min({query.resend, query.give_up, query.expires});
    case Query::Phase::kProbing:
      return std::min(query.resend, query.expires);
    case Query::Phase::kAnswered:
      break;
  }
  return query.expires;
}

void QueryTable::insert(const Query& query) {
  if (by_handle_.emplace(query.handle, query).second) {
    by_time_.emplace(due_of(query), query.handle);
  }
}

const Query* QueryTable::find(std::uint64_t handle) const {
  const auto found = by_handle_.find(handle);
  return found == by_handle_.end() ? nullptr : &found->second;
}

void QueryTable::update(const Query& query) {
  const auto found = by_handle_.find(query.handle);
  if (found == by_handle_.end()) {
    return;
  }
  by_time_.erase({due_of(found->second), query.handle});
  found->second = query;
  by_time_.emplace(due_of(query), query.handle);
}

void QueryTable::erase(std::uint64_t handle) {
  const auto found = by_handle_.find(handle);
  if (found == by_handle_.end()) {
    return;
  }
  by_time_.erase({due_of(found->second), handle});
  by_handle_.erase(found);
}

std::optional<Microseconds> QueryTable::next_due() const {
  if (by_time_.empty()) {
    return std::nullopt;
  }
  return by_time_.begin()->first;
}

std::vector<std::uint64_t> QueryTable::due(Microseconds now) const {
  std::vector<std::uint64_t> handles;
  for (const auto& [when, handle] : by_time_) {
    if (when > now) {
      break;
    }
    handles.push_back(handle);
  }
  return handles;
}

std::size_t QueryTable::waiting() const {
  return static_cast<std::size_t>(
      std::count_if(by_handle_.begin(), by_handle_.end(),
                    [](const auto& entry) { return entry.second.phase == Query::Phase::kAsking; }));
}

const AcceptedTable::Exchange* AcceptedTable::find(std::uint64_t handle,
                                                   const Address& peer) const {
  const auto found = entries_.find(Key{handle, peer.with_port(0)});
  return found == entries_.end() ? nullptr : &found->second;
}

void AcceptedTable::insert(std::uint64_t handle, const Address& peer, const Exchange& exchange,
                           Microseconds now) {
  if (entries_.size() >= kMostAccepted) {
    drop_oldest();
  }
  const Key key{handle, peer.with_port(0)};
  if (entries_.emplace(key, exchange).second) {
    by_age_.emplace_back(now, key);
    unacknowledged_ += exchange.acknowledged ? 0U : 1U;
  }
}

std::optional<AcceptedTable::Exchange> AcceptedTable::acknowledge(std::uint64_t handle,
                                                                  const Address& peer,
                                                                  const Address& given) {
  const auto found = entries_.find(Key{handle, peer.with_port(0)});
  if (found == entries_.end() || !(found->second.given == given)) {
    return std::nullopt;
  }
  const Exchange before = found->second;
  if (!before.acknowledged) {
    found->second.acknowledged = true;
    found->second.told = true;
    --unacknowledged_;
  }
  return before;
}

void AcceptedTable::expire(Microseconds now) {
  while (!by_age_.empty() && by_age_.front().first + kExchangeLife <= now) {
    drop_oldest();
  }
}

std::optional<Microseconds> AcceptedTable::next_due() const {
  if (by_age_.empty()) {
    return std::nullopt;
  }
  return by_age_.front().first + kExchangeLife + kRetryInterval;
}

void AcceptedTable::drop_oldest() {
  const auto found = entries_.find(by_age_.front().second);
  if (found != entries_.end()) {
    unacknowledged_ -= found->second.acknowledged ? 0U : 1U;
    entries_.erase(found);
  }
  by_age_.pop_front();
}

bool SilentPeers::contains(const Address& peer, Microseconds now) const {
  const auto found = until_.find(peer.with_port(0));
  return found != until_.end() && now < found->second.until;
}

void SilentPeers::insert(const Address& peer, Microseconds until, Microseconds now) {
  const Address key = peer.with_port(0);
  if (until_.size() >= kMostSilentPeers && !until_.contains(key)) {
    std::erase_if(until_, [&](const auto& entry) { return entry.second.until <= now; });
    if (until_.size() >= kMostSilentPeers) {
      until_.erase(until_.begin());
    }
  }
  until_[key].until = until;
}

void SilentPeers::erase(const Address& peer) {
  until_.erase(peer.with_port(0));
}

bool SilentPeers::start_probe(const Address& peer, Microseconds until, Microseconds now) {
  const auto found = until_.find(peer.with_port(0));
  if (found == until_.end() || now < found->second.probed_until) {
    return false;
  }
  found->second.probed_until = until;
  return true;
}

}  // namespace rdmaboot::iwpm
