// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The one place where a program's Error becomes a line for a person and an exit status.

#include <functional>

#include "rdmaboot/result.hpp"

namespace rdmaboot::program {

/// Runs `body` and returns what main() should return: its value, or 1 after logging the Error.
/// An exception (only std::bad_alloc and the like can get here) is logged and gives 1 as well.
int run_main(const std::function<core::Result<int>()>& body);

}  // namespace rdmaboot::program
