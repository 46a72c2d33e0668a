// SPDX-License-Identifier: BSD-2-Clause
#include "plan.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "sim/random.hpp"

namespace rdmaboot::tests {

using core::Microseconds;
using engine::Settings;
using sim::Random;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Action::Kind;

namespace {

constexpr std::uint64_t kImmediateBytes = 3976;  // the longest payload of an IMMEDIATE

constexpr std::array<std::string_view, 15> kNames{
    "put",         "get",          "ping",
    "close",       "port flap",    "removal",
    "fatal",       "address move", "queue pair error",
    "stray event", "no memory",    "crash",
    "kill",        "stop",         "pause",
};

bool one_in(Random& random, std::uint64_t n) {
  return random.below(n) == 0;
}

std::uint64_t length_of_transfer(Random& random) {
  switch (random.below(16)) {
    case 0:
      return 1 + random.below(16);
    case 1:
      // Both sides of the threshold between one message and an exchange.
      return kImmediateBytes - 2 + random.below(5);
    case 2:
    case 3:
    case 4:
      return 1 + random.below(kImmediateBytes);
    case 5:
      return one_in(random, 12) ? (1U << 20U) - 2 + random.below(3U << 20U)
                                : 1 + random.below(1U << 17U);
    default:
      return 1 + random.below(1U << 15U);
  }
}

std::uint16_t fragments(Random& random) {
  return static_cast<std::uint16_t>(one_in(random, 20) ? 257 : 1 + random.below(4));
}

Action traffic(Random& random, std::uint32_t hosts) {
  Action action;
  const auto kind = random.below(20);
  action.kind = kind < 9 ? Kind::kPut : kind < 18 ? Kind::kGet : Kind::kPing;
  action.host = static_cast<std::uint32_t>(random.below(hosts));
  action.other = static_cast<std::uint32_t>((action.host + 1 + random.below(hosts - 1)) % hosts);
  action.size = length_of_transfer(random);
  action.matched = !one_in(random, 16);
  action.fits = !one_in(random, 16);
  action.acknowledged = one_in(random, 3);
  action.registered = one_in(random, 2);
  action.once = one_in(random, 3);
  action.withdraw_early = one_in(random, 24);
  action.offset = one_in(random, 2) ? 0 : static_cast<std::uint32_t>(random.below(100));
  action.here_fragments = fragments(random);
  action.there_fragments = fragments(random);
  return action;
}

Action fault(Random& random, std::uint32_t hosts, std::uint64_t kinds) {
  constexpr std::array kFaults{Kind::kPortFlap,    Kind::kRemoveDevice,   Kind::kFatal,
                               Kind::kMoveAddress, Kind::kQueuePairError, Kind::kStrayEvent,
                               Kind::kNoMemory,    Kind::kCrash,          Kind::kKill,
                               Kind::kStop,        Kind::kPause,          Kind::kClose};
  Action action;
  do {
    action.kind = kFaults.at(random.below(kFaults.size()));
  } while (((kinds >> static_cast<unsigned>(action.kind)) & 1U) == 0);
  action.host = static_cast<std::uint32_t>(random.below(hosts));
  action.other = static_cast<std::uint32_t>((action.host + 1 + random.below(hosts - 1)) % hosts);
  action.size = 1 + random.below(40);
  // From a blink to longer than every time-out.
  action.length = Microseconds(std::uint64_t{1} << (7 + random.below(17)));
  action.flag = one_in(random, 2);
  return action;
}

HostPlan make_host(Random& random, bool calm) {
  HostPlan host;
  Settings& s = host.settings;
  s.peer_credits = static_cast<std::uint16_t>(one_in(random, 4)   ? 2 + random.below(3)
                                              : one_in(random, 3) ? 16
                                                                  : 8);
  s.concurrent_sends = static_cast<std::uint16_t>(one_in(random, 3) ? 1 + random.below(8) : 0);
  s.max_fragments = static_cast<std::uint16_t>(one_in(random, 6) ? 32 + random.below(64) : 257);
  s.versions = one_in(random, 6) ? engine::Versions::kOnly1 : engine::Versions::kBoth;
  s.tie_break = one_in(random, 4) ? engine::TieBreak::kNumeric : engine::TieBreak::kHash;
  s.checksum =
      one_in(random, 4) ? engine::MessageChecksum::kUnsignedChar : engine::MessageChecksum::kNone;
  s.connections_per_peer = static_cast<std::uint8_t>(one_in(random, 5) ? 2 + random.below(2) : 1);
  s.keys = one_in(random, 4)   ? engine::KeyPolicy::kBounce
           : one_in(random, 3) ? engine::KeyPolicy::kRegistration
                               : engine::KeyPolicy::kAuto;
  s.registration_bytes = one_in(random, 2) ? 4096 : 64U << 10U;
  s.pool_buffers = static_cast<std::uint32_t>(1 + random.below(3));
  s.pool_flush_trigger = static_cast<std::uint32_t>(one_in(random, 2) ? 1 : s.pool_buffers);
  s.pipeline = static_cast<std::uint32_t>(1 + random.below(8));
  s.inline_bytes = one_in(random, 3) ? 0 : 220;
  s.busy_poll = Microseconds(one_in(random, 4) ? 20 : 0);
  s.keepalive = one_in(random, 3) ? seconds(1) : seconds(100);
  s.timeout = calm ? seconds(20) : milliseconds(500 + random.below(4000));
  s.resolve_timeout = calm ? seconds(5) : milliseconds(200 + random.below(1000));
  s.connect_timeout = calm ? Microseconds(0) : Microseconds(milliseconds(300 + random.below(3000)));
  s.wait_margin = milliseconds(calm ? 10'000 : 500 + random.below(2000));
  s.drain_timeout = milliseconds(100);
  s.reconnect_longest = seconds(1);
  s.failover_sweep = seconds(2);
  s.multi_rail_ping = one_in(random, 4);
  host.limits = sim::DeviceModel::generous_limits();
  host.limits.windows_type_2 = one_in(random, 2);
  host.limits.relaxed_ordering = one_in(random, 2);
  if (one_in(random, 6)) {
    host.limits.max_queue_pair_requests = 300 + static_cast<std::uint32_t>(random.below(1500));
  }
  return host;
}

sim::NetworkModel make_weather(Random& random) {
  constexpr std::uint32_t kPercent = 10'000;  // in a million
  sim::NetworkModel model;
  const auto sometimes = [&random](std::uint32_t at_most) {
    return one_in(random, 2) ? 0U : static_cast<std::uint32_t>(random.below(at_most));
  };
  model.jitter = Microseconds(one_in(random, 2) ? 8 : 500);
  model.packet_loss = sometimes(3 * kPercent);
  model.ack_loss = sometimes(2 * kPercent);
  model.delayed = sometimes(5 * kPercent);
  model.cm_loss = sometimes(20 * kPercent);
  model.cm_duplicates = sometimes(20 * kPercent);
  model.cm_delayed = sometimes(20 * kPercent);
  model.odd_rejects = sometimes(5 * kPercent);
  model.address_in_use = sometimes(20 * kPercent);
  model.no_memory = sometimes(2 * kPercent);
  model.repeated_events = sometimes(10 * kPercent);
  model.late_events = sometimes(100 * kPercent);
  // The connection manager gives up late; most runs should see the loss, not its four seconds.
  model.cm_timeout = milliseconds(one_in(random, 4) ? 4295 : 50);
  return model;
}

}  // namespace

std::string to_string(const Action& action) {
  std::string text = std::to_string(action.at.count()) + " us: host " +
                     std::to_string(action.host) + " " +
                     std::string(kNames.at(static_cast<std::size_t>(action.kind)));
  const bool transfer = action.kind == Kind::kPut || action.kind == Kind::kGet;
  if (transfer || action.kind == Kind::kPing || action.kind == Kind::kClose) {
    text += " peer " + std::to_string(action.other);
  }
  if (transfer) {
    text += " of " + std::to_string(action.size) + " bytes at " + std::to_string(action.offset);
    text += action.matched ? "" : ", unmatched";
    text += action.fits ? "" : ", too long";
    text += action.acknowledged ? ", acknowledged" : "";
    text += action.registered ? ", registered" : "";
    text += action.once ? ", once" : "";
  } else if (action.length.count() != 0) {
    text += " for " + std::to_string(action.length.count()) + " us" + (action.flag ? ", hard" : "");
  }
  return text;
}

Plan make_plan(std::uint64_t seed) {
  // Not the world's own: what the plan draws must not depend on what the run draws.
  Random random(seed * 0x2545f4914f6cdd1dU + 1);
  Plan plan;
  plan.calm = one_in(random, 4);
  const auto hosts = static_cast<std::uint32_t>(one_in(random, 3) ? 3 + random.below(2) : 2);
  for (std::uint32_t i = 0; i < hosts; ++i) {
    plan.hosts.push_back(make_host(random, plan.calm));
    plan.hosts.back().settings.nid = engine::Nid::o2ib(address_of(i));
    plan.hosts.back().settings.random_seed = 1 + random.below(1U << 30U);
  }
  // Version 1 cannot negotiate fragments: who wants fewer refuses such a peer for good.
  const bool old_peers = std::any_of(
      plan.hosts.begin(), plan.hosts.end(),
      [](const HostPlan& host) { return host.settings.versions == engine::Versions::kOnly1; });
  for (HostPlan& host : plan.hosts) {
    host.limits.requester_speaks_first = seed % 4 == 0;  // of the whole network
    host.settings.max_fragments = old_peers ? 257 : host.settings.max_fragments;
  }
  plan.traffic_ends = milliseconds(1 + random.below(one_in(random, 3) ? 6000 : 300));
  const auto any_time = [&random, &plan] {
    return random.between(Microseconds(0), plan.traffic_ends);
  };
  const std::uint64_t transfers = 2 + random.below(one_in(random, 4) ? 60 : 14);
  Microseconds at = any_time();
  for (std::uint64_t i = 0; i < transfers; ++i) {
    Action action = traffic(random, hosts);
    action.at = at;
    plan.actions.push_back(action);
    if (!one_in(random, 3)) {
      at = any_time();  // else a burst
    }
  }
  if (!plan.calm) {
    plan.weather = make_weather(random);
    const std::uint64_t kinds = one_in(random, 2) ? ~std::uint64_t{0} : random.next() | 0x10U;
    const std::uint64_t faults = random.below(8);
    for (std::uint64_t i = 0; i < faults; ++i) {
      Action action = fault(random, hosts, kinds);
      action.at = any_time();
      plan.actions.push_back(action);
    }
  }
  std::stable_sort(plan.actions.begin(), plan.actions.end(),
                   [](const Action& a, const Action& b) { return a.at < b.at; });
  return plan;
}

}  // namespace rdmaboot::tests
