// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
//
// The kernel command line and the file of earlier times.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "load-modules/module_times.hpp"
#include "os/kernel_command_line.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::load_modules;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const rdmaboot::os::KernelParameters parameters = rdmaboot::os::parse_kernel_command_line(text);
  if (parameters.jobs.value_or(1) < 1 || parameters.jobs.value_or(1) > rdmaboot::os::kMostJobs ||
      parameters.deadline_seconds.value_or(1) > rdmaboot::os::kLongestBootDeadline) {
    std::abort();
  }
  const ModuleTimes times = parse_module_times(text);
  if (times.size() > kMostTimes || parse_module_times(format_module_times(times)) != times) {
    std::abort();
  }
  return 0;
}
