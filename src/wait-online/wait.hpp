// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: subscribe, look, wait for the next event, look again.

#include "rdmaboot/result.hpp"
#include "wait-online/options.hpp"

namespace rdmaboot::wait_online {

/// Waits until what `options` (and wait-online.conf) want is ready or broken, or for the time-out.
/// @return the exit status: 0 ready, 1 not ready in time, 2 broken.
/// Errors: only what makes waiting impossible (no event loop, no such root); devices, files and
/// sources of events that cannot be read do not.
[[nodiscard]] core::Result<int> wait_until_ready(const Options& options);

}  // namespace rdmaboot::wait_online
