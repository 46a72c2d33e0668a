// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a run of the simulation does, drawn from its seed before it starts.

#include <cstdint>
#include <string>
#include <vector>

#include "rdmaboot/engine/engine.hpp"
#include "sim/model.hpp"

namespace rdmaboot::tests {

/// Something that happens to a host, or that its program does.
struct Action {
  enum class Kind : std::uint8_t {
    // Traffic: `host` starts it, `other` is the peer.
    kPut,
    kGet,
    kPing,
    kClose,
    // Faults of `host`; those with a length end after it.
    kPortFlap,      ///< flag: the GID index moves
    kRemoveDevice,  ///< flag: silently
    kFatal,         ///< then removed; flag: silently
    kMoveAddress,   ///< to the spare device and back
    kQueuePairError,
    kStrayEvent,
    kNoMemory,  ///< `size`: which allocation from now
    kCrash,     ///< power loss, and back after the length
    kKill,      ///< the process dies, its kernel says goodbye
    kStop,      ///< Engine::stop(), then a new start
    kPause,     ///< a slow consumer: process() is not called
  };
  core::Microseconds at{};
  Kind kind{};
  std::uint32_t host = 0;
  std::uint32_t other = 0;
  std::uint64_t size = 0;
  core::Microseconds length{};
  bool flag = false;
  // Traffic only.
  bool matched = true;  ///< something is exposed
  bool fits = true;     ///< and it is long enough
  bool acknowledged = false;
  bool registered = false;  ///< the memory was registered before
  bool once = false;
  bool withdraw_early = false;
  std::uint32_t offset = 0;
  std::uint16_t here_fragments = 1;
  std::uint16_t there_fragments = 1;
};
[[nodiscard]] std::string to_string(const Action& action);

struct HostPlan {
  engine::Settings settings;
  engine::DeviceLimits limits;
};

struct Plan {
  bool calm = false;          ///< no fault and a perfect network: everything has to succeed
  sim::NetworkModel weather;  ///< until traffic_ends
  std::vector<HostPlan> hosts;
  std::vector<Action> actions;  ///< by time
  core::Microseconds traffic_ends{};
};

/// The same seed gives the same plan.
[[nodiscard]] Plan make_plan(std::uint64_t seed);

/// The address of the host with that number.
[[nodiscard]] inline std::uint32_t address_of(std::uint32_t host) {
  return 0x0a000001 + host;
}

}  // namespace rdmaboot::tests
