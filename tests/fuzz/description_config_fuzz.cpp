// SPDX-License-Identifier: BSD-2-Clause
//
// rdma-ndd.conf: whatever the bytes, rules are bounded, every error names the file, and every
// device has a format.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "device/description_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot;
  device::DescriptionConfig config;
  std::vector<core::Error> errors;
  device::parse_description_config(std::string_view(reinterpret_cast<const char*>(data), size),
                                   "fuzz.conf", config, errors);
  if (config.rules.size() > device::kMostDescriptionRules) {
    std::abort();
  }
  for (const core::Error& error : errors) {
    if (error.object != "fuzz.conf" || error.attempt.find("line ") == std::string::npos) {
      std::abort();
    }
  }
  for (const device::DescriptionRule& rule : config.rules) {
    if (rule.pattern.empty() || rule.pattern.size() > device::kDescriptionPatternLimit) {
      std::abort();
    }
  }
  if (config.format_for("mlx5_0", "MT_0000000223").text().empty()) {
    std::abort();
  }
  return 0;
}
