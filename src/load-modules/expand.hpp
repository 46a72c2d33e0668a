// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// From the names in the lists to the graph of everything that has to be loaded for them.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "load-modules/graph.hpp"
#include "load-modules/list_parser.hpp"
#include "load-modules/module_times.hpp"
#include "os/module_index.hpp"

namespace rdmaboot::load_modules {

/// What the plan depends on besides the index.
struct PlanInput {
  std::vector<Request> requests;
  std::set<std::string, std::less<>> kernel_blacklist;  ///< module_blacklist=
  ModuleTimes times;                                    ///< of earlier runs
};

/// Asks the index about every name and all it pulls in, each module once, and finishes the graph.
///
/// As modprobe does, the deny list of modprobe.d keeps out what a list names or a soft dependency
/// suggests, but not what a module that is loaded needs hard; an install command that is only
/// `true` or `false` and module_blacklist= of the kernel keep out any module. A denied or missing
/// module brings none of its dependencies in.
/// A name the index has an error for (ENOMEM) ends as failed; the rest is planned.
[[nodiscard]] Graph expand(const PlanInput& input, os::ModuleIndex& index);

}  // namespace rdmaboot::load_modules
