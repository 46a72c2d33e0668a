// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: open, subscribe, greet, ready, loop.

#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

/// Serves the kernel and peers until SIGTERM or SIGINT. SIGHUP reads the configuration again,
/// SIGUSR1 writes the table to the journal.
/// @return the exit status 0
/// Errors: only what makes serving impossible: no event loop, no memory. A missing family, a port
/// that is taken, or a kernel without RDMA do not.
[[nodiscard]] core::Result<int> serve();

}  // namespace rdmaboot::iwpm
