// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What is going on with peers: questions we asked, questions we accepted, and peers that are known
// not to answer. Every table has a bound; time is given by the caller.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "iwpm/netlink_codec.hpp"

namespace rdmaboot::iwpm {

/// A request is repeated this often until it is answered (rdma-core's time), with a jitter of up to
/// kRetryJitter, so that hosts that started together do not stay in step.
inline constexpr core::Microseconds kRetryInterval{1'000'000};
inline constexpr core::Microseconds kRetryJitter{100'000};
/// Nothing is repeated for longer, and an exchange that is over is remembered for so long.
inline constexpr core::Microseconds kExchangeLife{10'000'000};
/// Most open questions. Each has a thread behind it that waits in the kernel; one more is answered
/// at once as if the peer had no port mapper.
inline constexpr std::size_t kMostQueries = 16'384;
/// Most accepted exchanges that are remembered; the oldest makes room.
inline constexpr std::size_t kMostAccepted = 16'384;
/// The kernel hears of a peer when its request is accepted, as rdma-core does it, as long as so
/// many accepts at most are not acknowledged; beyond, with the acknowledgement. The kernel keeps
/// what it hears until the peer's connection comes, so requests with made-up sources would fill its
/// memory.
inline constexpr std::size_t kMostUnacknowledged = 64;
/// Most peers that are remembered for not answering; any makes room.
inline constexpr std::size_t kMostSilentPeers = 4'096;

/// A question to a peer.
struct Query {
  enum class Phase : std::uint8_t {
    kAsking,    ///< the kernel waits
    kProbing,   ///< the kernel has its answer, and the peer is asked only to learn whether it can
    kAnswered,  ///< accepted; remembered to acknowledge the accept again when it is repeated
  };
  std::uint64_t handle = 0;
  Phase phase = Phase::kAsking;
  std::uint8_t client = 0;
  std::uint32_t kernel_sequence = 0;
  Connection connection;          ///< mapped_remote once it is known
  core::Microseconds resend{0};   ///< when the request is sent again
  core::Microseconds give_up{0};  ///< when the kernel is told, if the phase is kAsking
  core::Microseconds expires{0};  ///< when the query is forgotten
};

/// Queries by handle and by the time at which something has to be done about them.
class QueryTable {
 public:
  [[nodiscard]] bool full() const { return by_handle_.size() >= kMostQueries; }
  [[nodiscard]] bool contains(std::uint64_t handle) const { return by_handle_.contains(handle); }
  /// A handle that is there already keeps its query.
  void insert(const Query& query);
  /// Nothing if there is none. Valid until the table changes.
  [[nodiscard]] const Query* find(std::uint64_t handle) const;
  /// Replaces the query of this handle.
  void update(const Query& query);
  void erase(std::uint64_t handle);
  /// The earliest time at which a query is due.
  [[nodiscard]] std::optional<core::Microseconds> next_due() const;
  /// Handles that are due at `now`, earliest first.
  [[nodiscard]] std::vector<std::uint64_t> due(core::Microseconds now) const;
  [[nodiscard]] std::size_t size() const { return by_handle_.size(); }
  /// How many of them the kernel waits for.
  [[nodiscard]] std::size_t waiting() const;

 private:
  static core::Microseconds due_of(const Query& query);

  std::unordered_map<std::uint64_t, Query> by_handle_;
  std::set<std::pair<core::Microseconds, std::uint64_t>> by_time_;
};

/// Requests of peers that were accepted, so that a repeated one is answered with the same accept
/// and the kernel hears of it once.
class AcceptedTable {
 public:
  /// An accepted request.
  struct Exchange {
    /// As the kernel has to hear of it: by what the listener is mapped from and to, a wildcard
    /// included, because that is what it looks for when the connection comes.
    Connection connection;
    Address given;  ///< the mapped address that the peer was told
    std::uint8_t client = 0;
    bool told = false;  ///< the kernel has heard of it
    bool acknowledged = false;
  };
  /// Null if this request was not accepted yet. Valid until the table changes.
  [[nodiscard]] const Exchange* find(std::uint64_t handle, const Address& peer) const;
  void insert(std::uint64_t handle, const Address& peer, const Exchange& exchange,
              core::Microseconds now);
  /// Notes that the peer has acknowledged the address that it was given. Returns the exchange as it
  /// was before; nothing if there is none with this address.
  std::optional<Exchange> acknowledge(std::uint64_t handle, const Address& peer,
                                      const Address& given);
  /// Forgets what is older than kExchangeLife.
  void expire(core::Microseconds now);
  /// When to call expire(): once a second at most.
  [[nodiscard]] std::optional<core::Microseconds> next_due() const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t unacknowledged() const { return unacknowledged_; }

 private:
  struct Key {
    std::uint64_t handle = 0;
    Address peer;  ///< without its port
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return keyed_hash(key.peer.ip, key.handle);
    }
  };
  void drop_oldest();

  std::unordered_map<Key, Exchange, KeyHash> entries_;
  std::deque<std::pair<core::Microseconds, Key>> by_age_;
  std::size_t unacknowledged_ = 0;
};

/// Peers that have no port mapper or do not answer.
class SilentPeers {
 public:
  /// Whether `peer` (its port does not count) is known not to answer.
  [[nodiscard]] bool contains(const Address& peer, core::Microseconds now) const;
  void insert(const Address& peer, core::Microseconds until, core::Microseconds now);
  void erase(const Address& peer);
  [[nodiscard]] std::size_t size() const { return until_.size(); }
  /// At most one probe at a time: whether the caller may start one that ends before `until`.
  [[nodiscard]] bool start_probe(const Address& peer, core::Microseconds until,
                                 core::Microseconds now);

 private:
  struct Entry {
    core::Microseconds until{0};
    core::Microseconds probed_until{0};
  };
  std::unordered_map<Address, Entry, AddressHash> until_;
};

}  // namespace rdmaboot::iwpm
