// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-sim
#include <algorithm>
#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim_pair.hpp"

namespace rdmaboot::tests {
namespace {

using core::Microseconds;
using sim::Fault;

constexpr std::uint32_t kNowhere = 0x0a000063;

std::string text_of(const engine::PrivateData& data, std::size_t length) {
  return {reinterpret_cast<const char*>(data.bytes.data()), length};
}

bool all_zero(const engine::PrivateData& data) {
  return std::all_of(data.view().begin(), data.view().end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(SimConnection, PrivateDataArrivesPadded) {
  SimPair pair;
  pair.listen();
  ASSERT_TRUE(pair.prepare());
  ASSERT_TRUE(pair.request("hello"));
  EXPECT_EQ(pair.asked_with.length, 56);
  EXPECT_EQ(text_of(pair.asked_with, 6), std::string("hello\0", 6));
  EXPECT_EQ(pair.passive->peer_address().ipv4, kFirstAddress.ipv4);
  ASSERT_TRUE(pair.passive->accept({bytes_of("welcome")}));
  const auto established = pair.wait_for<engine::event::Established>(*pair.active_fabric);
  ASSERT_TRUE(established);
  EXPECT_EQ(established->private_data.length, 196);
  EXPECT_EQ(text_of(established->private_data, 7), "welcome");
}

TEST(SimConnection, RejectCarriesItsDataAndReason28) {
  SimPair pair;
  pair.listen();
  ASSERT_TRUE(pair.prepare());
  ASSERT_TRUE(pair.request());
  ASSERT_TRUE(pair.passive->reject(bytes_of("no")));
  const auto rejected = pair.wait_for<engine::event::Rejected>(*pair.active_fabric);
  ASSERT_TRUE(rejected);
  EXPECT_EQ(rejected->reason, 28);
  EXPECT_EQ(rejected->private_data.length, 148);
  EXPECT_EQ(text_of(rejected->private_data, 2), "no");
}

TEST(SimConnection, DroppedRequestIsARejectWithoutAWord) {
  SimPair pair;
  pair.listen();
  ASSERT_TRUE(pair.prepare());
  ASSERT_TRUE(pair.request());
  pair.passive.reset();
  const auto rejected = pair.wait_for<engine::event::Rejected>(*pair.active_fabric);
  ASSERT_TRUE(rejected);
  EXPECT_EQ(rejected->reason, 28);
  EXPECT_TRUE(all_zero(rejected->private_data));
}

TEST(SimConnection, NobodyListensIsReason8) {
  SimPair pair;
  ASSERT_TRUE(pair.prepare());
  ASSERT_TRUE(pair.active->connect({}));
  const auto rejected = pair.wait_for<engine::event::Rejected>(*pair.active_fabric);
  ASSERT_TRUE(rejected);
  EXPECT_EQ(rejected->reason, 8);
}

TEST(SimConnection, ListenerOnAnotherAddressOfTheDeviceIsReason28WithZeros) {
  SimPair pair;
  pair.listen();
  const engine::SocketAddress beside{0x0a000003, 987};
  pair.world.give_address(pair.second_device, beside.ipv4);
  ASSERT_TRUE(pair.prepare(beside));
  ASSERT_TRUE(pair.active->connect({}));
  const auto rejected = pair.wait_for<engine::event::Rejected>(*pair.active_fabric);
  ASSERT_TRUE(rejected);
  EXPECT_EQ(rejected->reason, 28);
  EXPECT_EQ(rejected->private_data.length, 148);
  EXPECT_TRUE(all_zero(rejected->private_data));
}

TEST(SimConnection, AddressThatNobodyHasTimesOut) {
  SimPair pair;
  pair.active = pair.active_fabric->create_endpoint().value();
  ASSERT_TRUE(
      pair.active->resolve_address({kFirstAddress.ipv4, 0}, {kNowhere, 987}, Microseconds(5000)));
  const auto failed = pair.wait_for<engine::event::ConnectFailed>(*pair.active_fabric);
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->error_number, ::testing::AnyOf(ETIMEDOUT, EHOSTUNREACH));
  EXPECT_EQ(pair.world.clock().now(), Microseconds(5000));
}

TEST(SimConnection, SourceAddressHasToBeOnesOwn) {
  SimPair pair;
  pair.active = pair.active_fabric->create_endpoint().value();
  EXPECT_EQ(pair.active->resolve_address(kSecondAddress, kSecondAddress, Microseconds(1))
                .error()
                .error_number,
            EADDRNOTAVAIL);
}

TEST(SimConnection, LostMessagesOfTheConnectionManagerOnlyDelay) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    sim::NetworkModel lossy;
    lossy.cm_loss = 300'000;
    lossy.cm_duplicates = 300'000;
    lossy.cm_delayed = 300'000;
    SimPair pair(seed, lossy);
    EXPECT_TRUE(pair.connect()) << seed;
    EXPECT_FALSE(pair.wait_for<engine::ConnectRequested>(*pair.passive_fabric))
        << "a request that comes twice is seen once, seed " << seed;
  }
}

TEST(SimConnection, DataBeforeTheRtuIsToldAndNotifyingEstablishes) {
  // A seed where the reply arrives and its RTU, which nobody repeats in time, does not.
  unsigned told = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    sim::NetworkModel lossy;
    lossy.cm_loss = 500'000;
    SimPair pair(seed, lossy);
    pair.listen();
    ASSERT_TRUE(pair.prepare());
    ASSERT_TRUE(pair.request());
    std::array<std::byte, 8> memory{};
    const auto there = SimPair::region(*pair.passive, memory, engine::Access::kLocalWrite);
    ASSERT_TRUE(SimPair::receive(*pair.passive, 1, SimPair::segment(*there, memory)));
    ASSERT_TRUE(pair.passive->accept({}));
    ASSERT_TRUE(pair.wait_for<engine::event::Established>(*pair.active_fabric));
    const auto here = SimPair::region(*pair.active, memory, engine::Access::kLocal);
    ASSERT_TRUE(SimPair::post(*pair.active, SimPair::send(1, SimPair::segment(*here, memory))));
    pair.world.run_until(pair.world.clock().now() + Microseconds(1000));
    bool established = false;
    bool communication = false;
    while (auto event = pair.passive_fabric->next_event()) {
      const auto* mine = std::get_if<engine::EndpointEvent>(&*event);
      ASSERT_NE(mine, nullptr);
      established = established || std::holds_alternative<engine::event::Established>(mine->what);
      communication = communication ||
                      std::holds_alternative<engine::event::CommunicationEstablished>(mine->what);
    }
    EXPECT_TRUE(established || communication) << seed;
    if (!established) {
      ++told;
      ASSERT_TRUE(pair.passive->notify_established());
      EXPECT_TRUE(pair.wait_for<engine::event::Established>(*pair.passive_fabric));
    }
  }
  EXPECT_GT(told, 3U);
}

TEST(SimConnection, DisconnectIsSeenOnBothSidesOnce) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.active->disconnect());
  EXPECT_TRUE(pair.wait_for<engine::event::Disconnected>(*pair.active_fabric));
  EXPECT_TRUE(pair.wait_for<engine::event::Disconnected>(*pair.passive_fabric));
  EXPECT_TRUE(pair.passive->disconnect()) << "the answer to the peer's";
  EXPECT_FALSE(pair.wait_for<engine::event::Disconnected>(*pair.passive_fabric));
}

TEST(SimConnection, DestroyedEndpointDisconnectsItsPeer) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  pair.active.reset();
  EXPECT_TRUE(pair.wait_for<engine::event::Disconnected>(*pair.passive_fabric));
}

TEST(SimConnection, CrashSaysNothingAndARestartAnswersNoOldQueuePair) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  pair.world.crash(pair.second);
  EXPECT_FALSE(pair.wait_for<engine::event::Disconnected>(*pair.active_fabric));
  EXPECT_EQ(pair.passive->flush().has_value(), true);
  EXPECT_EQ(pair.device->register_memory(std::span<std::byte>(), engine::Access::kLocal)
                .error()
                .error_number,
            EIO);
  pair.world.restart(pair.second);
  std::array<std::byte, 4> memory{};
  const auto here = SimPair::region(*pair.active, memory, engine::Access::kLocal);
  ASSERT_TRUE(SimPair::post(*pair.active, SimPair::send(1, SimPair::segment(*here, memory))));
  EXPECT_EQ(pair.completions(*pair.active).at(0).status, engine::WorkStatus::kRetryExceeded);
}

TEST(SimConnection, RequestToACrashedHostTimesOut) {
  SimPair pair;
  pair.listen();
  ASSERT_TRUE(pair.prepare());
  pair.world.crash(pair.second);
  ASSERT_TRUE(pair.active->connect({}));
  const auto failed = pair.wait_for<engine::event::ConnectFailed>(*pair.active_fabric);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error_number, ETIMEDOUT);
}

TEST(SimConnection, AddressInUseAndOutOfMemoryComeWhenAskedFor) {
  SimPair pair;
  pair.world.model().address_in_use = 1'000'000;
  pair.active = pair.active_fabric->create_endpoint().value();
  EXPECT_EQ(
      pair.active->resolve_address({kFirstAddress.ipv4, 1023}, kSecondAddress, Microseconds(1))
          .error()
          .error_number,
      EADDRINUSE);
  pair.world.fail_allocation(pair.first, 2);
  EXPECT_TRUE(pair.active_fabric->create_endpoint());
  EXPECT_EQ(pair.active_fabric->create_endpoint().error().error_number, ENOMEM);
  EXPECT_TRUE(pair.active_fabric->create_endpoint());
}

TEST(SimConnection, QueuePairBeyondTheDeviceIsRefused) {
  auto limits = sim::DeviceModel::generous_limits();
  limits.max_queue_pair_requests = 7;
  SimPair pair(1, {}, limits);
  EXPECT_FALSE(pair.prepare()) << "8 asked for";
  pair.queues.send_requests = 7;
  pair.queues.receive_requests = 7;
  EXPECT_TRUE(pair.prepare());
}

TEST(SimConnection, PortThatComesBackWithAnotherGidIndexLeavesOldQueuePairsDead) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  pair.world.port_down(pair.second_device);
  pair.world.port_up(pair.second_device, true);
  for (const auto kind :
       {engine::DeviceEvent::Kind::kPortError, engine::DeviceEvent::Kind::kPortActive,
        engine::DeviceEvent::Kind::kGidChange}) {
    const auto event = pair.wait_for<engine::DeviceEvent>(*pair.passive_fabric);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, kind);
  }
  std::array<std::byte, 4> memory{};
  const auto here = SimPair::region(*pair.active, memory, engine::Access::kLocal);
  ASSERT_TRUE(SimPair::post(*pair.active, SimPair::send(1, SimPair::segment(*here, memory))));
  EXPECT_EQ(pair.completions(*pair.active).at(0).status, engine::WorkStatus::kRetryExceeded);
  EXPECT_TRUE(pair.prepare());
  EXPECT_TRUE(pair.request()) << "a new one gets through";
}

TEST(SimConnection, RemovedDeviceTellsEndpointsAndListenerAndComesBack) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  pair.world.remove_device(pair.second_device, false);
  EXPECT_TRUE(pair.wait_for<engine::event::DeviceRemoval>(*pair.passive_fabric));
  EXPECT_EQ(pair.wait_for<engine::DeviceEvent>(*pair.passive_fabric)->kind,
            engine::DeviceEvent::Kind::kRemoval);
  EXPECT_EQ(pair.passive_fabric->listen(kSecondAddress, 0).error().error_number, ENODEV);
  const engine::ReceiveRequest receive{1, {}};
  EXPECT_EQ(pair.passive->post(std::span(&receive, 1)).error().error_number, EIO);
  pair.world.restore_device(pair.second_device);
  EXPECT_TRUE(pair.passive_fabric->listen(kSecondAddress, 0));
}

TEST(SimConnection, AddressThatMovesToAnotherDeviceNeedsANewListener) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  const auto spare =
      pair.world.add_device(pair.second, {"spare0", sim::DeviceModel::generous_limits()});
  pair.world.give_address(spare, kSecondAddress.ipv4);
  EXPECT_EQ(pair.wait_for<engine::DeviceEvent>(*pair.passive_fabric)->kind,
            engine::DeviceEvent::Kind::kAddressChange);
  EXPECT_TRUE(pair.wait_for<engine::event::AddressChanged>(*pair.passive_fabric));
  EXPECT_EQ(pair.passive_fabric->device_of(kSecondAddress).value(), "spare0");
  ASSERT_TRUE(pair.prepare());
  ASSERT_TRUE(pair.active->connect({}));
  EXPECT_EQ(pair.wait_for<engine::event::Rejected>(*pair.active_fabric)->reason, 8);
  ASSERT_TRUE(pair.passive_fabric->listen(kSecondAddress, 0));
  ASSERT_TRUE(pair.prepare());
  EXPECT_TRUE(pair.request());
}

TEST(SimConnection, InjectedEventsComeInAnyStateAndLateOnesOnlyWhenAsked) {
  SimPair pair;
  pair.active = pair.active_fabric->create_endpoint().value();
  pair.world.inject(pair.active->id(), engine::event::Established{});
  EXPECT_TRUE(pair.wait_for<engine::event::Established>(*pair.active_fabric));
  for (const bool late : {false, true}) {
    pair.world.model().late_events = late ? 1'000'000 : 0;
    pair.active = pair.active_fabric->create_endpoint().value();
    pair.world.inject(pair.active->id(), engine::event::Established{});
    pair.active.reset();
    EXPECT_EQ(pair.wait_for<engine::event::Established>(*pair.active_fabric).has_value(), late);
  }
}

TEST(SimConnection, RequestsBeyondTheBacklogWaitForItsRepetition) {
  SimPair pair;
  pair.device = pair.passive_fabric->listen(kSecondAddress, 1).value();
  ASSERT_TRUE(pair.prepare());
  auto first = std::move(pair.active);
  ASSERT_TRUE(pair.prepare());
  ASSERT_TRUE(first->connect({}));
  ASSERT_TRUE(pair.active->connect({}));
  pair.world.run_until(pair.world.clock().now() + Microseconds(100'000));
  auto one = pair.wait_for<engine::ConnectRequested>(*pair.passive_fabric);
  ASSERT_TRUE(one);
  const auto before = pair.world.clock().now();
  EXPECT_TRUE(pair.wait_for<engine::ConnectRequested>(*pair.passive_fabric));
  EXPECT_GT(pair.world.clock().now(), before);
}

TEST(SimConnection, ObjectsAreCountedUntilTheirEnd) {
  SimPair pair;
  ASSERT_TRUE(pair.connect());
  std::array<std::byte, 4> memory{};
  auto region = SimPair::region(*pair.active, memory, engine::Access::kLocal);
  EXPECT_EQ(pair.world.live(pair.first), (sim::LiveObjects{1, 1, 1, 0}));
  region.reset();
  pair.active.reset();
  EXPECT_EQ(pair.world.live(pair.first), sim::LiveObjects{});
}

TEST(SimConnection, DeviceThatOutlivesItsFabricIsRecorded) {
  SimPair pair;
  pair.listen();
  pair.passive_fabric.reset();
  EXPECT_TRUE(pair.has_fault(Fault::kOutlivedFabric));
}

TEST(SimWorld, SameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    sim::NetworkModel weather;
    weather.cm_loss = 200'000;
    weather.delayed = 200'000;
    SimPair pair(seed, weather);
    static_cast<void>(pair.connect());
    return pair.world.clock().now();
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(SimWorld, ActionsRunByTimeAndThenInTheOrderAskedFor) {
  sim::World world(1);
  std::vector<int> order;
  world.at(Microseconds(20), [&order] { order.push_back(3); });
  world.at(Microseconds(10), [&order] { order.push_back(1); });
  world.at(Microseconds(10), [&order] { order.push_back(2); });
  EXPECT_EQ(world.next_time(), Microseconds(10));
  world.run_until(Microseconds(15));
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2));
  EXPECT_EQ(world.clock().now(), Microseconds(15));
  world.run_until(Microseconds(30));
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace rdmaboot::tests
