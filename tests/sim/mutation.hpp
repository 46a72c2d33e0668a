// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Deliberate bugs, to see that the simulation finds them. Each stands between an engine and its
// fabric and makes the pair behave as an engine with that bug would.

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/fabric.hpp"

namespace rdmaboot::tests {

enum class Mutation : std::uint8_t {
  kNone,
  kCreditTwice,       ///< now and then a message gives a credit back that was given before
  kLastWriteLost,     ///< the last write of a transfer with several is not posted (defect D1)
  kDoneBeforeBytes,   ///< the DONE of a transfer is posted before its writes
  kReceiveForgotten,  ///< now and then a buffer is not posted again
  kKeyLivesOn,        ///< a key is not killed when its transfer is complete
  kWakeUpMissed,      ///< no poll between arming and sleeping
  kNeverSignaled,     ///< now and then a send that should be signaled is not
  kEndpointLeaked,    ///< a connection's endpoint is never destroyed
  kCompletionTwice,   ///< now and then a completion is handled twice
  kShortQueue,        ///< the completion queue has no room for all that is posted
  kSourceFreedEarly,  ///< a send counts as done when it is posted
  kWrongKey,          ///< a peer is given the key of another transfer
};
inline constexpr unsigned kMutations = 12;

[[nodiscard]] std::string_view describe(Mutation mutation);

/// The fabric with that bug. Also without one, completions now and then come right after a poll.
[[nodiscard]] std::unique_ptr<engine::Fabric> mutate(std::unique_ptr<engine::Fabric> fabric,
                                                     Mutation mutation);

}  // namespace rdmaboot::tests
