// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
//
// The mapping table against a list that is searched from one end to the other, and whole sessions
// against their bounds, whatever they are told.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "iwpm/saved.hpp"
#include "iwpm/session.hpp"
#include "iwpm_fakes.hpp"

namespace rdmaboot::iwpm {
namespace {

using namespace std::chrono_literals;
using core::Microseconds;
using test::at;
using test::FakeWorld;
using test::KernelSays;

/// Few addresses and ports, so that they meet.
Address any_address() {
  constexpr std::array<const char*, 5> kHosts{"10.0.0.1", "10.0.0.2", "0.0.0.0", "fd00::1", "::"};
  return at(kHosts.at(*rc::gen::inRange<std::size_t>(0, kHosts.size())),
            *rc::gen::inRange<std::uint16_t>(1, 4));
}

struct ModelEntry {
  Address local;
  std::uint32_t references = 1;
  std::uint8_t client = 0;
};

RC_GTEST_PROP(MappingTable, DoesWhatASimpleListDoes, ()) {
  MappingTable table;
  std::vector<ModelEntry> model;
  const auto find = [&](const Address& local) {
    return std::find_if(model.begin(), model.end(),
                        [&](const ModelEntry& entry) { return entry.local == local; });
  };
  const auto steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    const Address local = any_address();
    const auto client = *rc::gen::element<std::uint8_t>(2, 3);
    const bool clash = std::any_of(model.begin(), model.end(), [&](const ModelEntry& entry) {
      return entry.local.family == local.family && entry.local.port == local.port &&
             (entry.local == local || entry.local.is_wildcard() || local.is_wildcard());
    });
    RC_ASSERT(table.clashes(local) == clash);
    if (*rc::gen::arbitrary<bool>()) {
      const auto known = find(local);
      if (known != model.end()) {
        ++known->references;
        ++table.find(local)->references;
      } else if (!clash) {
        model.push_back({local, 1, client});
        Mapping mapping;
        mapping.mapped = local.with_port(1000);
        mapping.client = client;
        table.insert(local, mapping);
      }
    } else {
      const auto known = find(local);
      const bool owned = known != model.end() && known->client == client;
      const bool last = owned && known->references == 1;
      RC_ASSERT(table.release(local, client).has_value() == last);
      if (last) {
        model.erase(known);
      } else if (owned) {
        --known->references;
      }
    }
    RC_ASSERT(table.all().size() == model.size());
    const Address asked = any_address();
    auto wanted = find(asked);
    wanted = wanted == model.end() ? find(asked.with_ip({})) : wanted;
    const auto* const found = table.find_for_peer(asked);
    RC_ASSERT((found != nullptr) == (wanted != model.end()));
    if (found != nullptr) {
      RC_ASSERT(found->first == wanted->local);
      RC_ASSERT(found->second.references == wanted->references);
    }
  }
}

/// One thing that happens to a session.
void happen(Session& session, FakeWorld& world, core::ManualClock& clock) {
  const auto flags = *rc::gen::inRange<std::uint32_t>(0, 2);
  const auto peer = any_address().with_port(kMapperPort);
  switch (*rc::gen::inRange(0, 12)) {
    case 0:
      session.from_kernel(KernelSays::add(3, any_address(), flags));
      break;
    case 1:
    case 2:
      session.from_kernel(KernelSays::query(4, any_address(), any_address(), flags));
      break;
    case 3:
      session.from_kernel(KernelSays::remove(5, any_address()));
      break;
    case 4:
      session.from_kernel(KernelSays::mapinfo(6, any_address(), any_address(), flags));
      break;
    case 5:
      session.from_kernel(KernelSays::finished(*rc::gen::inRange<std::uint32_t>(0, 30)));
      break;
    case 6:
      session.kernel_overrun();
      break;
    case 7:
    case 8: {
      WireMessage message;
      message.type = *rc::gen::element(WireType::kRequest, WireType::kAccept, WireType::kAck,
                                       WireType::kReject);
      message.handle = *rc::gen::inRange<std::uint64_t>(0, 3);
      message.connecting = any_address();
      message.accepting = any_address();
      message.connecting_mapped = any_address();
      session.from_peer(*rc::gen::element(Via::kAsking, Via::kAnswering), peer,
                        encode(message).view());
      break;
    }
    case 9:
    case 10:
      if (!world.peers.empty()) {
        // The peer answers the last request of ours.
        const auto last = decode(world.peers.back().bytes);
        if (last) {
          WireMessage answer = *last;
          answer.type = *rc::gen::element(WireType::kAccept, WireType::kReject);
          session.from_peer(Via::kAsking, world.peers.back().peer, encode(answer).view());
          session.unreachable(world.peers.back().peer, world.peers.back().bytes);
        }
      }
      break;
    default:
      clock.advance(Microseconds(*rc::gen::inRange(0, 5'000'000)));
      session.deadline();
  }
}

RC_GTEST_PROP(SessionLife, EveryPortIsHeldByOneMappingAndAllEndsByItself, ()) {
  core::ManualClock clock;
  FakeWorld world;
  Session session({}, clock, world, 1);
  session.greet();
  const auto steps = *rc::gen::inRange(1, 80);
  for (int step = 0; step < steps; ++step) {
    happen(session, world, clock);
    std::size_t reserved = 0;
    for (const auto& [local, mapping] : session.mappings().all()) {
      RC_ASSERT(mapping.references > 0);
      reserved += mapping.reservation != kNoReservation ? 1U : 0U;
    }
    RC_ASSERT(reserved == world.held.size());
    RC_ASSERT(world.wrong_releases == 0);
    RC_ASSERT(session.queries().size() <= kMostQueries);
  }
  // A process that starts now finds what this one has.
  const auto recorded = parse_saved(world.recorded);
  RC_ASSERT(recorded.size() == session.mappings().all().size());
  for (const SavedMapping& saved : recorded) {
    const auto found = session.mappings().all().find(saved.local);
    RC_ASSERT(found != session.mappings().all().end());
    RC_ASSERT(found->second.references == saved.references);
  }
  // Left alone, everything but mappings ends within a bounded time and number of steps.
  int turns = 0;
  for (auto next = session.next_deadline(); next; next = session.next_deadline()) {
    clock.advance(std::max(Microseconds(0), *next - clock.now()));
    session.deadline();
    RC_ASSERT(++turns < 5000);
  }
  RC_ASSERT(session.queries().size() == 0);
  RC_ASSERT(session.accepted().size() == 0);
  RC_ASSERT(session.accepted().unacknowledged() == 0);
}

TEST(Bounds, AFloodOfAcceptedRequestsEndsInBoundedMemory) {
  core::ManualClock clock;
  FakeWorld world;
  world.keep = false;
  Settings settings;
  settings.rate_limit = 0;
  Session session(settings, clock, world, 1);
  session.from_kernel(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  WireMessage message;
  message.connecting = at("10.0.0.2", 1);
  message.accepting = at("10.0.0.1", 7200);
  message.connecting_mapped = message.connecting;
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    message.handle = i;
    session.from_peer(Via::kAnswering, at("10.0.0.2", 9), encode(message).view());
    ASSERT_LE(session.accepted().size(), kMostAccepted);
  }
  EXPECT_EQ(session.accepted().size(), kMostAccepted);
}

TEST(Bounds, AFloodOfQueriesEndsInBoundedMemoryAndEachIsAnswered) {
  core::ManualClock clock;
  FakeWorld world;
  world.keep = false;
  Session session({}, clock, world, 1);
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    Address remote = at("10.0.0.2", 7200);
    std::memcpy(remote.ip.data(), &i, sizeof(i));
    remote.ip[3] = 11;
    session.from_kernel(KernelSays::query(
        3, at("10.0.0.1", static_cast<std::uint16_t>(1 + i % 60'000)), remote, 1));
    ASSERT_LE(session.queries().size(), kMostQueries);
  }
  for (auto next = session.next_deadline(); next; next = session.next_deadline()) {
    clock.advance(std::max(Microseconds(0), *next - clock.now()));
    session.deadline();
  }
  EXPECT_EQ(world.kernel_count, 50'000U);
  EXPECT_EQ(session.queries().size(), 0U);
  EXPECT_LE(session.silent_peers().size(), kMostSilentPeers);
}

}  // namespace
}  // namespace rdmaboot::iwpm
