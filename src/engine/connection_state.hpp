// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The life of one connection as a table: what every event does in every state. States only go
// forward. Nothing here knows a queue pair; the engine carries the actions out.

#include <cstdint>
#include <string_view>

#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

inline constexpr std::size_t kConnectionStates = 8;

/// What can happen to a connection.
enum class ConnectionEvent : std::uint8_t {
  kAddressResolved,
  kRouteResolved,
  kEstablished,
  kRejected,
  kConnectFailed,
  kDisconnected,
  kCommunicationEstablished,  ///< data came, the RTU did not
  kQueuePairFailed,
  kDeviceRemoval,
  kAddressChanged,
  kCompletionsReady,
  kTimedOut,  ///< the stage took too long
  kBroken,    ///< the engine found a fault, or was asked to close
  kDrained,   ///< everything posted came back
};
inline constexpr std::size_t kConnectionEvents = 14;
[[nodiscard]] std::string_view to_string(ConnectionEvent event);

/// What is to be done about it.
enum class ConnectionAction : std::uint8_t {
  kIgnore,
  kResolveRoute,
  kConnect,   ///< make the queue pair, post the receives, connect
  kOpen,      ///< the transport stands: judge the reply, then replay what came early
  kNotify,    ///< tell the connection manager that the connection stands
  kPoll,      ///< the completion queue
  kRefused,   ///< act on the reject record
  kTearDown,  ///< first phase: disconnect and flush; what was posted comes back
  kDestroy,   ///< second phase: endpoint first, then memory, then completions
};
[[nodiscard]] std::string_view to_string(ConnectionAction action);

struct ConnectionStep {
  ConnectionState next = ConnectionState::kClosed;
  ConnectionAction action = ConnectionAction::kIgnore;
};

/// Total: has an answer for every event in every state. Thread-safe.
[[nodiscard]] ConnectionStep step(ConnectionState state, ConnectionEvent event);

/// Why a connection ends by an event that ends it; kNone for others.
[[nodiscard]] CloseReason reason_of(ConnectionState state, ConnectionEvent event);

}  // namespace rdmaboot::engine
