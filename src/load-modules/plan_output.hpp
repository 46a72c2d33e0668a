// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// --dry-run: the plan for people, for programs, for graphviz.

#include <optional>
#include <string>
#include <string_view>

#include "load-modules/graph.hpp"

namespace rdmaboot::load_modules {

enum class PlanFormat { kText, kJson, kDot };

/// "text", "json" or "dot"; nothing for anything else.
[[nodiscard]] std::optional<PlanFormat> parse_plan_format(std::string_view name);

/// The plan for `jobs` workers, ending with a newline.
///
/// JSON: {"jobs": N, "expected_usec": N, "modules": [{"name", "path", "options", "requested",
/// "origin", "outcome" (only when it is known without loading), "detail", "class", "cost_usec",
/// "chain_usec", "start_usec", "end_usec", "job", "needs": [{"name", "kind"}]}], "cycles": [text]}.
[[nodiscard]] std::string write_plan(const Graph& graph, unsigned jobs, PlanFormat format);

}  // namespace rdmaboot::load_modules
