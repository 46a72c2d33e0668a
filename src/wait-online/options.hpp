// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "wait-online/config.hpp"

namespace rdmaboot::wait_online {

struct Options {
  Settings settings;   ///< what the command line says; files say the rest
  bool json = false;   ///< one object on standard output at the end
  bool quiet = false;  ///< the exit status alone
  std::string root;    ///< judge the tree of another machine, once; "" is this machine
};

/// Reads the command line. --help and --version print and end the program with status 0.
/// Errors: an unknown option, a wrong value or target, named with what was expected.
[[nodiscard]] core::Result<Options> parse_options(int argc, char** argv);

}  // namespace rdmaboot::wait_online
