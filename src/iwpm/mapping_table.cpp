// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/mapping_table.hpp"

#include <algorithm>
#include <new>

namespace rdmaboot::iwpm {
namespace {

constexpr std::size_t kPorts = 65'536;

std::size_t place_of(const Address& local) {
  return (local.family == Family::kIpv4 ? 0 : kPorts) + local.port;
}

}  // namespace

// Memory that large comes from calloc() as the kernel's zero pages, where a vector would write it.
PortCounts::PortCounts()
    : counts_(static_cast<std::uint32_t*>(std::calloc(2 * kPorts, sizeof(std::uint32_t)))) {
  if (!counts_) {
    throw std::bad_alloc();
  }
}

std::uint32_t& PortCounts::of(const Address& local) {
  return counts_[place_of(local)];
}

std::uint32_t PortCounts::of(const Address& local) const {
  return counts_[place_of(local)];
}

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
  return local.is_wildcard() ? ports_.of(local) > 0 : map_.contains(local.with_ip({}));
}

void MappingTable::insert(const Address& local, const Mapping& mapping) {
  if (map_.emplace(local, mapping).second) {
    ++ports_.of(local);
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
  --ports_.of(local);
  return last;
}

void MappingTable::erase(const Address& local) {
  if (map_.erase(local) > 0) {
    --ports_.of(local);
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
    --ports_.of(at->first);
    at = map_.erase(at);
  }
  return swept;
}

void MappingTable::end_partial_list(std::uint8_t client) {
  for (auto& [local, mapping] : map_) {
    mapping.doubtful = mapping.doubtful || (mapping.client == client && mapping.seen == 0);
  }
}

}  // namespace rdmaboot::iwpm
