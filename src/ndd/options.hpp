// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rdmaboot/result.hpp"

namespace rdmaboot::ndd {

struct Options {
  bool background = true;  ///< neither --foreground nor --systemd
  bool debug = false;
};

/// Reads the command line. --help and --version print and end the program with status 0.
/// Errors: an unknown option or an argument.
[[nodiscard]] core::Result<Options> parse_options(int argc, char** argv);

}  // namespace rdmaboot::ndd
