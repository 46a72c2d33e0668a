// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// How a simulated network behaves: delays, and how often something goes wrong by itself.

#include <cstdint>
#include <string>

#include "core/clock.hpp"
#include "engine/fabric.hpp"

namespace rdmaboot::sim {

/// Names a host of a World.
enum class HostId : std::uint32_t {};
/// Names a device of a World; it keeps its name when the device is removed and comes back.
enum class DeviceId : std::uint32_t {};

/// Delays and rates. Rates are so many in a million; a fresh model is a perfect network.
struct NetworkModel {
  core::Microseconds latency{2};  ///< one way, at least
  core::Microseconds jitter{8};   ///< and at most so much more
  /// Without an answer a packet is sent again: 4.096 us * 2^14, what rdma_cm usually ends up with.
  core::Microseconds retry_timeout{67'000};
  core::Microseconds receiver_not_ready_delay{655};  ///< the usual min_rnr_timer
  /// The connection manager's own: 4.096 us * 2^20, and 15 retries (CMA_CM_RESPONSE_TIMEOUT,
  /// CMA_MAX_CM_RETRIES).
  core::Microseconds cm_timeout{4'295'000};
  unsigned cm_retries = 15;
  core::Microseconds long_delay{50'000};  ///< of what `delayed` and `cm_delayed` hit, at most

  std::uint32_t packet_loss = 0;  ///< of sends and writes; the queue pair retries
  std::uint32_t ack_loss = 0;     ///< delivered, but the sender learns it late
  std::uint32_t delayed = 0;
  std::uint32_t cm_loss = 0;  ///< the connection manager retries, except RTU and REJ
  std::uint32_t cm_duplicates = 0;
  std::uint32_t cm_delayed = 0;       ///< overtaken by later ones
  std::uint32_t odd_rejects = 0;      ///< reason 10, or 28 with nothing but zeros
  std::uint32_t address_in_use = 0;   ///< of resolve_address() with a source port
  std::uint32_t no_memory = 0;        ///< ENOMEM where a verbs object is made
  std::uint32_t repeated_events = 0;  ///< an endpoint's event comes once more, later
  std::uint32_t late_events = 0;      ///< an event of a destroyed endpoint is seen all the same
};

/// A device as it is plugged in.
struct DeviceModel {
  std::string name;
  engine::DeviceLimits limits = generous_limits();

  /// What a usual adapter says; without windows.
  [[nodiscard]] static engine::DeviceLimits generous_limits() {
    engine::DeviceLimits limits;
    limits.max_queue_pair_requests = 16'384;
    limits.max_completions = 65'536;
    limits.max_segments = 30;
    limits.max_inline = 220;
    limits.max_region_bytes = std::uint64_t{1} << 40U;
    return limits;
  }
};

}  // namespace rdmaboot::sim
