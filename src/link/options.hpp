// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "rdmaboot/result.hpp"

namespace rdmaboot::link {

enum class Verb { kApply, kList, kCheck };

struct Options {
  Verb verb = Verb::kApply;
  std::string netdev;       ///< with kApply: only this interface's links; empty means all
  bool if_changed = false;  ///< with kApply: only if the declarations are others than last time
  bool json = false;        ///< with kList
  std::string root;         ///< with kCheck: the declarations of another machine's tree
};

/// Reads the command line. --help and --version print and end the program with status 0.
/// Errors: no verb, an unknown word or option, named with what was expected.
[[nodiscard]] core::Result<Options> parse_options(int argc, char** argv);

}  // namespace rdmaboot::link
