// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The responder's decisions: who it is, whom it serves, and when it tries again. Pure.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.hpp"
#include "device/address_lookup.hpp"
#include "rdmaboot/engine/engine.hpp"
#include "responder/settings.hpp"

namespace rdmaboot::responder {

/// The first pause before another attempt to start; doubled for each further one. An event of a
/// device begins anew; an address that comes has no event.
inline constexpr core::Microseconds kFirstPause = std::chrono::milliseconds(500);
inline constexpr core::Microseconds kLongestPause = std::chrono::seconds(15);

/// What an engine is told that serves on `where`. Nobody but this host itself and the peers of the
/// allow-list is admitted, whatever that list says.
/// @param incarnation not 0
[[nodiscard]] engine::Settings engine_settings(const Settings& settings,
                                               const device::AddressedPort& where,
                                               std::uint64_t incarnation);

/// What is waited for while there is no such port: "an RDMA port with address 10.0.0.1".
[[nodiscard]] std::string wanted_text(const Settings& settings);

/// "10.0.0.1@o2ib on rxe0 port 1 (eth0)".
[[nodiscard]] std::string serving_text(const device::AddressedPort& where, engine::Nid nid);

/// Pauses between attempts.
class Retry {
 public:
  /// The pause before the next attempt after one that failed.
  [[nodiscard]] core::Microseconds failed();
  /// Something changed: the next failure is the first.
  void reset() { next_ = kFirstPause; }

 private:
  core::Microseconds next_ = kFirstPause;
};

}  // namespace rdmaboot::responder
