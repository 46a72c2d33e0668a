// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the doctor says, for people and for programs. Pure.

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmactl/doctor/checks.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl::doctor {

/// So many findings of one check are shown to people; the rest is counted. JSON has all.
inline constexpr std::size_t kMostShown = 8;

/// What one check found.
struct Outcome {
  const Check* check = nullptr;
  Findings findings;
};

/// Runs all checks but those whose ids are in `ignored`.
[[nodiscard]] std::vector<Outcome> run_checks(const Examined& examined,
                                              const std::set<std::string, std::less<>>& ignored);

/// Whether anything was found.
[[nodiscard]] bool found_any(const std::vector<Outcome>& outcomes);

/// A paragraph for each check that found something, and a line that counts.
[[nodiscard]] std::string report_text(const std::vector<Outcome>& outcomes,
                                      const Terminal& terminal);

/// docs/schemas/doctor.json describes it.
[[nodiscard]] nlohmann::json report_json(const Examined& examined,
                                         const std::vector<Outcome>& outcomes,
                                         const std::vector<core::Error>& notes);

}  // namespace rdmaboot::rdmactl::doctor
