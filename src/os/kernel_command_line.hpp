// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the kernel command line says to the programs of the boot:
//   rdma_boot.load=0         load nothing (the kill switch)
//   rdma_boot.jobs=N         so many modules at once; 1 loads in a reproducible order
//   rdma_boot.deadline=S     seconds a run may take
//   module_blacklist=a,b     the kernel's own list of modules that it refuses with EPERM

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace rdmaboot::os {

/// The last of several equal parameters wins, as in the kernel.
struct KernelParameters {
  bool load = true;
  std::optional<unsigned> jobs;              ///< 1 to kMostJobs
  std::optional<unsigned> deadline_seconds;  ///< 1 to kLongestBootDeadline
  std::set<std::string, std::less<>> blacklist;
  std::string ignored;  ///< a rdma_boot.* parameter that could not be understood; empty if none
};

inline constexpr unsigned kMostJobs = 64;
/// systemd ends a loader that runs for longer than 90 s (TimeoutStartSec= of its unit): what is
/// asked for on the kernel command line has to end before.
inline constexpr unsigned kLongestBootDeadline = 80;

/// Parses /proc/cmdline by the kernel's rules (lib/cmdline.c, next_arg): arguments end at white
/// space outside of double quotes; quotes around a whole argument or value are dropped; '-' and
/// '_' are the same in a parameter's name; what follows "--" belongs to init. Total.
[[nodiscard]] KernelParameters parse_kernel_command_line(std::string_view text);

}  // namespace rdmaboot::os
