// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-sim
// Two engines on a simulated network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <tuple>

#include "engine/scatter.hpp"
#include "engine_fixtures.hpp"

namespace {

using namespace rdmaboot;
using namespace rdmaboot::engine;
using namespace rdmaboot::engine::fixtures;
using namespace std::chrono_literals;

/// Size, piece of this side, piece of the other side, windows, registered.
using Shape = std::tuple<std::size_t, std::size_t, std::size_t, bool, bool>;

class EveryShape : public EnginePair, public testing::WithParamInterface<Shape> {
 protected:
  EveryShape() : EnginePair(std::get<3>(GetParam())) {}
  void SetUp() override {
    const auto& [size, piece_here, piece_there, windows, registered] = GetParam();
    start();
    mine = cut_up(here, size, piece_here);
    theirs = cut_up(there, size, piece_there);
    if (registered) {
      ASSERT_TRUE(engines[0]->register_memory(here));
      ASSERT_TRUE(engines[1]->register_memory(there));
    }
    expose(theirs);
  }
  void TearDown() override {
    EXPECT_TRUE(network.recorder.faults.empty());
    engines[0]->stop();
    engines[1]->stop();
    engines[0].reset();
    engines[1].reset();
    EXPECT_EQ(network.world.live(network.hosts[0]), sim::LiveObjects{});
    EXPECT_EQ(network.world.live(network.hosts[1]), sim::LiveObjects{});
  }
  std::vector<iovec> mine;
  std::vector<iovec> theirs;
};

TEST_P(EveryShape, APutArrivesWholeAndIsAcknowledged) {
  fill(mine, 3);
  PutOptions options{kPortal, kBits};
  options.acknowledged = true;
  ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, options));
  run(1s);
  const TransferResult ended = result();
  EXPECT_EQ(ended.status, TransferStatus::kOk);
  EXPECT_EQ(ended.bytes, total_bytes(mine));
  EXPECT_TRUE(flat(mine) == flat(theirs));
  EXPECT_FALSE(network.world.exposed(network.hosts[1], there.data(), there.size()));
}

TEST_P(EveryShape, AGetFetchesTheWhole) {
  fill(theirs, 4);
  ASSERT_TRUE(engines[0]->get(Network::nid(1), mine, GetOptions{kPortal, kBits}));
  run(1s);
  EXPECT_EQ(result().status, TransferStatus::kOk);
  EXPECT_TRUE(flat(mine) == flat(theirs));
  EXPECT_FALSE(network.world.exposed(network.hosts[0], here.data(), here.size()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, EveryShape,
                         testing::Values(Shape{1, 1, 1, true, false},
                                         Shape{3976, 100, 3976, true, false},
                                         Shape{3977, 3977, 3977, true, true},
                                         Shape{3977, 100, 50, false, true},
                                         Shape{65536, 65536, 65536, true, true},
                                         Shape{65536, 65536, 65536, false, false},
                                         Shape{1 << 20, 4096, 1 << 20, true, true},
                                         Shape{1 << 20, 4097, 4093, false, true},
                                         Shape{1 << 20, 1 << 20, 1 << 20, true, true},
                                         Shape{(5 << 20) + 17, 10'000, 70'000, true, true},
                                         Shape{(9 << 20) + 1, 9 << 21, 9 << 21, true, true},
                                         Shape{(3 << 20) + 1, 1000, 1000, false, false}));

TEST_F(EnginePair, APingTellsThePrimaryNid) {
  start();
  struct Seen {
    int count = 0;
    PingReply reply;
  } seen;
  ASSERT_TRUE(engines[0]->ping(
      Network::nid(1), {[](void* context, const TransferResult& ended, const PingReply* reply) {
                          EXPECT_EQ(ended.status, TransferStatus::kOk);
                          auto* what = static_cast<Seen*>(context);
                          ++what->count;
                          what->reply = *reply;
                        },
                        &seen}));
  run();
  ASSERT_EQ(seen.count, 1);
  ASSERT_EQ(seen.reply.count, 1U);
  EXPECT_EQ(seen.reply.nids[0], Network::nid(1));
  EXPECT_TRUE(seen.reply.up[0]);
}

TEST_F(EnginePair, AnUnmatchedGetByRdmaEndsAtOnce) {
  start();
  auto sink = cut_up(here, 5000, 5000);
  ASSERT_TRUE(engines[0]->get(Network::nid(1), sink, GetOptions{kPortal, 1}));
  run();
  EXPECT_EQ(result().status, TransferStatus::kNotMatched);
}

TEST_F(EnginePair, SimultaneousConnectsLeaveNobodyWaitingUnderEveryMixOfRules) {
  for (const TieBreak first : {TieBreak::kHash, TieBreak::kNumeric}) {
    for (const TieBreak second : {TieBreak::kHash, TieBreak::kNumeric}) {
      settings[0].tie_break = first;
      settings[1].tie_break = second;
      start();
      int answered = 0;
      const WhenPinged count{[](void* context, const TransferResult& ended, const PingReply*) {
                               EXPECT_EQ(ended.status, TransferStatus::kOk);
                               ++*static_cast<int*>(context);
                             },
                             &answered};
      ASSERT_TRUE(engines[0]->ping(Network::nid(1), count));
      ASSERT_TRUE(engines[1]->ping(Network::nid(0), count));
      run(2s);
      EXPECT_EQ(answered, 2);
      engines[0].reset();
      engines[1].reset();
    }
  }
}

/// Over iWARP who accepted a connection must not send before something came.
class IwarpPair : public EnginePair {
 protected:
  IwarpPair() : EnginePair(false, true) {}
  void TearDown() override { EXPECT_TRUE(network.recorder.faults.empty()); }
  static void count_ok(void* context, const TransferResult& ended, const PingReply*) {
    *static_cast<int*>(context) += ended.status == TransferStatus::kOk ? 1 : 0;
  }
};

TEST_F(IwarpPair, WhoAcceptedKeepsSilentUntilItIsSpokenTo) {
  for (int round = 0; round < 20; ++round) {
    start();
    int answered = 0;
    ASSERT_TRUE(engines[0]->ping(Network::nid(1), {&count_ok, &answered}));
    ASSERT_TRUE(engines[1]->ping(Network::nid(0), {&count_ok, &answered}));
    run(2s);
    EXPECT_EQ(answered, 2);
    engines[0].reset();
    engines[1].reset();
  }
}

TEST_F(IwarpPair, WhoAskedSpeaksFirstAlsoWithNothingToSay) {
  settings[0].connections_per_peer = 3;
  settings[0].keepalive = Duration{0};
  start();
  int answered = 0;
  ASSERT_TRUE(engines[0]->ping(Network::nid(1), {&count_ok, &answered}));
  run(100ms);
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(engines[0]->statistics().noops_sent, 2U);
  // Once more, for a device that has not looked at the first; not where an answer came.
  run(2s);
  EXPECT_EQ(engines[0]->statistics().noops_sent, 4U);
  // By turns over all three.
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(engines[1]->ping(Network::nid(0), {&count_ok, &answered}));
  }
  run(2s);
  EXPECT_EQ(answered, 4);
  const auto peers = engines[1]->peers();
  for (const ConnectionInfo& c : peers.at(0).connections) {
    EXPECT_GT(c.messages_sent, 0U);
  }
}

TEST_F(EnginePair, SeveralConnectionsShareTheSlices) {
  settings[0].connections_per_peer = 3;
  start();
  auto mine = cut_up(here, 12 << 20, 12 << 20);
  auto theirs = cut_up(there, 12 << 20, 12 << 20);
  ASSERT_TRUE(engines[0]->register_memory(here));
  expose(theirs);
  ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, PutOptions{kPortal, kBits}));
  run(2s);
  ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, PutOptions{kPortal, kBits}));
  run(2s);
  const auto peers = engines[0]->peers();
  ASSERT_EQ(peers.at(0).connections.size(), 3U);
  for (const ConnectionInfo& c : peers[0].connections) {
    EXPECT_GT(c.bytes_written, 0U);
  }
}

TEST_F(EnginePair, AnAnswerDoesNotWaitForTheDataThatWaits) {
  start();
  auto mine = cut_up(here, 8 << 20, 8 << 20);
  auto theirs = cut_up(there, 8 << 20, 8 << 20);
  expose(theirs);
  std::vector<std::byte> back(10'000);
  const iovec all{back.data(), back.size()};
  expose({&all, 1}, 0);
  ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, PutOptions{kPortal, kBits}));
  const auto step_until = [&](auto&& condition) {
    for (int steps = 0; steps < 10'000 && !condition(); ++steps) {
      run(1us);
    }
  };
  const auto written = [&] { return engines[0]->statistics().bytes_written; };
  step_until([&] { return written() > 0; });
  ASSERT_LT(written(), 4U << 20);
  // What host 1 wants to put now has to be granted by host 0, which has more to write than it
  // posts.
  std::vector<std::byte> small(10'000, std::byte{5});
  const iovec range{small.data(), small.size()};
  ASSERT_TRUE(engines[1]->put(Network::nid(0), {&range, 1}, PutOptions{kPortal, kBits}));
  TransferResult one;
  step_until([&] { return engines[1]->poll({&one, 1}) == 1; });
  EXPECT_EQ(one.status, TransferStatus::kOk);
  EXPECT_LT(written(), 8U << 20);
  run(1s);
  EXPECT_EQ(result().status, TransferStatus::kOk);
  EXPECT_EQ(back, small);
}

TEST_F(EnginePair, Version1PeersGetThrough) {
  settings[0].versions = Versions::kOnly1;
  start();
  auto mine = cut_up(here, 100'000, 1000);
  auto theirs = cut_up(there, 100'000, 777);
  expose(theirs);
  fill(mine, 1);
  PutOptions options{kPortal, kBits};
  options.acknowledged = true;
  ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, options));
  run(1s);
  EXPECT_EQ(result().status, TransferStatus::kOk);
  EXPECT_TRUE(flat(mine) == flat(theirs));
  EXPECT_EQ(engines[0]->peers()[0].connections[0].version, 1);
}

TEST_F(EnginePair, StopCompletesEveryTransferOnce) {
  start();
  auto mine = cut_up(here, 5 << 20, 5 << 20);
  auto theirs = cut_up(there, 5 << 20, 5 << 20);
  expose(theirs);
  int ended = 0;
  const WhenDone count{[](void* context, const TransferResult&) { ++*static_cast<int*>(context); },
                       &ended};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, PutOptions{kPortal, kBits}, count));
  }
  run(300us);
  engines[0]->stop();
  EXPECT_EQ(ended, 10);
}

/// An engine that is stopped, or told to close the peer, so long after the beginning of a GET of
/// four slices with one exchange at once. @return how often it completed, and with what
std::pair<int, TransferStatus> cut_off_after(Duration time, bool stop) {
  struct Ended {
    int times = 0;
    TransferStatus status{};
  } ended;
  std::vector<std::byte> memory(4U << 20);
  std::vector<std::byte> sink(4U << 20);
  Network network;
  std::array<std::unique_ptr<Fabric>, 2> fabrics;
  std::array<std::unique_ptr<Engine>, 2> engines;
  for (std::uint32_t i = 0; i < 2; ++i) {
    Settings settings = Network::settings(i);
    settings.pipeline = 1;
    fabrics[i] = network.world.fabric(network.hosts[i]);
    engines[i] = *Engine::start(settings, *fabrics[i], network.world.clock());
  }
  const iovec all{memory.data(), memory.size()};
  ExposeOptions options;
  options.portal = kPortal;
  options.match_bits = kBits;
  EXPECT_TRUE(engines[1]->expose({&all, 1}, options));
  const iovec range{sink.data(), sink.size()};
  const WhenDone done{[](void* context, const TransferResult& result) {
                        auto* told = static_cast<Ended*>(context);
                        ++told->times;
                        told->status = result.status;
                      },
                      &ended};
  EXPECT_TRUE(engines[0]->get(Network::nid(1), {&range, 1}, GetOptions{kPortal, kBits}, done));
  network.run(time, *engines[0], *engines[1]);
  if (stop) {
    engines[0]->stop();
  } else {
    engines[0]->close(Network::nid(1));
    network.run(5s, *engines[0], *engines[1]);
  }
  return {ended.times, ended.status};
}

TEST(EngineCutOff, ATransferBetweenTwoSlicesEndsToo) {
  int amid = 0;
  for (Duration time = 100us; time < 1ms; time += 1us) {
    const auto [stopped, status] = cut_off_after(time, true);
    EXPECT_EQ(stopped, 1) << "stopped after " << time.count() << " us";
    EXPECT_TRUE(status == TransferStatus::kStopped || status == TransferStatus::kOk);
    amid += status == TransferStatus::kStopped ? 1 : 0;
    const auto [closed, reason] = cut_off_after(time, false);
    EXPECT_EQ(closed, 1) << "closed after " << time.count() << " us";
    EXPECT_TRUE(reason == TransferStatus::kClosed || reason == TransferStatus::kOk);
  }
  EXPECT_GT(amid, 10);
}

TEST_F(EnginePair, ADeviceThatComesBackIsUsedAfterAProbe) {
  start();
  ASSERT_TRUE(engines[0]->ping(Network::nid(1), {}));
  run();
  network.world.port_down(network.devices[0]);
  run(20ms);
  EXPECT_TRUE(engines[0]->peers()[0].connections.empty());
  network.world.port_up(network.devices[0], true);
  auto mine = cut_up(here, 5000, 5000);
  auto theirs = cut_up(there, 5000, 5000);
  expose(theirs);
  ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, PutOptions{kPortal, kBits}));
  run(10s);
  EXPECT_EQ(result().status, TransferStatus::kOk);
  EXPECT_EQ(engines[1]->statistics().pings_answered, 2U);
}

TEST_F(EnginePair, AWithdrawnBufferSaysSoAndIsNotMatchedAnyMore) {
  start();
  auto theirs = cut_up(there, 5000, 5000);
  int withdrawn = 0;
  ExposeOptions options;
  options.portal = kPortal;
  options.match_bits = kBits;
  options.context = &withdrawn;
  options.function = [](void* context, const ExposureEvent& event) {
    *static_cast<int*>(context) += event.kind == ExposureEvent::Kind::kWithdrawn ? 1 : 0;
  };
  const auto id = engines[1]->expose(theirs, options);
  ASSERT_TRUE(id);
  EXPECT_TRUE(engines[1]->withdraw(*id));
  EXPECT_FALSE(engines[1]->withdraw(*id));
  run();
  EXPECT_EQ(withdrawn, 1);
}

}  // namespace
