// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// When units started and became active, asked of PID 1.

#include <string>
#include <vector>

#include "core/clock.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// A unit's last activation. Times are of CLOCK_MONOTONIC; 0: never.
struct UnitTimes {
  std::string name;
  core::Microseconds started{0};   ///< InactiveExitTimestampMonotonic
  core::Microseconds active{0};    ///< ActiveEnterTimestampMonotonic; of a oneshot: it ended
  core::Microseconds ended{0};     ///< InactiveEnterTimestampMonotonic
  std::vector<std::string> after;  ///< names of units that it is ordered after
};

/// Units that are loaded and whose name matches one of `patterns` (fnmatch), by name. Uses the
/// system bus, or PID 1's own socket where there is no bus yet and the caller is root.
/// Errors: errno of the bus; EBADMSG for an answer that is not of the documented form
/// (org.freedesktop.systemd1(5)).
[[nodiscard]] core::Result<std::vector<UnitTimes>> unit_times(
    const std::vector<std::string>& patterns);

}  // namespace rdmaboot::os
