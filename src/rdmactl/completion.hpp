// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a shell offers after TAB: `rdmactl --complete WORD...`. The scripts in packaging/completions
// only ask, so they never fall behind the options.

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace rdmaboot::rdmactl {

/// What can stand in the place of the last of `words`, which are those after the program's name;
/// the last one is empty or a beginning. Names of devices, ports, lists, units and hosts are read
/// from this machine, or below `root`. Empty where a file is wanted or nothing is known. Sorted,
/// printable names only: a name that a shell or a terminal could act on is not offered.
[[nodiscard]] std::vector<std::string> complete(const CLI::App& program,
                                                const std::vector<std::string>& words,
                                                const std::string& root = {});

}  // namespace rdmaboot::rdmactl
