// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
#include "engine/connection_state.hpp"

#include <gtest/gtest.h>

namespace {

using namespace rdmaboot::engine;
using Event = ConnectionEvent;
using State = ConnectionState;
using Action = ConnectionAction;

constexpr auto kStates = {
    State::kNew,       State::kResolvingAddress, State::kResolvingRoute, State::kConnecting,
    State::kAccepting, State::kEstablished,      State::kDraining,       State::kClosed};

template <typename Function>
void for_every_event_in_every_state(Function&& function) {
  for (const State state : kStates) {
    for (std::size_t event = 0; event < kConnectionEvents; ++event) {
      function(state, static_cast<Event>(event));
    }
  }
}

TEST(ConnectionState, EveryEventInEveryStateOnlyGoesForward) {
  for_every_event_in_every_state([](State state, Event event) {
    EXPECT_GE(step(state, event).next, state) << to_string(state) << ": " << to_string(event);
  });
}

TEST(ConnectionState, ActiveSideResolvesThenConnectsThenOpens) {
  EXPECT_EQ(step(State::kResolvingAddress, Event::kAddressResolved).action, Action::kResolveRoute);
  EXPECT_EQ(step(State::kResolvingRoute, Event::kRouteResolved).action, Action::kConnect);
  EXPECT_EQ(step(State::kConnecting, Event::kEstablished).action, Action::kOpen);
  EXPECT_EQ(step(State::kConnecting, Event::kEstablished).next, State::kEstablished);
}

TEST(ConnectionState, NothingHappensToAClosedConnection) {
  for (std::size_t event = 0; event < kConnectionEvents; ++event) {
    const ConnectionStep entry = step(State::kClosed, static_cast<Event>(event));
    EXPECT_EQ(entry.next, State::kClosed);
    EXPECT_EQ(entry.action, Action::kIgnore);
  }
}

TEST(ConnectionState, DrainingEndsByDrainingTimeOrRemovalAndByNothingElse) {
  for (std::size_t event = 0; event < kConnectionEvents; ++event) {
    const auto what = static_cast<Event>(event);
    const bool ends =
        what == Event::kDrained || what == Event::kTimedOut || what == Event::kDeviceRemoval;
    EXPECT_EQ(step(State::kDraining, what).next, ends ? State::kClosed : State::kDraining)
        << to_string(what);
  }
}

TEST(ConnectionState, AQueuePairThatWasUpIsFlushedBeforeItIsFreed) {
  for (const State state : {State::kAccepting, State::kEstablished}) {
    for (const Event event : {Event::kDisconnected, Event::kQueuePairFailed, Event::kDeviceRemoval,
                              Event::kAddressChanged, Event::kTimedOut, Event::kBroken}) {
      EXPECT_EQ(step(state, event).action, Action::kTearDown) << to_string(event);
      EXPECT_EQ(step(state, event).next, State::kDraining) << to_string(event);
    }
  }
}

TEST(ConnectionState, BeforeAQueuePairAnEndNeedsOnePhase) {
  for (const State state : {State::kResolvingAddress, State::kResolvingRoute}) {
    for (const Event event : {Event::kConnectFailed, Event::kTimedOut, Event::kBroken}) {
      EXPECT_EQ(step(state, event).action, Action::kDestroy);
    }
  }
}

TEST(ConnectionState, ConnectEventsAfterEstablishmentAreIgnored) {
  for (const Event event : {Event::kAddressResolved, Event::kRouteResolved, Event::kEstablished,
                            Event::kCommunicationEstablished}) {
    EXPECT_EQ(step(State::kEstablished, event).action, Action::kIgnore) << to_string(event);
    EXPECT_EQ(step(State::kEstablished, event).next, State::kEstablished);
  }
}

TEST(ConnectionState, OnlyTheAcceptorAnswersDataThatCameInsteadOfTheRtu) {
  EXPECT_EQ(step(State::kAccepting, Event::kCommunicationEstablished).action, Action::kNotify);
  EXPECT_EQ(step(State::kConnecting, Event::kCommunicationEstablished).action, Action::kIgnore);
}

TEST(ConnectionState, EachStageThatTimesOutHasAReasonOfItsOwn) {
  EXPECT_EQ(reason_of(State::kResolvingAddress, Event::kTimedOut), CloseReason::kAddressUnresolved);
  EXPECT_EQ(reason_of(State::kResolvingRoute, Event::kTimedOut), CloseReason::kRouteUnresolved);
  EXPECT_EQ(reason_of(State::kConnecting, Event::kTimedOut), CloseReason::kConnectTimeout);
}

TEST(ConnectionState, AnEventThatEndsNothingHasNoReason) {
  for_every_event_in_every_state([](State state, Event event) {
    if (step(state, event).next < State::kDraining) {
      EXPECT_EQ(reason_of(state, event), CloseReason::kNone);
    }
  });
}

}  // namespace
