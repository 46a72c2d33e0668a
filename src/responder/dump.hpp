// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The engine's peers as text for programs.

#include <string>

#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::responder {

inline constexpr const char* kDumpSocket = "/run/rdma-responder/responder.sock";

/// One JSON object (docs/schemas/peers.json): who it is, how it stands, its peers with their
/// connections, and its counters. @param engine null while there is none
[[nodiscard]] std::string dump_json(const engine::Engine* engine, const std::string& state);

}  // namespace rdmaboot::responder
