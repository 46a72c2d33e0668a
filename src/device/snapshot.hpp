// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// take_snapshot() with its outside world as parameters.

#include <functional>
#include <vector>

#include "device/enrich.hpp"
#include "os/verbs.hpp"
#include "rdmaboot/device.hpp"

namespace rdmaboot::device {

/// A list of devices that changes while it is read is read again this many times in all.
inline constexpr int kMaxReadings = 5;

/// The ways to ask a running kernel; empty ones are not asked.
struct SnapshotSeams {
  std::function<NetlinkFacts()> netlink;
  std::function<os::VerbsFacts(const std::vector<os::VerbsQuestion>&, bool gids)> verbs;
  /// Called after each reading, before the list of devices is compared: where a test changes it.
  std::function<void()> after_reading;
};

/// The public take_snapshot() with `seams` instead of the running kernel.
[[nodiscard]] core::Result<Snapshot> take_snapshot(const SnapshotOptions& options,
                                                   const SnapshotSeams& seams);

/// Asks RDMA netlink for all devices and ports; ends within two seconds (a question that is under
/// way when the first is over may take another).
[[nodiscard]] NetlinkFacts ask_netlink();

}  // namespace rdmaboot::device
