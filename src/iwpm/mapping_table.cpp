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
    if (mapping.since >= before) {
      swept.young_unseen = swept.young_unseen || mapping.seen < mapping.references;
      mapping.references = std::max(mapping.references, mapping.seen);
      ++at;
      continue;
    }
    mapping.references = mapping.seen;
    if (mapping.references > 0) {
      ++at;
      continue;
    }
    swept.removed.push_back(mapping);
    forget_port(at->first);
    at = map_.erase(at);
  }
  return swept;
}

void MappingTable::forget_port(const Address& local) {
  const auto found = ports_.find(port_key(local));
  if (found != ports_.end() && --found->second == 0) {
    ports_.erase(found);
  }
}

}  // namespace rdmaboot::iwpm
