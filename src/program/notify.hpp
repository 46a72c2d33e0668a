// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// sd_notify(3) without libsystemd, which would be most of a small daemon's memory.

#include <string_view>

#include "rdmaboot/result.hpp"

namespace rdmaboot::program {

/// Sends one state to the service manager: lines such as "READY=1" or "STATUS=text". Does nothing
/// where $NOTIFY_SOCKET is not set.
/// Errors: errno of the socket; EAFNOSUPPORT for an address that is no path or abstract name.
[[nodiscard]] core::Result<void> notify(std::string_view state);

}  // namespace rdmaboot::program
