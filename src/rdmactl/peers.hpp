// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl peers`: whom rdma-responder talks to, for people. Pure.

#include <string>

#include <nlohmann/json.hpp>

#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// Lines about the responder, then one a connection (or a peer without one). Total: what the object
/// lacks, or has in another form than docs/schemas/peers.json says, stays empty.
[[nodiscard]] std::string peers_text(const nlohmann::json& answer, const Terminal& terminal);

}  // namespace rdmaboot::rdmactl
