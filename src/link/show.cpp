// SPDX-License-Identifier: BSD-2-Clause
#include "link/show.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "core/text.hpp"

namespace rdmaboot::link {
namespace {

constexpr std::size_t kColumns = 5;
/// A reason names two devices at most (bytes).
constexpr std::size_t kLongestReason = 1024;
using Row = std::array<std::string, kColumns>;

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : core::printable(text);
}

}  // namespace

std::string_view state_of(Action action) {
  switch (action) {
    case Action::kDelete:
      return "to be removed";
    case Action::kForget:
      return "gone";
    case Action::kCreate:
      return "to be made";
    case Action::kKeep:
      return "made";
    case Action::kAdopt:
      return "adopted";
    case Action::kWait:
      return "waiting";
    case Action::kRefuse:
      break;
  }
  return "refused";
}

std::string as_text(const std::vector<Step>& plan) {
  if (plan.empty()) {
    return "no link is declared\n";
  }
  std::vector<Row> rows = {{"LINK", "TYPE", "INTERFACE", "STATE", "FILE"}};
  for (const Step& step : plan) {
    rows.push_back({or_dash(step.link), std::string(device::name_of(step.type)),
                    or_dash(step.netdev), std::string(state_of(step.action)), or_dash(step.file)});
  }
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (std::size_t line = 0; line < rows.size(); ++line) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string& cell = rows[line][i];
      text += cell;
      text += i + 1 < kColumns ? std::string(widths[i] - cell.size() + 2, ' ') : "\n";
    }
    const bool told = line > 0 && !plan[line - 1].reason.empty();
    text += told ? "  " + core::printable(plan[line - 1].reason, kLongestReason) + "\n" : "";
  }
  return text;
}

std::string as_json(const std::vector<Step>& plan) {
  nlohmann::ordered_json links = nlohmann::ordered_json::array();
  for (const Step& step : plan) {
    links.push_back({{"link", core::printable(step.link)},
                     {"type", device::name_of(step.type)},
                     {"netdev", core::printable(step.netdev)},
                     {"state", state_of(step.action)},
                     {"file", core::printable(step.file)},
                     {"reason", core::printable(step.reason, kLongestReason)}});
  }
  return links.dump(2) + "\n";
}

}  // namespace rdmaboot::link
