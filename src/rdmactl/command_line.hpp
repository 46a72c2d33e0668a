// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What was asked for. Every verb has a file of its own, which says here what its options are.

#include <functional>

#include <CLI/CLI.hpp>

#include "rdmaboot/result.hpp"

namespace rdmaboot::rdmactl {

/// What a verb does; the value is the program's exit status.
using Action = std::function<core::Result<int>()>;

/// The verb that the command line names, after parsing.
struct Chosen {
  Action action;
};

/// Exit status of a verb that looked for something wrong and found it (doctor), or waits for
/// something and does not have it. 1 is an error: the verb could not do its work.
inline constexpr int kFound = 2;

/// Reads the command line and runs its verb. --help and --version print and give 0.
/// Errors: an unknown verb, option or value, named; what the verb says.
[[nodiscard]] core::Result<int> run(int argc, const char* const* argv);

// One a verb: adds it to the program.
void add_status(CLI::App& program, Chosen& chosen);
void add_doctor(CLI::App& program, Chosen& chosen);
void add_monitor(CLI::App& program, Chosen& chosen);
void add_metrics(CLI::App& program, Chosen& chosen);
void add_mapper(CLI::App& program, Chosen& chosen);
void add_ping(CLI::App& program, Chosen& chosen);
void add_bench(CLI::App& program, Chosen& chosen);
void add_peers(CLI::App& program, Chosen& chosen);
void add_modules(CLI::App& program, Chosen& chosen);
void add_analyze(CLI::App& program, Chosen& chosen);
void add_forwarded(CLI::App& program, Chosen& chosen);

}  // namespace rdmaboot::rdmactl
