// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What udev has noted about one device.

#include <string>

#include "core/clock.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

struct UdevFacts {
  core::Microseconds initialized{0};  ///< when udev first handled it, CLOCK_MONOTONIC; 0: not yet
  std::string protocol;               ///< ID_RDMA_PROTOCOL; empty if it has none
};

/// Asks libudev. Errors: errno (ENODEV: no such device).
[[nodiscard]] core::Result<UdevFacts> udev_facts(const std::string& subsystem,
                                                 const std::string& name);

}  // namespace rdmaboot::os
