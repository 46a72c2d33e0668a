// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <span>

namespace rdmaboot::load_modules {

/// The whole program: options, lists, plan, loading, report, waiting. Returns the exit status:
/// 0, or 1 when a module failed or timed out, a list is missing or unreadable, or the command line
/// is wrong. Throws nothing.
[[nodiscard]] int run_program(std::span<char* const> arguments) noexcept;

}  // namespace rdmaboot::load_modules
