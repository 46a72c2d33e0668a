// SPDX-License-Identifier: BSD-2-Clause
#include "engine/connection_state.hpp"

#include <array>

namespace rdmaboot::engine {

namespace {

using State = ConnectionState;
using Do = ConnectionAction;

using Row = std::array<ConnectionStep, kConnectionEvents>;

// Columns: AddressResolved, RouteResolved, Established, Rejected, ConnectFailed, Disconnected,
// CommunicationEstablished, QueuePairFailed, DeviceRemoval, AddressChanged, CompletionsReady,
// TimedOut, Broken, Drained.
//
// Before there is a queue pair an end needs one phase: nothing can come back. A rejected or failed
// connect had receives posted, but no peer that could fill them.
constexpr Row ends_at_once(State stay) {
  const ConnectionStep ignore{stay, Do::kIgnore};
  const ConnectionStep destroy{State::kClosed, Do::kDestroy};
  return {ignore, ignore,  ignore,  destroy, destroy, destroy, ignore,
          ignore, destroy, destroy, ignore,  destroy, destroy, ignore};
}

constexpr Row with(Row row, ConnectionEvent event, State next, Do action) {
  row[static_cast<std::size_t>(event)] = {next, action};
  return row;
}

// A queue pair is up, or was: an end flushes first and frees afterwards.
constexpr Row ends_in_two_phases(State stay) {
  const ConnectionStep ignore{stay, Do::kIgnore};
  const ConnectionStep tear_down{State::kDraining, Do::kTearDown};
  const ConnectionStep poll{stay, Do::kPoll};
  return {ignore,    ignore,    ignore,    tear_down, tear_down, tear_down, ignore,
          tear_down, tear_down, tear_down, poll,      tear_down, tear_down, ignore};
}

constexpr Row ignores_all(State stay) {
  Row row{};
  for (ConnectionStep& entry : row) {
    entry = {stay, Do::kIgnore};
  }
  return row;
}

constexpr std::array<Row, kConnectionStates> kTable = {
    ends_at_once(State::kNew),
    with(ends_at_once(State::kResolvingAddress), ConnectionEvent::kAddressResolved,
         State::kResolvingRoute, Do::kResolveRoute),
    with(ends_at_once(State::kResolvingRoute), ConnectionEvent::kRouteResolved, State::kConnecting,
         Do::kConnect),
    // kConnecting. Data of a quick acceptor is read before the reply is: it is parked.
    with(with(with(with(ends_in_two_phases(State::kConnecting), ConnectionEvent::kEstablished,
                        State::kEstablished, Do::kOpen),
                   ConnectionEvent::kRejected, State::kClosed, Do::kRefused),
              ConnectionEvent::kConnectFailed, State::kClosed, Do::kDestroy),
         ConnectionEvent::kCommunicationEstablished, State::kConnecting, Do::kIgnore),
    // kAccepting. The RTU may be lost; data that comes instead of it shows that the peer has the
    // reply.
    with(with(ends_in_two_phases(State::kAccepting), ConnectionEvent::kEstablished,
              State::kEstablished, Do::kOpen),
         ConnectionEvent::kCommunicationEstablished, State::kAccepting, Do::kNotify),
    ends_in_two_phases(State::kEstablished),
    // kDraining: whatever else happens, it ends by draining or by time.
    with(with(with(with(ignores_all(State::kDraining), ConnectionEvent::kCompletionsReady,
                        State::kDraining, Do::kPoll),
                   ConnectionEvent::kDrained, State::kClosed, Do::kDestroy),
              ConnectionEvent::kTimedOut, State::kClosed, Do::kDestroy),
         ConnectionEvent::kDeviceRemoval, State::kClosed, Do::kDestroy),
    ignores_all(State::kClosed),
};

constexpr bool only_goes_forward() {
  for (std::size_t state = 0; state < kConnectionStates; ++state) {
    for (const ConnectionStep& entry : kTable[state]) {
      if (static_cast<std::size_t>(entry.next) < state) {
        return false;
      }
    }
  }
  return true;
}
static_assert(only_goes_forward());

}  // namespace

ConnectionStep step(ConnectionState state, ConnectionEvent event) {
  return kTable[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

CloseReason reason_of(ConnectionState state, ConnectionEvent event) {
  const ConnectionStep entry = step(state, event);
  if (entry.next != State::kDraining && entry.next != State::kClosed) {
    return CloseReason::kNone;
  }
  switch (event) {
    case ConnectionEvent::kRejected:
      return CloseReason::kRejected;
    case ConnectionEvent::kConnectFailed:
      return state == State::kResolvingAddress ? CloseReason::kAddressUnresolved
             : state == State::kResolvingRoute ? CloseReason::kRouteUnresolved
                                               : CloseReason::kConnectFailed;
    case ConnectionEvent::kDisconnected:
      return CloseReason::kPeerClosed;
    case ConnectionEvent::kQueuePairFailed:
      return CloseReason::kQueuePairFailed;
    case ConnectionEvent::kDeviceRemoval:
      return CloseReason::kDeviceRemoved;
    case ConnectionEvent::kAddressChanged:
      return CloseReason::kAddressChanged;
    case ConnectionEvent::kTimedOut:
      return state == State::kResolvingAddress ? CloseReason::kAddressUnresolved
             : state == State::kResolvingRoute ? CloseReason::kRouteUnresolved
                                               : CloseReason::kConnectTimeout;
    default:
      return CloseReason::kNone;
  }
}

std::string_view to_string(ConnectionEvent event) {
  static constexpr std::array<std::string_view, kConnectionEvents> kNames = {
      "address resolved",
      "route resolved",
      "established",
      "rejected",
      "connect failed",
      "disconnected",
      "communication established",
      "queue pair failed",
      "device removal",
      "address changed",
      "completions ready",
      "timed out",
      "broken",
      "drained"};
  return kNames[static_cast<std::size_t>(event)];
}

std::string_view to_string(ConnectionAction action) {
  static constexpr std::array<std::string_view, 9> kNames = {"ignore",  "resolve route", "connect",
                                                             "open",    "notify",        "poll",
                                                             "refused", "tear down",     "destroy"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace rdmaboot::engine
