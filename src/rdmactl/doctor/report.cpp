// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/report.hpp"

#include <algorithm>
#include <map>

#include "core/text.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

using nlohmann::json;

/// Longest text of one finding that is shown (bytes).
constexpr std::size_t kTextLimit = 1000;

std::string shown(std::string_view text) {
  return core::printable(text, kTextLimit);
}

Colour colour_of(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return Colour::kRed;
    case Severity::kWarning:
      return Colour::kYellow;
    case Severity::kNotice:
      break;
  }
  return Colour::kGrey;
}

std::string page_of(const Check& check) {
  return std::string(RDMABOOT_DOCTOR_PAGES "/") + std::string(check.id) + ".md";
}

/// `text` in lines as wide as the terminal, `indent` in front of all but the first, which has
/// `first`.
std::string wrapped(const std::string& first, std::string_view text, std::size_t indent,
                    const Terminal& terminal) {
  std::string out = first;
  std::size_t column = columns_of(first);
  bool is_start = true;
  for (const std::string_view word : core::split(text, " ")) {
    const std::size_t width = columns_of(word);
    if (!is_start && terminal.width > 0 && column + 1 + width > terminal.width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
      is_start = true;
    }
    out += (is_start ? "" : " ") + std::string(word);
    column += width + (is_start ? 0 : 1);
    is_start = false;
  }
  return out + "\n";
}

/// @param with_remedy false where the next finding has the same
std::string finding_text(const Finding& finding, bool with_remedy, const Terminal& terminal) {
  constexpr std::size_t kIndent = 4;
  const std::string indent(kIndent, ' ');
  std::string text = wrapped(indent, shown(finding.object) + ": " + shown(finding.evidence),
                             kIndent + 2, terminal);
  if (with_remedy) {
    text += wrapped(indent + "> ", shown(finding.remedy), kIndent + 2, terminal);
  }
  return text;
}

}  // namespace

std::vector<Outcome> run_checks(const Examined& examined,
                                const std::set<std::string, std::less<>>& ignored) {
  std::vector<Outcome> outcomes;
  for (const Check& check : checks()) {
    if (!ignored.contains(check.id)) {
      outcomes.push_back({&check, check.run(examined)});
    }
  }
  return outcomes;
}

bool found_any(const std::vector<Outcome>& outcomes) {
  return std::any_of(outcomes.begin(), outcomes.end(),
                     [](const Outcome& outcome) { return !outcome.findings.empty(); });
}

std::string report_text(const std::vector<Outcome>& outcomes, const Terminal& terminal) {
  std::string out;
  std::map<Severity, std::size_t> counts;
  for (const Outcome& outcome : outcomes) {
    if (outcome.findings.empty()) {
      continue;
    }
    const Check& check = *outcome.check;
    counts[check.severity] += outcome.findings.size();
    out +=
        coloured("● " + std::string(name_of(check.severity)), colour_of(check.severity), terminal) +
        " " + coloured(check.id, Colour::kBold, terminal) + ": " + std::string(check.title) + "\n";
    const std::size_t most = std::min(outcome.findings.size(), kMostShown);
    for (std::size_t i = 0; i < most; ++i) {
      const bool is_last = i + 1 == most;
      const bool with_remedy =
          is_last || outcome.findings[i + 1].remedy != outcome.findings[i].remedy;
      out += finding_text(outcome.findings[i], with_remedy, terminal);
    }
    if (outcome.findings.size() > most) {
      out += "    and " + std::to_string(outcome.findings.size() - most) + " more (--json)\n";
    }
    out += "    " + coloured(page_of(check), Colour::kGrey, terminal) + "\n\n";
  }
  std::string total;
  for (const auto& [severity, count] : counts) {
    total += (total.empty() ? "" : ", ") + std::to_string(count) + " " +
             std::string(name_of(severity)) + (count == 1 ? "" : "s");
  }
  const std::string by = std::to_string(outcomes.size()) + " checks";
  return out + (total.empty() ? by + ", nothing found.\n" : total + ", by " + by + ".\n");
}

json report_json(const Examined& examined, const std::vector<Outcome>& outcomes,
                 const std::vector<core::Error>& notes) {
  json list = json::array();
  std::size_t found = 0;
  for (const Outcome& outcome : outcomes) {
    json findings = json::array();
    for (const Finding& finding : outcome.findings) {
      findings.push_back({{"object", shown(finding.object)},
                          {"evidence", shown(finding.evidence)},
                          {"remedy", shown(finding.remedy)}});
    }
    found += findings.size();
    list.push_back({{"id", outcome.check->id},
                    {"severity", name_of(outcome.check->severity)},
                    {"title", outcome.check->title},
                    {"page", page_of(*outcome.check)},
                    {"findings", std::move(findings)}});
  }
  json unread = json::array();
  for (const core::Error& note : notes) {
    unread.push_back(shown(note.message()));
  }
  return {{"host", shown(examined.hostname)},
          {"kernel", shown(examined.kernel_release)},
          {"found", found},
          {"checks", std::move(list)},
          {"notes", std::move(unread)}};
}

}  // namespace rdmaboot::rdmactl::doctor
