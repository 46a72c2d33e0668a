// SPDX-License-Identifier: BSD-2-Clause
#include "engine/admission.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>

#include "engine/credits.hpp"

namespace rdmaboot::engine {

namespace {

// Reasons of the InfiniBand connection manager (IBA 12.6.7.2).
constexpr int kCmInvalidService = 8;
constexpr int kCmStaleConnection = 10;
constexpr int kCmConsumerDefined = 28;

}  // namespace

core::Result<AllowedPeers> parse_allowed_peers(std::string_view text) {
  AllowedPeers peers;
  std::string nid(text);
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::size_t at = std::min(text.find('@', slash), text.size());
    const std::string_view digits = text.substr(slash + 1, at - slash - 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), peers.prefix_bits);
    if (error != std::errc{} || end != digits.data() + digits.size() || peers.prefix_bits > 32) {
      return core::fail("read peers to admit", text, 0, "a prefix of 0 to 32 bits");
    }
    nid.erase(slash, at - slash);
  }
  auto parsed = parse_nid(nid);
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  peers.nid = *parsed;
  return peers;
}

bool is_allowed(Nid nid, std::span<const AllowedPeers> allowed) {
  return allowed.empty() || std::any_of(allowed.begin(), allowed.end(), [&](const auto& entry) {
           const std::uint32_t mask =
               entry.prefix_bits == 0 ? 0 : ~std::uint32_t{0} << (32U - entry.prefix_bits);
           return (nid.value >> 32) == (entry.nid.value >> 32) &&
                  ((nid.ipv4() ^ entry.nid.ipv4()) & mask) == 0;
         });
}

std::uint64_t race_rank(Nid nid, TieBreak rule) {
  if (rule == TieBreak::kNumeric) {
    return nid.value;
  }
  // The kernel takes the address as it is stored, in network order, for an integer of the host,
  // and hosts that matter are little-endian.
  const std::uint32_t a = nid.ipv4();
  const std::uint32_t swapped = (a << 24) | ((a & 0xff00U) << 8) | ((a >> 8) & 0xff00U) | (a >> 24);
  return static_cast<std::uint32_t>(nid.value >> 32) ^ swapped;
}

bool refuses_race(Nid self, Nid requester, TieBreak rule, unsigned refusals_so_far) {
  return refusals_so_far < kMaxRaceRefusals && race_rank(requester, rule) < race_rank(self, rule);
}

Verdict judge_refusal(const event::Rejected& refusal, const Attempt& asked, Versions offers) {
  Verdict verdict;
  verdict.next = asked;
  if (refusal.reason == kCmInvalidService) {
    verdict.reason = CloseReason::kNobodyListens;
    verdict.detail = "nobody listens";
    return verdict;
  }
  if (refusal.reason == kCmStaleConnection) {
    // The peer's connection manager still has the connection of an earlier life of mine.
    verdict.what = AfterRefusal::kRetryLater;
    verdict.detail = "stale connection at the peer's connection manager";
    return verdict;
  }
  if (refusal.reason != kCmConsumerDefined) {
    verdict.detail = "connection manager's reason " + std::to_string(refusal.reason);
    return verdict;
  }
  const auto record = wire::decode_reject(refusal.private_data.view());
  if (!record) {
    // All zeros: another address of that device has a listener, this one has not (section 4.4).
    verdict.reason = CloseReason::kNobodyListens;
    verdict.detail = "no listener that speaks o2iblnd";
    return verdict;
  }
  verdict.detail = wire::to_string(record->why);
  const bool limits = record->limits.has_value();
  switch (record->why) {
    case wire::RejectReason::kRace:
      verdict.what = AfterRefusal::kRetryLater;
      break;
    case wire::RejectReason::kStale:
      verdict.what = AfterRefusal::kRetry;
      // Without an incarnation in the record I claim to know none, which is never wrong.
      verdict.next.peer_incarnation = limits ? record->limits->incarnation : 0;
      break;
    case wire::RejectReason::kFragments:
      if (limits && record->limits->limits.max_fragments > 0 &&
          record->limits->limits.max_fragments < asked.max_fragments) {
        verdict.what = AfterRefusal::kRetry;
        verdict.next.max_fragments = record->limits->limits.max_fragments;
      }
      break;
    case wire::RejectReason::kQueueDepth:
      if (limits && record->limits->limits.queue_depth > 0 &&
          record->limits->limits.queue_depth < asked.queue_depth) {
        verdict.what = AfterRefusal::kRetry;
        verdict.next.queue_depth = record->limits->limits.queue_depth;
      }
      break;
    case wire::RejectReason::kUncompatible:
    case wire::RejectReason::kFatal:
      if (record->version == static_cast<std::uint16_t>(wire::Version::k1) &&
          asked.version == wire::Version::k2 && offers == Versions::kBoth) {
        verdict.what = AfterRefusal::kRetry;
        verdict.next.version = wire::Version::k1;
        verdict.next.queue_depth = wire::kVersion1Depth;
        verdict.next.max_fragments = wire::kMaxFragments;
      }
      break;
    case wire::RejectReason::kNoResources:
    case wire::RejectReason::kEarly:
      break;
  }
  return verdict;
}

std::uint64_t Jitter::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Duration back_off(unsigned failures, const Settings& settings, Jitter& jitter) {
  if (failures == 0) {
    return Duration{0};
  }
  const unsigned doublings = std::min(failures - 1, 20U);
  const auto whole = static_cast<std::uint64_t>(
      std::min(settings.reconnect_longest.count(), settings.reconnect_first.count() << doublings));
  return Duration(static_cast<std::int64_t>(whole - jitter.below(whole / 2 + 1)));
}

QueueLimits queue_limits(std::uint16_t depth, std::uint16_t max_fragments, wire::Version version,
                         const Settings& settings, const DeviceLimits& device) {
  QueueLimits limits;
  limits.send_requests = max_fragments + kRequestsBesideWrites + depth * kRequestsPerCredit;
  limits.receive_requests = receives_of(version, depth);
  if (device.max_queue_pair_requests > 0) {
    limits.send_requests = std::min(limits.send_requests, device.max_queue_pair_requests);
  }
  limits.segments =
      device.max_segments == 0 ? kMaxSegments : std::min(kMaxSegments, device.max_segments);
  limits.inline_bytes = settings.inline_bytes;
  limits.completions = limits.send_requests + limits.receive_requests;
  return limits;
}

Duration connect_timeout(const Settings& settings) {
  if (settings.connect_timeout > Duration{0}) {
    return settings.connect_timeout;
  }
  return std::max<Duration>(std::chrono::seconds(5), settings.timeout / 4);
}

core::Result<void> check(const Settings& s) {
  struct Rule {
    bool holds;
    std::string_view setting;
    std::string_view expected;
  };
  const Duration zero{0};
  const Rule rules[] = {
      {s.nid.type() == Nid::kTypeO2ib && s.nid.value >> 56 == 0 && s.nid.ipv4() != 0, "nid",
       "an address on an o2ib network"},
      {s.port != 0, "port", "1 to 65535"},
      {s.backlog >= 0, "backlog", "0 or more"},
      {s.incarnation != 0, "incarnation", "not 0; see incarnation_now()"},
      {s.peer_credits >= 2 && s.peer_credits <= wire::kMaxDepth, "peer_credits", "2 to 255"},
      {s.peer_credits_high_water < s.peer_credits, "peer_credits_high_water",
       "less than peer_credits"},
      {s.max_fragments >= 1 && s.max_fragments <= wire::kMaxFragments, "max_fragments", "1 to 257"},
      {s.retry_count <= 7, "retry_count", "0 to 7"},
      {s.receiver_not_ready_retries <= 7, "receiver_not_ready_retries", "0 to 7"},
      {s.timeout > zero, "timeout", "more than 0"},
      {s.resolve_timeout > zero, "resolve_timeout", "more than 0"},
      {s.connect_timeout >= zero, "connect_timeout", "0 or more"},
      {s.wait_margin >= zero, "wait_margin", "0 or more"},
      {s.keepalive >= zero, "keepalive", "0 or more"},
      {s.drain_timeout > zero, "drain_timeout", "more than 0"},
      {s.reconnect_first > zero, "reconnect_first", "more than 0"},
      {s.reconnect_longest >= s.reconnect_first, "reconnect_longest", "reconnect_first or more"},
      {s.failover_sweep > zero, "failover_sweep", "more than 0"},
      {s.connections_per_peer >= 1 && s.connections_per_peer <= 16, "connections_per_peer",
       "1 to 16"},
      {s.max_peers > 0, "max_peers", "more than 0"},
      {s.max_connections > 0, "max_connections", "more than 0"},
      {s.max_connections_of_a_peer >= s.connections_per_peer, "max_connections_of_a_peer",
       "connections_per_peer or more"},
      {s.max_half_open > 0, "max_half_open", "more than 0"},
      {s.max_half_open_of_a_peer > 0, "max_half_open_of_a_peer", "more than 0"},
      {s.max_transfers > 0, "max_transfers", "more than 0"},
      {s.pipeline >= 1, "pipeline", "1 or more"},
      {s.pool_flush_trigger >= 1, "pool_flush_trigger", "1 or more"},
      {s.pool_age > zero, "pool_age", "more than 0"},
      {s.busy_poll >= zero, "busy_poll", "0 or more"},
  };
  for (const Rule& rule : rules) {
    if (!rule.holds) {
      return core::fail("use setting", rule.setting, EINVAL, rule.expected);
    }
  }
  for (const AllowedPeers& entry : s.allowed) {
    if (entry.prefix_bits > 32) {
      return core::fail("use setting", "allowed", EINVAL, "prefixes of 0 to 32 bits");
    }
  }
  return {};
}

}  // namespace rdmaboot::engine
