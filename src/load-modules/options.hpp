// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "load-modules/plan_output.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::load_modules {

/// What the command line says.
struct Options {
  std::vector<std::string> lists;    ///< NAME of NAME.conf; "rdma" when nothing is named
  std::vector<std::string> modules;  ///< --module: asked for besides the lists
  std::string root;                  ///< --root without a trailing '/'; "" is this machine
  std::string kernel;                ///< --kernel; "" is the running kernel
  bool dry_run = false;
  PlanFormat format = PlanFormat::kText;
  std::optional<unsigned> jobs;
  std::optional<unsigned> deadline_seconds;
  bool help = false;
  bool version = false;
};

/// Parses the arguments (the program's name first). getopt_long(3) and not a command-line library:
/// this program runs in the middle of the boot, every relocation counts.
/// Errors: an unknown option, a value out of range, --root or --kernel without --dry-run.
/// Not thread-safe (getopt).
[[nodiscard]] core::Result<Options> parse_options(std::span<char* const> arguments);

/// The text of --help.
[[nodiscard]] std::string usage();

}  // namespace rdmaboot::load_modules
