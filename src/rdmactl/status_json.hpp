// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a snapshot says, as JSON for programs. docs/schemas/status.json describes it.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmactl/status.hpp"

namespace rdmaboot::rdmactl {

/// One object with "devices", an array, each with its "ports". A value that nobody could tell is
/// null; text is made printable.
/// @param ports what judge_ports() said of the snapshot
[[nodiscard]] nlohmann::json status_json(const device::Snapshot& snapshot,
                                         const std::vector<PortStatus>& ports);

}  // namespace rdmaboot::rdmactl
