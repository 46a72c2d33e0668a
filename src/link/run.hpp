// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell: read, plan, do, and read again if the declarations changed meanwhile.

#include <chrono>

#include "link/options.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::link {

/// Declarations and interfaces that change while they are worked on are read again, so many times
/// in all. A change that comes later starts a unit again.
inline constexpr int kMostRounds = 8;

/// A link that the kernel refuses because another one is in its place, although none is listed, is
/// tried again so often,
inline constexpr int kMostRetries = 5;
/// when an RDMA device came or went, or after this time.
inline constexpr std::chrono::milliseconds kRetryAfter{1000};

/// Does what the command line asks for.
/// @return the exit status: 0, or 1 when a link could not be made or removed (which is logged) or a
/// declaration is wrong
/// Errors: what makes the whole work impossible.
[[nodiscard]] core::Result<int> run(const Options& options);

}  // namespace rdmaboot::link
