// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl mapper`: the table of the iWARP port mapper for people. Pure.

#include <string>

#include <nlohmann/json.hpp>

#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// A line about the mapper, then one a mapping. Total: what the object lacks, or has in another
/// form than docs/schemas/mapper.json says, stays empty.
[[nodiscard]] std::string mapper_text(const nlohmann::json& answer, const Terminal& terminal);

}  // namespace rdmaboot::rdmactl
