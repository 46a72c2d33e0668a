// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// Two ledgers joined by a pipe that loses nothing, under any schedule: no message meets a side
// without a posted receive, no credit is lost or made, and everything that waits gets through.
#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "engine/credits.hpp"

namespace rdmaboot::engine {
namespace {

using wire::Type;
using wire::Version;

struct Sent {
  Type type = Type::kNoop;
  std::uint8_t credits = 0;
};

bool pays(Type type, Version version) {
  const Toll toll = toll_of(type);
  return toll == Toll::kCredit || (toll == Toll::kNoop && version == Version::k1);
}

/// One side: its ledger, its queues in the order of service, and its receives.
struct Side {
  CreditLedger ledger;
  unsigned receives;  ///< posted now

  std::deque<Type> wait_exchange{};
  std::deque<Type> paying{};
  std::deque<Type> answers{};
  std::deque<Toll> uncompleted{};  ///< posted, oldest first
  unsigned delivered = 0;          ///< of them, how many have arrived and may complete
  std::deque<Sent> pipe{};         ///< under way to the other side
  std::deque<Sent> arrived{};      ///< in a receive, not looked at yet
  std::vector<Type> held{};        ///< looked at, its buffer not posted again yet
  unsigned puts_open = 0;          ///< acknowledged to the other side, not done
};

/// What a schedule may do, with a weight for each side.
enum Act : std::uint8_t { kEnqueue, kPost, kDeliver, kComplete, kLook, kRepost, kKeepalive, kActs };

class Pair {
 public:
  Pair(const CreditTerms& a, const CreditTerms& b, std::uint64_t seed)
      : sides_{Side{CreditLedger(a), receives_of(a.version, a.depth)},
               Side{CreditLedger(b), receives_of(b.version, b.depth)}},
        random_(seed) {}

  void step(unsigned who, Act act) {
    const std::uint64_t before = moves_;
    switch (act) {
      case kEnqueue:
        enqueue(who);
        break;
      case kPost:
        post(who, false);
        break;
      case kDeliver:
        deliver(who);
        break;
      case kComplete:
        complete(who);
        break;
      case kLook:
        look(who);
        break;
      case kRepost:
        repost(who);
        break;
      case kKeepalive:
        // Its interval is long: by then the NOOPs before it have been looked at, and their receives
        // posted again. Other messages may be held for longer.
        if (!noops_on_the_way(who)) {
          post(who, true);
        }
        break;
      case kActs:
        break;
    }
    if (moves_ != before) {
      check();
    }
  }

  /// Everybody does what there is to do, until there is nothing.
  void drain() {
    bool moved = true;
    for (unsigned round = 0; moved; ++round) {
      RC_ASSERT(round < 100000U);  // something goes back and forth for ever
      moved = false;
      for (const unsigned who : {0U, 1U}) {
        for (const Act act : {kPost, kDeliver, kComplete, kLook, kRepost}) {
          const std::uint64_t before = moves_;
          step(who, act);
          moved = moved || moves_ != before;
        }
      }
    }
  }

  void check_done() const {
    for (const Side& side : sides_) {
      RC_ASSERT(side.wait_exchange.empty());
      RC_ASSERT(side.paying.empty());
      RC_ASSERT(side.answers.empty());
      RC_ASSERT(side.uncompleted.empty());
      RC_ASSERT(side.ledger.posted() == 0U);
      RC_ASSERT(side.ledger.noops_posted() == 0U);
      RC_ASSERT(side.ledger.reserved() == side.ledger.depth());
      RC_ASSERT(side.receives == receives_of(side.ledger.version(), side.ledger.depth()));
      RC_ASSERT(side.puts_open == 0U);
    }
    for (const unsigned who : {0U, 1U}) {
      RC_ASSERT(sides_.at(who).ledger.credits() + sides_.at(1 - who).ledger.owed() ==
                sides_.at(who).ledger.depth());
      RC_ASSERT(sides_.at(who).ledger.credits() == sides_.at(1 - who).ledger.peer_credits());
    }
  }

  [[nodiscard]] std::uint64_t noops() const { return noops_; }
  [[nodiscard]] std::uint64_t paid() const { return paid_; }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void enqueue(unsigned who) {
    Side& side = sides_.at(who);
    switch (below(3)) {
      case 0:
        side.paying.push_back(Type::kImmediate);
        break;
      case 1:
        side.wait_exchange.push_back(Type::kPutRequest);
        break;
      default:
        side.wait_exchange.push_back(Type::kGetRequest);
        break;
    }
  }

  void post(unsigned who, bool keepalive_due) {
    Side& side = sides_.at(who);
    while (!side.wait_exchange.empty() && side.ledger.may_open_exchange()) {
      side.ledger.open_exchange();
      side.paying.push_back(side.wait_exchange.front());
      side.wait_exchange.pop_front();
    }
    const Waiting waiting{.answers = !side.answers.empty(), .paying = !side.paying.empty()};
    if (waiting.answers && side.ledger.may_post(Toll::kFree)) {
      send(who, side.answers.front());
      side.answers.pop_front();
    } else if (side.ledger.noop_due(waiting, keepalive_due)) {
      ++noops_;
      send(who, Type::kNoop);
    } else if (waiting.paying && side.ledger.may_post(Toll::kCredit)) {
      ++paid_;
      send(who, side.paying.front());
      side.paying.pop_front();
    }
  }

  void send(unsigned who, Type type) {
    Side& side = sides_.at(who);
    const Toll toll = toll_of(type);
    if (below(16) == 0) {  // the first attempt fails
      side.ledger.undo_post(toll, side.ledger.post(toll));
      RC_ASSERT(side.ledger.may_post(toll));
    }
    side.pipe.push_back({type, side.ledger.post(toll)});
    side.uncompleted.push_back(toll);
    RC_ASSERT(side.ledger.posted() <= side.ledger.concurrent_sends());
    ++moves_;
  }

  void deliver(unsigned who) {
    Side& side = sides_.at(who);
    Side& other = sides_.at(1 - who);
    if (side.pipe.empty()) {
      return;
    }
    RC_ASSERT(other.receives > 0U);  // otherwise: receiver not ready
    --other.receives;
    other.arrived.push_back(side.pipe.front());
    side.pipe.pop_front();
    ++side.delivered;
    ++moves_;
  }

  void complete(unsigned who) {
    Side& side = sides_.at(who);
    if (side.delivered == 0) {
      return;
    }
    --side.delivered;
    side.ledger.completed(side.uncompleted.front());
    side.uncompleted.pop_front();
    ++moves_;
  }

  void look(unsigned who) {
    Side& side = sides_.at(who);
    if (side.arrived.empty()) {
      return;
    }
    const Sent message = side.arrived.front();
    side.arrived.pop_front();
    RC_ASSERT(side.ledger.received(message.type, message.credits).has_value());
    side.held.push_back(message.type);
    ++moves_;
  }

  void repost(unsigned who) {
    Side& side = sides_.at(who);
    if (side.held.empty()) {
      return;
    }
    const auto at = side.held.begin() + static_cast<std::ptrdiff_t>(below(side.held.size()));
    const Type type = *at;
    side.held.erase(at);
    ++side.receives;
    const bool acknowledged = type == Type::kPutRequest && below(2) == 0;
    side.ledger.reposted(type, acknowledged);
    if (type == Type::kPutRequest) {
      side.answers.push_back(acknowledged ? Type::kPutAck : Type::kPutNak);
      side.puts_open += acknowledged ? 1 : 0;
    } else if (type == Type::kGetRequest) {
      side.answers.push_back(Type::kGetDone);
    } else if (type == Type::kPutAck) {
      side.answers.push_back(Type::kPutDone);
    } else if (type == Type::kPutDone) {
      --side.puts_open;
    }
    ++moves_;
  }

  /// NOOPs of that side whose receives the other has not posted again.
  [[nodiscard]] bool noops_on_the_way(unsigned who) const {
    const auto is_noop = [](const Sent& sent) { return sent.type == Type::kNoop; };
    const Side& side = sides_.at(who);
    const Side& other = sides_.at(1 - who);
    return std::any_of(side.pipe.begin(), side.pipe.end(), is_noop) ||
           std::any_of(other.arrived.begin(), other.arrived.end(), is_noop) ||
           std::find(other.held.begin(), other.held.end(), Type::kNoop) != other.held.end();
  }

  /// Each credit of a side is in exactly one place.
  void check() const {
    for (const unsigned who : {0U, 1U}) {
      const Side& side = sides_.at(who);
      const Side& other = sides_.at(1 - who);
      const Version version = side.ledger.version();
      const auto taking = [&](const Sent& sent) { return pays(sent.type, version); };
      const auto given = [](const std::deque<Sent>& where) {
        std::size_t sum = 0;
        for (const Sent& sent : where) {
          sum += sent.credits;
        }
        return sum;
      };
      const auto under_way = std::count_if(side.pipe.begin(), side.pipe.end(), taking) +
                             std::count_if(other.arrived.begin(), other.arrived.end(), taking) +
                             std::count_if(other.held.begin(), other.held.end(),
                                           [&](Type type) { return pays(type, version); });
      RC_ASSERT(side.ledger.credits() + side.ledger.held_credits() +
                    static_cast<std::size_t>(under_way) + other.puts_open + other.ledger.owed() +
                    given(other.pipe) + given(side.arrived) ==
                side.ledger.depth());
    }
  }

  std::array<Side, 2> sides_;
  std::mt19937_64 random_;
  std::uint64_t moves_ = 0;
  std::uint64_t noops_ = 0;
  std::uint64_t paid_ = 0;
};

CreditTerms any_terms(Version version, std::uint16_t depth) {
  return {.version = version,
          .depth = depth,
          .configured_high_water = *rc::gen::inRange<std::uint16_t>(0, 256),
          .configured_depth = *rc::gen::inRange<std::uint16_t>(8, 256),
          .concurrent_sends = *rc::gen::inRange<std::uint16_t>(0, 64)};
}

/// A schedule of its own for each case: some sides hardly look, hardly post, never complete.
void run_any_schedule(Version version, std::uint16_t depth) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  std::mt19937_64 random(seed);
  Pair pair(any_terms(version, depth), any_terms(version, depth), seed);
  std::array<std::array<unsigned, kActs>, 2> weights{};
  for (auto& side : weights) {
    for (unsigned& weight : side) {
      weight = std::array{0U, 1U, 4U, 16U}.at(random() % 4);
    }
    side[kKeepalive] = std::min(side[kKeepalive], 1U);
  }
  weights[0][kEnqueue] += 1;
  std::vector<std::pair<unsigned, Act>> choices;
  for (const unsigned who : {0U, 1U}) {
    for (unsigned act = 0; act < kActs; ++act) {
      choices.insert(choices.end(), weights.at(who).at(act), {who, static_cast<Act>(act)});
    }
  }
  const unsigned steps = 20U * depth + 300;
  for (unsigned step = 0; step < steps; ++step) {
    const auto [who, act] = choices[random() % choices.size()];
    pair.step(who, act);
  }
  pair.drain();
  pair.check_done();
  // Credits come back in handfuls: a storm of NOOPs is no way to give them back (D3).
  RC_ASSERT(pair.noops() <= 2 * pair.paid() + steps / 8);
}

RC_GTEST_PROP(CreditLedgers, OfVersionTwoNeverStarveAndNeverOverrun, ()) {
  // Small depths are where the rounding is.
  run_any_schedule(Version::k2,
                   *rc::gen::weightedOneOf<std::uint16_t>(
                       {{30, rc::gen::inRange(wire::least_depth(Version::k2), std::uint16_t{12})},
                        {1, rc::gen::inRange<std::uint16_t>(12, 256)}}));
}

RC_GTEST_PROP(CreditLedgers, OfVersionOneNeverStarveAndNeverOverrun, ()) {
  run_any_schedule(Version::k1,
                   *rc::gen::inRange(wire::least_depth(Version::k1), std::uint16_t{9}));
}

}  // namespace
}  // namespace rdmaboot::engine
