// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The session as text: JSON for programs, lines for the journal, one line for STATUS=.

#include <string>
#include <vector>

#include "iwpm/session.hpp"

namespace rdmaboot::iwpm {

/// One JSON object: "kernel" (state and interface version), "mappings" (local, mapped, references,
/// client, reserved), "counters", "pending_queries", "accepted_exchanges", "silent_peers".
/// Addresses are written "10.0.0.1:7200" and "[fd00::1]:7200". Mappings are sorted by their local
/// address.
[[nodiscard]] std::string dump_json(const Session& session);

/// One line a mapping, as dump_json() sorts them.
[[nodiscard]] std::vector<std::string> dump_lines(const Session& session);

/// "2 mappings, 1 query open, 3 answered; the kernel speaks version 4".
[[nodiscard]] std::string status_line(const Session& session);

}  // namespace rdmaboot::iwpm
