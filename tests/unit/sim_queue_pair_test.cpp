// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-sim
#include <algorithm>
#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim_pair.hpp"

namespace rdmaboot::tests {
namespace {

using engine::Access;
using engine::WorkKind;
using engine::WorkStatus;
using sim::Fault;

constexpr auto kSink = Access::kLocalWrite | Access::kRemoteWrite;

class SimQueuePair : public ::testing::Test {
 protected:
  void connect(const sim::NetworkModel& network = {},
               const engine::DeviceLimits& limits = sim::DeviceModel::generous_limits()) {
    pair.emplace(1, network, limits);
    ASSERT_TRUE(pair->connect());
    source = pair->region(*pair->active, from, Access::kLocal);
    sink = pair->region(*pair->passive, to, kSink);
    std::fill(from.begin(), from.end(), std::byte{7});
  }
  [[nodiscard]] engine::Segment from_segment() const { return SimPair::segment(*source, from); }
  [[nodiscard]] engine::Segment to_segment() const { return SimPair::segment(*sink, to); }
  /// Nothing of the peer's gets here any more, nor back.
  void cut() { pair->world.port_down(pair->second_device); }

  std::array<std::byte, 100> from{};
  std::array<std::byte, 100> to{};
  std::optional<SimPair> pair;
  std::unique_ptr<engine::MemoryRegion> source;
  std::unique_ptr<engine::MemoryRegion> sink;
};

TEST_F(SimQueuePair, MessageFillsTheOldestReceive) {
  connect();
  ASSERT_TRUE(SimPair::receive(*pair->passive, 11, to_segment()));
  ASSERT_TRUE(SimPair::receive(*pair->passive, 12, to_segment()));
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  const auto received = pair->completions(*pair->passive);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].id, 11U);
  EXPECT_EQ(received[0].bytes, from.size());
  EXPECT_EQ(received[0].kind, WorkKind::kReceive);
  EXPECT_EQ(from, to);
  const auto sent = pair->completions(*pair->active);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].status, WorkStatus::kSuccess);
}

TEST_F(SimQueuePair, UnsignaledRequestCompletesOnlyOnFailure) {
  connect();
  auto quiet = SimPair::write(1, from_segment(), to, sink->remote_key());
  quiet.signaled = false;
  ASSERT_TRUE(SimPair::post(*pair->active, quiet));
  EXPECT_TRUE(pair->completions(*pair->active).empty());
  EXPECT_EQ(from, to);
  cut();
  ASSERT_TRUE(SimPair::post(*pair->active, quiet));
  const auto failed = pair->completions(*pair->active);
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].status, WorkStatus::kRetryExceeded);
}

TEST_F(SimQueuePair, WriteIsInMemoryWhenALaterMessageIsReceived) {
  sim::NetworkModel lossy;
  lossy.packet_loss = 300'000;
  lossy.delayed = 300'000;
  connect(lossy);
  ASSERT_TRUE(SimPair::receive(*pair->passive, 11, to_segment()));
  std::array<std::byte, 8> message{};
  const auto message_region = pair->region(*pair->active, message, Access::kLocal);
  const std::array chain{SimPair::write(1, from_segment(), to, sink->remote_key()),
                         SimPair::send(2, SimPair::segment(*message_region, message))};
  ASSERT_TRUE(pair->active->post(chain));
  while (pair->world.step()) {
    std::array<engine::Completion, 1> one;
    if (pair->passive->poll(one) != 0) {
      break;
    }
  }
  EXPECT_EQ(to[50], std::byte{7}) << "behind the message, which fills the first 8 bytes";
}

TEST_F(SimQueuePair, WriteWithADeadKeyFailsBothSidesAndIsRecorded) {
  connect();
  const std::uint32_t key = sink->remote_key();
  ASSERT_TRUE(sink->close());
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::write(1, from_segment(), to, key)));
  const auto failed = pair->completions(*pair->active);
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].status, WorkStatus::kRemoteAccessError);
  ASSERT_EQ(pair->recorder.writes.size(), 1U);
  EXPECT_FALSE(pair->recorder.writes[0].landed);
  EXPECT_EQ(pair->recorder.writes[0].remote_key, key);
  EXPECT_TRUE(pair->has_fault(Fault::kRefusedWrite));
  EXPECT_TRUE(pair->wait_for<engine::event::QueuePairFailed>(*pair->passive_fabric));
  EXPECT_EQ(to[0], std::byte{0});
}

TEST_F(SimQueuePair, WriteBesideTheRegionIsRefused) {
  connect();
  auto beside = SimPair::write(1, from_segment(), to, sink->remote_key());
  ++beside.remote_address;
  ASSERT_TRUE(SimPair::post(*pair->active, beside));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kRemoteAccessError);
  EXPECT_EQ(to[1], std::byte{0});
}

TEST_F(SimQueuePair, WriteToMemoryWithoutRemoteAccessIsRefused) {
  connect();
  const auto local = pair->region(*pair->passive, to, Access::kLocalWrite);
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(1, from_segment(), to, local->remote_key())));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kRemoteAccessError);
}

TEST_F(SimQueuePair, LandedWriteIsRecordedWithItsRegion) {
  connect();
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(1, from_segment(), to, sink->remote_key())));
  static_cast<void>(pair->completions(*pair->active));
  ASSERT_EQ(pair->recorder.writes.size(), 1U);
  EXPECT_TRUE(pair->recorder.writes[0].landed);
  EXPECT_EQ(pair->recorder.writes[0].host, pair->second);
  EXPECT_EQ(pair->recorder.writes[0].length, from.size());
  EXPECT_NE(pair->recorder.writes[0].region, 0U);
}

TEST_F(SimQueuePair, WindowIsOpenFromItsBindToItsInvalidation) {
  auto limits = sim::DeviceModel::generous_limits();
  limits.windows_type_2 = true;
  connect({}, limits);
  const auto base = pair->region(*pair->passive, to, Access::kLocalWrite | Access::kBindWindow);
  const auto window = pair->passive->device()->allocate_window().value();
  engine::SendRequest bind;
  bind.kind = WorkKind::kBindWindow;
  bind.signaled = true;
  bind.window = window.get();
  bind.region = base.get();
  bind.bind_address = reinterpret_cast<std::uint64_t>(to.data());
  bind.bind_length = 50;
  const std::uint32_t key = window->next_key();
  ASSERT_TRUE(SimPair::post(*pair->passive, bind));
  EXPECT_EQ(pair->completions(*pair->passive).at(0).status, WorkStatus::kSuccess);
  EXPECT_NE(window->next_key(), key) << "a key is given once";

  auto half = from_segment();
  half.length = 50;
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::write(1, half, to, key)));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kSuccess);
  EXPECT_EQ(to[49], std::byte{7});

  engine::SendRequest invalidate;
  invalidate.kind = WorkKind::kInvalidate;
  invalidate.signaled = true;
  invalidate.remote_key = key;
  ASSERT_TRUE(SimPair::post(*pair->passive, invalidate));
  EXPECT_EQ(pair->completions(*pair->passive).at(0).status, WorkStatus::kSuccess);
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::write(2, half, to, key)));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kRemoteAccessError);
}

TEST_F(SimQueuePair, RegionUnderABoundWindowCannotBeClosed) {
  auto limits = sim::DeviceModel::generous_limits();
  limits.windows_type_2 = true;
  connect({}, limits);
  const auto base = pair->region(*pair->passive, to, Access::kLocalWrite | Access::kBindWindow);
  const auto window = pair->passive->device()->allocate_window().value();
  engine::SendRequest bind;
  bind.kind = WorkKind::kBindWindow;
  bind.window = window.get();
  bind.region = base.get();
  bind.bind_address = reinterpret_cast<std::uint64_t>(to.data());
  bind.bind_length = to.size();
  ASSERT_TRUE(SimPair::post(*pair->passive, bind));
  static_cast<void>(pair->completions(*pair->passive));
  EXPECT_EQ(base->close().error().error_number, EBUSY);
  EXPECT_TRUE(pair->has_fault(Fault::kBoundWindow));
  pair->passive.reset();
  EXPECT_TRUE(base->close()) << "the end of the queue pair unbinds";
}

TEST_F(SimQueuePair, MessageWithoutAReceiveWaitsForOne) {
  connect();
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  EXPECT_TRUE(pair->completions(*pair->active, core::Microseconds(1000)).empty());
  EXPECT_TRUE(pair->has_fault(Fault::kReceiverNotReady));
  ASSERT_TRUE(SimPair::receive(*pair->passive, 11, to_segment()));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kSuccess);
}

TEST_F(SimQueuePair, ReceiverThatIsNeverReadyFailsTheMessage) {
  connect();
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kReceiverNotReady);
}

TEST_F(SimQueuePair, MessageLongerThanItsReceiveFailsBothSides) {
  connect();
  auto small = to_segment();
  small.length = 99;
  ASSERT_TRUE(SimPair::receive(*pair->passive, 11, small));
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kRemoteError);
  EXPECT_EQ(pair->completions(*pair->passive).at(0).status, WorkStatus::kLocalError);
  EXPECT_TRUE(pair->has_fault(Fault::kMessageTooLong));
}

TEST_F(SimQueuePair, LostPacketsAreSentAgainInOrder) {
  sim::NetworkModel lossy;
  lossy.packet_loss = 300'000;
  connect(lossy);
  std::array<std::byte, 6> message{};
  const auto region = pair->region(*pair->active, message, Access::kLocal);
  for (std::uint64_t i = 0; i < message.size(); ++i) {
    message.at(i) = static_cast<std::byte>(i + 1);
    ASSERT_TRUE(
        SimPair::receive(*pair->passive, i, {to_segment().address + i, 1, to_segment().local_key}));
    ASSERT_TRUE(SimPair::post(
        *pair->active,
        SimPair::send(i, SimPair::segment(*region, std::span(message).subspan(i, 1)))));
  }
  EXPECT_EQ(pair->completions(*pair->active).size(), message.size());
  EXPECT_TRUE(std::equal(message.begin(), message.end(), to.begin()));
}

TEST_F(SimQueuePair, SilentPeerEndsInRetriesExceededAndTheRestIsFlushed) {
  connect();
  cut();
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(2, from_segment())));
  const auto before = pair->world.clock().now();
  const auto failed = pair->completions(*pair->active);
  ASSERT_EQ(failed.size(), 2U);
  EXPECT_EQ(failed[0].status, WorkStatus::kRetryExceeded);
  EXPECT_EQ(failed[1].status, WorkStatus::kFlushed);
  EXPECT_GT(pair->world.clock().now() - before, 5 * pair->world.model().retry_timeout);
}

TEST_F(SimQueuePair, FlushReturnsEverythingPostedAlsoLater) {
  connect();
  ASSERT_TRUE(SimPair::receive(*pair->active, 21, {}));
  ASSERT_TRUE(pair->active->flush());
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  const auto failed = pair->completions(*pair->active);
  ASSERT_EQ(failed.size(), 2U);
  for (const auto& completion : failed) {
    EXPECT_EQ(completion.status, WorkStatus::kFlushed);
  }
}

TEST_F(SimQueuePair, PostingMoreThanTheQueueHoldsIsRefusedAndRecorded) {
  connect();
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(SimPair::post(*pair->active, SimPair::send(1, from_segment())));
  }
  EXPECT_EQ(SimPair::post(*pair->active, SimPair::send(1, from_segment())).error().error_number,
            ENOMEM);
  EXPECT_TRUE(pair->has_fault(Fault::kSendQueueFull));
  EXPECT_EQ(pair->world.high_water(pair->first).sends, 8U);
}

TEST_F(SimQueuePair, PlaceIsFreeOnlyWhenACompletionWasTaken) {
  connect();
  auto quiet = SimPair::write(1, from_segment(), to, sink->remote_key());
  quiet.signaled = false;
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(SimPair::post(*pair->active, quiet));
  }
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(2, from_segment(), to, sink->remote_key())));
  pair->world.run_until(core::Microseconds(10'000'000));
  EXPECT_FALSE(SimPair::post(*pair->active, quiet)) << "done, but nobody was told";
  EXPECT_EQ(pair->completions(*pair->active).size(), 1U);
  EXPECT_TRUE(SimPair::post(*pair->active, quiet)) << "one completion frees all before it";
}

TEST_F(SimQueuePair, CompletionQueueThatIsTooSmallIsRecorded) {
  pair.emplace();
  pair->queues.completions = 2;
  ASSERT_TRUE(pair->connect());
  source = pair->region(*pair->active, from, Access::kLocal);
  sink = pair->region(*pair->passive, to, kSink);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        SimPair::post(*pair->active, SimPair::write(2, from_segment(), to, sink->remote_key())));
  }
  EXPECT_TRUE(pair->wait_for<engine::event::QueuePairFailed>(*pair->active_fabric));
  EXPECT_TRUE(pair->has_fault(Fault::kCompletionOverrun));
}

TEST_F(SimQueuePair, ArmingTellsOfTheNextCompletionButNotOfThoseThatWait) {
  connect();
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(1, from_segment(), to, sink->remote_key())));
  pair->world.run_until(core::Microseconds(1'000'000));
  ASSERT_TRUE(pair->active->arm());
  EXPECT_FALSE(pair->wait_for<engine::event::CompletionsReady>(*pair->active_fabric));
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(2, from_segment(), to, sink->remote_key())));
  EXPECT_TRUE(pair->wait_for<engine::event::CompletionsReady>(*pair->active_fabric));
}

TEST_F(SimQueuePair, InlineBytesAreTakenAtOnce) {
  pair.emplace();
  pair->queues.inline_bytes = 220;
  ASSERT_TRUE(pair->connect());
  sink = pair->region(*pair->passive, to, kSink);
  std::array<std::byte, 4> message{std::byte{9}};
  auto request = SimPair::write(1, {reinterpret_cast<std::uint64_t>(message.data()), 4, 0}, to,
                                sink->remote_key());
  request.inline_data = true;
  ASSERT_TRUE(SimPair::post(*pair->active, request));
  message[0] = std::byte{1};
  static_cast<void>(pair->completions(*pair->active));
  EXPECT_EQ(to[0], std::byte{9});
}

TEST_F(SimQueuePair, SourceIsReadAsLateAsPossible) {
  connect();
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(1, from_segment(), to, sink->remote_key())));
  from[0] = std::byte{1};
  static_cast<void>(pair->completions(*pair->active));
  EXPECT_EQ(to[0], std::byte{1}) << "whoever changes it before the completion is caught";
}

TEST_F(SimQueuePair, DeregisteredSourceFailsTheRequestAndIsRecorded) {
  connect();
  const auto segment = from_segment();
  ASSERT_TRUE(source->close());
  ASSERT_TRUE(SimPair::post(*pair->active, SimPair::write(1, segment, to, sink->remote_key())));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kLocalError);
  EXPECT_TRUE(pair->has_fault(Fault::kDeadLocalKey));
}

TEST_F(SimQueuePair, PacketsOnTheWireMayOutliveTheirQueuePair) {
  unsigned landed = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    sim::NetworkModel slow;
    slow.latency = core::Microseconds(100);
    SimPair one(seed, slow);
    ASSERT_TRUE(one.connect());
    const auto here = SimPair::region(*one.active, from, Access::kLocal);
    const auto there = SimPair::region(*one.passive, to, kSink);
    ASSERT_TRUE(SimPair::post(
        *one.active, SimPair::write(1, SimPair::segment(*here, from), to, there->remote_key())));
    one.world.run_until(one.world.clock().now() + core::Microseconds(50));
    one.active.reset();
    static_cast<void>(one.completions(*one.passive));
    landed += static_cast<unsigned>(one.recorder.writes.size());
  }
  EXPECT_GT(landed, 5U);
  EXPECT_LT(landed, 35U);
}

TEST_F(SimQueuePair, NothingLandsThroughAQueuePairInError) {
  connect();
  ASSERT_TRUE(pair->passive->flush());
  ASSERT_TRUE(
      SimPair::post(*pair->active, SimPair::write(1, from_segment(), to, sink->remote_key())));
  EXPECT_EQ(pair->completions(*pair->active).at(0).status, WorkStatus::kRetryExceeded);
  EXPECT_TRUE(pair->recorder.writes.empty());
}

}  // namespace
}  // namespace rdmaboot::tests
