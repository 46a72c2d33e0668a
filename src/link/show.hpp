// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The plan as text and as JSON. Pure.

#include <string>
#include <vector>

#include "link/plan.hpp"

namespace rdmaboot::link {

/// How a link stands, as a state and not as something to do: "made", "adopted", "waiting",
/// "refused", "to be made", "to be removed", "gone".
[[nodiscard]] std::string_view state_of(Action action);

/// A table with a line a link; a line that says so when there is none.
[[nodiscard]] std::string as_text(const std::vector<Step>& plan);

/// An array of objects with the keys link, type, netdev, state, file and reason.
[[nodiscard]] std::string as_json(const std::vector<Step>& plan);

}  // namespace rdmaboot::link
