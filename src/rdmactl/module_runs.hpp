// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What rdma-load-modules told the journal about modules. Pure.

#include <string>
#include <vector>

#include "core/clock.hpp"
#include "os/systemd_journal.hpp"

namespace rdmaboot::rdmactl {

/// One module in one run of the loader.
struct ModuleRun {
  std::string module;           ///< KMOD=
  std::string result;           ///< RESULT=: "loaded", "failed", "timed-out", "missing" ...
  std::string list;             ///< RDMA_LIST=: "rdma", "roce" ...
  core::Microseconds took{0};   ///< USEC=
  core::Microseconds ended{0};  ///< since boot
  core::Microseconds ended_realtime{0};  ///< since 1970
};

/// The entries that module_runs() reads.
[[nodiscard]] os::JournalQuery journal_about_modules();

/// Every run of every module, in the order of the entries; what is no such entry is left out.
[[nodiscard]] std::vector<ModuleRun> module_runs(const std::vector<os::JournalEntry>& entries);

/// The last run of each module, by name.
[[nodiscard]] std::vector<ModuleRun> last_runs(const std::vector<ModuleRun>& runs);

}  // namespace rdmaboot::rdmactl
