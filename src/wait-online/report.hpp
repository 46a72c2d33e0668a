// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What is told: to a person, to systemd, to a program. Pure.

#include <chrono>
#include <string>
#include <vector>

#include "wait-online/targets.hpp"

namespace rdmaboot::wait_online {

/// The line of one port: "mlx5_0:1: not yet: port INIT, waiting for a subnet manager".
[[nodiscard]] std::string describe(const Line& line);

/// What is not ready, in one line for STATUS= and a terminal; the first few ports, then how many
/// more. Empty when all is ready.
[[nodiscard]] std::string summary(const Evaluation& evaluation);

/// One JSON object without a line's end: "status", "level", "waited_ms", and "ports", each with
/// "target", "device", "port" (null where there is none), "status" and "missing".
[[nodiscard]] std::string to_json(const Evaluation& evaluation, device::Level level,
                                  std::chrono::milliseconds waited);

/// 0 ready, 1 not yet, 2 broken.
[[nodiscard]] int exit_status(device::Readiness readiness);

}  // namespace rdmaboot::wait_online
