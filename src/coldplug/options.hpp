// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "coldplug/wait.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::coldplug {

/// Reads the command line. --help and --version print and end the program with status 0.
/// Errors: an unknown option or a wrong value, named with what was expected.
[[nodiscard]] core::Result<Options> parse_options(int argc, char** argv);

}  // namespace rdmaboot::coldplug
