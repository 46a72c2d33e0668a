// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a run tells the journal, as plain data.

#include <span>
#include <string>

#include "load-modules/graph.hpp"
#include "program/log.hpp"

namespace rdmaboot::load_modules {

/// One journal entry. The fields beside the message: KMOD=, RESULT=, USEC=, RDMA_LIST=.
struct Entry {
  program::Level level = program::Level::kInfo;
  std::string message;
  std::string module;     ///< KMOD=, empty for an entry about the whole run
  std::string result;     ///< RESULT=
  std::int64_t usec = 0;  ///< USEC=
};

/// The entry for one module that has ended. What was live or builtin before is said at debug level
/// only: it is the usual thing on every run but the first.
[[nodiscard]] Entry describe_ending(const Module& module, const Ending& ending);

/// The one line about the run:
/// "rdma: 9 loaded, 3 already live in 412 ms; slowest sunrpc 120 ms".
[[nodiscard]] Entry describe_run(const std::string& lists, const Graph& graph,
                                 std::span<const Ending> endings, core::Microseconds took);

/// Whether a module that the lists need failed, or any was not done in time: the exit status.
[[nodiscard]] bool any_failure(const Graph& graph, std::span<const Ending> endings);

}  // namespace rdmaboot::load_modules
