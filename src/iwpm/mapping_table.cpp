// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/mapping_table.hpp"

#include <algorithm>

namespace rdmaboot::iwpm {
namespace {

std::uint32_t port_key(const Address& local) {
  return (static_cast<std::uint32_t>(local.family) << 16U) | local.port;
}

}  // namespace

Mapping* MappingTable::find(const Address& local) {
  const auto found = map_.find(local);
  return found == map_.end() ? nullptr : &found->second;
}

const MappingTable::Map::value_type* MappingTable::find_for_peer(const Address& asked) const {
  auto found = map_.find(asked);
  if (found == map_.end()) {
    found = map_.find(asked.with_ip({}));
  }
  return found == map_.end() ? nullptr : &*found;
}

bool MappingTable::clashes(const Address& local) const {
  if (map_.contains(local)) {
    return true;
  }
  return local.is_wildcard() ? ports_.contains(port_key(local)) : map_.contains(local.with_ip({}));
}

void MappingTable::insert(const Address& local, const Mapping& mapping) {
  if (map_.emplace(local, mapping).second) {
    ++ports_[port_key(local)];
  }
}

std::optional<Mapping> MappingTable::release(const Address& local, std::uint8_t client) {
  const auto found = map_.find(local);
  if (found == map_.end() || found->second.client != client) {
    return std::nullopt;
  }
  if (--found->second.references > 0) {
    return std::nullopt;
  }
  const Mapping last = found->second;
  map_.erase(found);
  forget_port(local);
  return last;
}

void MappingTable::erase(const Address& local) {
  if (map_.erase(local) > 0) {
    forget_port(local);
  }
}

void MappingTable::begin_list() {
  for (auto& [local, mapping] : map_) {
    mapping.seen = 0;
  }
}

MappingTable::Swept MappingTable::end_list(std::uint8_t client, core::Microseconds before) {
  Swept swept;
  for (auto at = map_.begin(); at != map_.end();) {
    Mapping& mapping = at->second;
    if (mapping.client != client) {
      ++at;
      continue;
    }
    const std::uint32_t references = mapping.references;
    if (mapping.since >= before) {
      swept.young_unseen = swept.young_unseen || mapping.seen < mapping.references;
      mapping.references = std::max(mapping.references, mapping.seen);
    } else {
      mapping.references = mapping.seen;
      mapping.doubtful = false;
    }
    if (mapping.references > 0) {
      if (mapping.references != references) {
        swept.changed.push_back(at->first);
      }
      ++at;
      continue;
    }
    swept.removed.emplace_back(*at);
    forget_port(at->first);
    at = map_.erase(at);
  }
  return swept;
}

void MappingTable::end_partial_list(std::uint8_t client) {
  for (auto& [local, mapping] : map_) {
    mapping.doubtful = mapping.doubtful || (mapping.client == client && mapping.seen == 0);
  }
}

void MappingTable::forget_port(const Address& local) {
  const auto found = ports_.find(port_key(local));
  if (found != ports_.end() && --found->second == 0) {
    ports_.erase(found);
  }
}

}  // namespace rdmaboot::iwpm
