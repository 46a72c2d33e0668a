// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Asks a running daemon of ours what it knows.

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include "rdmaboot/result.hpp"

namespace rdmaboot::rdmactl {

/// A daemon that gives a JSON object to whoever may connect to its socket.
struct DaemonSocket {
  std::string name;  ///< as messages call it
  std::string unit;
  std::string path;
  std::string allowed;  ///< who may connect, for a message
};

/// iwpmd(8) and its table (docs/schemas/mapper.json).
[[nodiscard]] DaemonSocket mapper_socket();
/// rdma-responder(8) and its peers (docs/schemas/peers.json).
[[nodiscard]] DaemonSocket responder_socket();

/// A longer answer is refused (bytes): both tables are bounded, at some 200 bytes an entry.
inline constexpr std::size_t kAnswerLimit = 64U << 20U;

/// Connects and reads the object that the daemon sends.
/// @param patience for the whole answer
/// Errors: ENOENT or ECONNREFUSED if it does not run; EACCES; ETIMEDOUT if it does not answer;
/// EFBIG; EBADMSG for what is no JSON object.
[[nodiscard]] core::Result<nlohmann::json> ask_daemon(
    const DaemonSocket& daemon, std::chrono::milliseconds patience = std::chrono::seconds(5));

}  // namespace rdmaboot::rdmactl
