// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: subscribe, read, wait for the next event, read again.

#include <chrono>
#include <string>

#include "rdmaboot/result.hpp"

namespace rdmaboot::coldplug {

struct Options {
  std::chrono::seconds timeout{30};  ///< at most this long, then the boot goes on
  bool list = false;                 ///< print what would be waited for and do not wait
  std::string root;                  ///< another machine's tree, only with `list`
};

/// Waits until nothing is still to come, or for the time-out.
/// @return the exit status: 0, or 1 when the time-out ended the wait (which is logged with all
/// that was missing).
/// Errors: only what makes waiting impossible (no event loop); devices that cannot be read do not.
[[nodiscard]] core::Result<int> wait_for_devices(const Options& options);

}  // namespace rdmaboot::coldplug
