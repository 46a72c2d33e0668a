// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The table of the running daemon, over a socket in /run (program/text_server).

#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

inline constexpr const char* kDumpSocket = "/run/iwpmd/iwpmd.sock";

/// `iwpmd --dump`: prints what the daemon says. Errors: ENOENT or ECONNREFUSED if none runs;
/// EACCES.
[[nodiscard]] core::Result<int> print_dump();

}  // namespace rdmaboot::iwpm
