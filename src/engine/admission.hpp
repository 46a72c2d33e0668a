// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Decisions about peers, from plain data: who may connect, who wins a race, what to do about a
// refusal, how long to wait before the next attempt.

#include <cstdint>
#include <optional>
#include <string>

#include "engine/fabric.hpp"
#include "engine/wire_connect.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

// ---- Whom to admit -----------------------------------------------------------------------------

/// @param allowed empty: everybody
[[nodiscard]] bool is_allowed(Nid nid, std::span<const AllowedPeers> allowed);

// ---- Races (section 10) ------------------------------------------------------------------------

/// So many refusals in a row for a race; then the other side wins, because its own attempt may be
/// the one that is stuck (LU-7646).
inline constexpr unsigned kMaxRaceRefusals = 20;

/// What a NID counts as when two connect at once.
[[nodiscard]] std::uint64_t race_rank(Nid nid, TieBreak rule);

/// I have an attempt under way and the peer's request comes: whether I refuse it.
[[nodiscard]] bool refuses_race(Nid self, Nid requester, TieBreak rule, unsigned refusals_so_far);

// ---- Refusals, as the connector sees them (section 4.4) ----------------------------------------

/// What a connector asked for and knows.
struct Attempt {
  wire::Version version = wire::Version::k2;
  std::uint16_t queue_depth = wire::kDefaultDepth;
  std::uint16_t max_fragments = wire::kMaxFragments;
  std::uint64_t peer_incarnation = 0;
};

enum class AfterRefusal : std::uint8_t {
  kGiveUp,      ///< what waits fails
  kRetry,       ///< at once, with `next`
  kRetryLater,  ///< the peer's own connection may come first
};

struct Verdict {
  AfterRefusal what = AfterRefusal::kGiveUp;
  Attempt next;
  CloseReason reason = CloseReason::kRejected;
  std::string detail;
};

/// @param offers which versions may be spoken
[[nodiscard]] Verdict judge_refusal(const event::Rejected& refusal, const Attempt& asked,
                                    Versions offers);

// ---- Back-off ----------------------------------------------------------------------------------

/// A small generator for jitter (SplitMix64): not for secrets.
class Jitter {
 public:
  explicit Jitter(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// Uniform in [0, below); 0 if below is 0.
  std::uint64_t below(std::uint64_t below) { return below == 0 ? 0 : next() % below; }

 private:
  std::uint64_t state_;
};

/// How long to wait after so many failures in a row: doubles, bounded, and between half and all of
/// that, so that peers that lost the same switch do not come back in step. 0 failures: 0.
[[nodiscard]] Duration back_off(unsigned failures, const Settings& settings, Jitter& jitter);

// ---- Queues ------------------------------------------------------------------------------------

/// What a connection asks its queue pair for (section 7). The send queue is not the kernel's
/// depth * (1 + fragments + 2), which is there so that it can never fill: ours is counted, so it
/// holds the longest chain and a few messages for every credit, and who does not fit waits.
/// @param receives posted before connecting
[[nodiscard]] QueueLimits queue_limits(std::uint16_t depth, std::uint16_t max_fragments,
                                       wire::Version version, const Settings& settings,
                                       const DeviceLimits& device);

/// Requests that one message can need beside its writes: bind or invalidate, and the send.
inline constexpr unsigned kRequestsBesideWrites = 3;
/// Places in the send queue for each credit.
inline constexpr unsigned kRequestsPerCredit = 8;

/// The checks of Engine::start(). Errors: EINVAL, naming the setting.
[[nodiscard]] core::Result<void> check(const Settings& settings);

/// Settings::connect_timeout, or what 0 means.
[[nodiscard]] Duration connect_timeout(const Settings& settings);

}  // namespace rdmaboot::engine
