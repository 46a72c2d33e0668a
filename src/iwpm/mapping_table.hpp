// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which mapped address stands for a local one, who asked for it and how often.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "iwpm/address.hpp"

namespace rdmaboot::iwpm {

/// Most mappings that are kept. A port is reserved for at most 65,535 of a family; identity
/// mappings take none, but each has a connection of the kernel behind it.
inline constexpr std::size_t kMostMappings = 262'144;
/// Stands for a mapping that reserves no port.
inline constexpr int kNoReservation = -1;

/// What a local address is mapped to.
struct Mapping {
  Address mapped;
  int reservation = kNoReservation;  ///< token of the reserved port, for whoever reserved it
  std::uint32_t references = 1;
  std::uint32_t seen = 0;   ///< how often the kernel named it in the list that is being read
  std::uint8_t client = 0;  ///< netlink client that owns it; only that one may remove it
  /// The kernel may have removed it without us hearing of it: a new request for the same address
  /// makes it anew.
  bool doubtful = false;
  core::Microseconds since{0};
};

/// How many mappings a family and port have. Only the parts that are used take memory.
class PortCounts {
 public:
  /// Throws std::bad_alloc.
  PortCounts();
  [[nodiscard]] std::uint32_t& of(const Address& local);
  [[nodiscard]] std::uint32_t of(const Address& local) const;

 private:
  struct Free {
    void operator()(std::uint32_t* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<std::uint32_t[], Free> counts_;
};

class MappingTable {
 public:
  using Map = std::unordered_map<Address, Mapping, AddressHash>;

  /// The mapping of exactly this local address, the any-address included.
  [[nodiscard]] Mapping* find(const Address& local);
  /// The mapping a peer means by `asked`: of that address, else of the any-address with its port.
  [[nodiscard]] const Map::value_type* find_for_peer(const Address& asked) const;
  /// Whether another mapping stands in the way of a new one for `local`: the any-address excludes
  /// every address of that family and port, and the other way round.
  [[nodiscard]] bool clashes(const Address& local) const;
  [[nodiscard]] bool full() const { return map_.size() >= kMostMappings; }
  /// `local` must not be there yet.
  void insert(const Address& local, const Mapping& mapping);
  /// One reference less. Returns the mapping when that was the last one: its port is free then.
  /// Nothing happens if it is not there or belongs to another client.
  std::optional<Mapping> release(const Address& local, std::uint8_t client);
  /// Takes a mapping out, whatever its references.
  void erase(const Address& local);

  /// Before the kernel's list is read: nothing has been seen.
  void begin_list();
  /// What the kernel's list of `client` says goes, for mappings that were there before `before`:
  /// references are as many as were seen, and a mapping without any is removed and returned.
  /// Younger ones only gain references, because the kernel lists a mapping some time after it
  /// asked for it.
  struct Swept {
    std::vector<std::pair<Address, Mapping>> removed;
    std::vector<Address> changed;  ///< have other references than before
    bool young_unseen = false;     ///< a young one was not in the list: look again later
  };
  [[nodiscard]] Swept end_list(std::uint8_t client, core::Microseconds before);
  /// The kernel's list of `client` was not whole: mappings that were not in it are doubtful.
  void end_partial_list(std::uint8_t client);

  [[nodiscard]] const Map& all() const { return map_; }

 private:
  Map map_;
  PortCounts ports_;
};

}  // namespace rdmaboot::iwpm
