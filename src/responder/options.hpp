// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rdmaboot/result.hpp"

namespace rdmaboot::responder {

struct Options {
  bool debug = false;
};

/// Reads the command line; --help and --version print and exit. Errors: an argument or option that
/// is not known.
[[nodiscard]] core::Result<Options> parse_options(int argc, char** argv);

}  // namespace rdmaboot::responder
