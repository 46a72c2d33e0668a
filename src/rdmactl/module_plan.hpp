// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl modules`: what the loader would do with each module, why, and what became of it the last
// times. Pure: from the loader's own plan (rdma-load-modules --dry-run --format json) and the
// journal.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmactl/module_runs.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// So many of the last runs of a module are told.
inline constexpr std::size_t kRunsTold = 5;

/// One module of the plan.
struct PlannedModule {
  std::string name;
  std::string would;   ///< "load", or why not: "builtin", "already-live", "denied", "missing" ...
  std::string why;     ///< the line of a list that names it, or the modules that need it
  std::string detail;  ///< of what would not be loaded: which file forbids it
  std::vector<std::string> after;  ///< waits for these, soft ones in parentheses
  std::int64_t expected_usec = 0;  ///< by the loader's memory; 0: not known, or nothing to do
  std::vector<ModuleRun> runs;     ///< in this boot, newest first, at most kRunsTold
};

struct ModulePlan {
  std::vector<PlannedModule> modules;  ///< as the loader would start them, then the others
  std::vector<std::string> cycles;     ///< needs that were ignored, because they form a circle
  std::int64_t expected_usec = 0;      ///< of all
  unsigned jobs = 0;
};

/// Reads the loader's plan, and adds the runs. Total but for: Errors: what is no JSON object.
[[nodiscard]] core::Result<ModulePlan> read_plan(std::string_view json,
                                                 const std::vector<ModuleRun>& runs);

[[nodiscard]] std::string plan_text(const ModulePlan& plan, const Terminal& terminal);
/// docs/schemas/modules.json
[[nodiscard]] nlohmann::json plan_json(const ModulePlan& plan);
/// For dot(1): an arrow from what comes first, dashed where it is not needed; dashed is also what
/// would not be loaded.
[[nodiscard]] std::string plan_dot(const ModulePlan& plan);

}  // namespace rdmaboot::rdmactl
