// SPDX-License-Identifier: BSD-2-Clause
// link: ndd-policy
//
// rdma-ndd.conf: whatever the bytes, rules are bounded, every error names the file, and every
// device has a format.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ndd/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot;
  ndd::Config config;
  std::vector<core::Error> errors;
  ndd::parse_config(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.conf",
                    config, errors);
  if (config.rules.size() > ndd::kMostRules) {
    std::abort();
  }
  for (const core::Error& error : errors) {
    if (error.object != "fuzz.conf" || error.attempt.find("line ") == std::string::npos) {
      std::abort();
    }
  }
  for (const ndd::Rule& rule : config.rules) {
    if (rule.pattern.empty() || rule.pattern.size() > ndd::kPatternLimit) {
      std::abort();
    }
  }
  if (config.format_for("mlx5_0", "MT_0000000223").text().empty()) {
    std::abort();
  }
  return 0;
}
