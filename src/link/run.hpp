// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: read, plan, do, and read again if the declarations changed meanwhile.

#include "link/options.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::link {

/// Declarations that change while they are worked on are read again, so many times in all. A change
/// that comes later starts the unit again (rdma-link.path).
inline constexpr int kMostRounds = 8;

/// Does what the command line asks for.
/// @return the exit status: 0, or 1 when a link could not be made or removed (which is logged) or a
/// declaration is wrong
/// Errors: what makes the whole work impossible.
[[nodiscard]] core::Result<int> run(const Options& options);

}  // namespace rdmaboot::link
