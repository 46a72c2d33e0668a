// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Asks a running iwpmd for its table.

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include "rdmaboot/result.hpp"

namespace rdmaboot::rdmactl {

/// Where iwpmd(8) gives its table to whoever may connect.
inline constexpr const char* kMapperSocket = "/run/iwpmd/iwpmd.sock";
/// A longer answer is refused (bytes): the daemon's table is bounded, at some 200 bytes a mapping.
inline constexpr std::size_t kMapperAnswerLimit = 64U << 20U;

/// Connects to `socket` and reads the object that iwpmd sends (docs/schemas/mapper.json).
/// @param patience for the whole answer
/// Errors: ENOENT or ECONNREFUSED if no iwpmd runs; EACCES; ETIMEDOUT if it does not answer;
/// EFBIG; EBADMSG for what is no JSON object.
[[nodiscard]] core::Result<nlohmann::json> ask_mapper(
    const std::string& socket = kMapperSocket,
    std::chrono::milliseconds patience = std::chrono::seconds(5));

}  // namespace rdmaboot::rdmactl
