// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

enum class Verb {
  kServe,  ///< be the daemon
  kDump,   ///< print the table of the one that runs
};

/// Reads the command line. --help and --version print and end the program with status 0. What
/// rdma-core's iwpmd takes and means nothing here (-s, -f) is accepted.
/// Errors: an unknown option, named.
[[nodiscard]] core::Result<Verb> parse_options(int argc, char** argv);

}  // namespace rdmaboot::iwpm
