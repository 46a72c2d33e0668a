// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: subscribe, look for the port, serve on it, wait for it where it is not there.

#include "rdmaboot/result.hpp"
#include "responder/options.hpp"

namespace rdmaboot::responder {

/// Serves until SIGTERM or SIGINT. A device, an address or a module that is missing is waited for.
/// Errors: of the event loop; the daemon cannot go on.
[[nodiscard]] core::Result<int> serve(const Options& options);

}  // namespace rdmaboot::responder
