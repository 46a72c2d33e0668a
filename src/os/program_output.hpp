// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Runs another program and takes what it writes.

#include <cstddef>
#include <string>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

struct ProgramOutput {
  int status = 0;    ///< exit status; 128 and the signal's number for one that a signal ended
  std::string text;  ///< of standard output
};

/// Runs words[0] (a path) with the rest as its arguments, with standard error as it is or thrown
/// away, and waits for its end.
/// @param limit longest output (bytes)
/// Errors: errno of starting it; EFBIG, when the rest of its output finds no reader.
[[nodiscard]] core::Result<ProgramOutput> run_program(std::vector<std::string> words,
                                                      std::size_t limit, bool quiet);

}  // namespace rdmaboot::os
