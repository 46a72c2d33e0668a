// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the verbs that ask a peer have in common on the command line.

#include <cstdint>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "core/clock.hpp"
#include "rdmaboot/result.hpp"
#include "rdmactl/path/client.hpp"

namespace rdmaboot::rdmactl {

/// Adds --from, --on and --port.
void add_client_options(CLI::App& verb, ClientOptions& options);

/// A time from the command line. Errors: none above 0, more than a day, naming the option.
[[nodiscard]] core::Result<core::Microseconds> seconds(double value, std::string_view option);

}  // namespace rdmaboot::rdmactl
