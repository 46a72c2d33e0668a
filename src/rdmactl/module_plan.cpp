// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/module_plan.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "core/text.hpp"
#include "rdmactl/answer.hpp"
#include "rdmactl/table.hpp"

namespace rdmaboot::rdmactl {
namespace {

using nlohmann::json;

constexpr std::string_view kLoad = "load";
/// Modules of which "needed by" names no more than so many.
constexpr std::size_t kNamesTold = 3;

std::int64_t number_of(const json& value) {
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

/// The elements of an array; none of anything else.
const json& elements(const json& value) {
  static const json kNone = json::array();
  return value.is_array() ? value : kNone;
}

/// Modules by name, each with those that need it.
using Users = std::map<std::string, std::vector<std::string>, std::less<>>;

Users users_in(const json& modules) {
  Users users;
  for (const json& module : modules) {
    for (const json& need : elements(member(module, "needs"))) {
      users[text_of(member(need, "name"))].push_back(text_of(member(module, "name")));
    }
  }
  return users;
}

std::string why(const json& module, const Users& users) {
  if (std::string origin = text_of(member(module, "origin")); !origin.empty()) {
    return origin;
  }
  const auto found = users.find(text_of(member(module, "name")));
  if (found == users.end()) {
    return {};
  }
  std::string text = "needed by ";
  for (std::size_t i = 0; i < std::min(found->second.size(), kNamesTold); ++i) {
    text += (i == 0 ? "" : ", ") + found->second[i];
  }
  if (found->second.size() > kNamesTold) {
    text += " and " + std::to_string(found->second.size() - kNamesTold) + " more";
  }
  return text;
}

/// What the module waits for, without what follows from the rest: modules.dep names every level.
std::vector<std::string> direct_needs(
    const json& module, const std::map<std::string, std::set<std::string>, std::less<>>& hard) {
  std::vector<std::string> direct;
  const json& needs = elements(member(module, "needs"));
  for (const json& need : needs) {
    const std::string name = text_of(member(need, "name"));
    const std::string kind = text_of(member(need, "kind"));
    const bool follows =
        kind == "hard" && std::any_of(needs.begin(), needs.end(), [&](const json& via) {
          const auto further = hard.find(text_of(member(via, "name")));
          return text_of(member(via, "kind")) == "hard" && further != hard.end() &&
                 further->second.contains(name);
        });
    if (!follows) {
      direct.push_back(kind == "hard" ? name : "(" + name + ")");
    }
  }
  return direct;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

Colour colour_of(std::string_view outcome) {
  if (outcome == "failed" || outcome == "timed-out" || outcome == "missing" ||
      outcome == "dependency-failed") {
    return Colour::kRed;
  }
  return outcome == "denied" ? Colour::kYellow : Colour::kNone;
}

/// "loaded in 12 ms", "failed".
std::string run_text(const ModuleRun& run) {
  return run.took.count() > 0 ? run.result + " in " + duration_text(run.took) : run.result;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + '"';
}

}  // namespace

core::Result<ModulePlan> read_plan(std::string_view text, const std::vector<ModuleRun>& runs) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) {
    return core::fail("understand", "the plan of rdma-load-modules", EBADMSG, "a JSON object");
  }
  ModulePlan plan;
  plan.jobs = static_cast<unsigned>(number_of(member(document, "jobs")));
  plan.expected_usec = number_of(member(document, "expected_usec"));
  for (const json& cycle : elements(member(document, "cycles"))) {
    plan.cycles.push_back(text_of(cycle));
  }
  const json& modules = elements(member(document, "modules"));
  const Users users = users_in(modules);
  std::map<std::string, std::set<std::string>, std::less<>> hard;
  for (const json& module : modules) {
    for (const json& need : elements(member(module, "needs"))) {
      if (text_of(member(need, "kind")) == "hard") {
        hard[text_of(member(module, "name"))].insert(text_of(member(need, "name")));
      }
    }
  }
  std::vector<std::pair<std::int64_t, PlannedModule>> all;
  constexpr std::int64_t kNever = INT64_MAX;
  for (const json& module : modules) {
    PlannedModule one;
    one.name = text_of(member(module, "name"));
    const bool planned = member(module, "start_usec").is_number();
    const std::string outcome = text_of(member(module, "outcome"));
    one.would = planned ? std::string(kLoad) : outcome.empty() ? "being loaded" : outcome;
    one.why = why(module, users);
    one.detail = text_of(member(module, "detail"));
    one.after = direct_needs(module, hard);
    one.expected_usec = number_of(member(module, "cost_usec"));
    for (auto run = runs.rbegin(); run != runs.rend() && one.runs.size() < kRunsTold; ++run) {
      if (run->module == one.name) {
        one.runs.push_back(*run);
      }
    }
    all.emplace_back(planned ? number_of(member(module, "start_usec")) : kNever, std::move(one));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  for (auto& [start, module] : all) {
    plan.modules.push_back(std::move(module));
  }
  return plan;
}

std::string plan_text(const ModulePlan& plan, const Terminal& terminal) {
  using enum Column::Side;
  Table table({{"MODULE", kLeft, 0},
               {"WOULD", kLeft, 0},
               {"LAST RUN", kLeft, 1},
               {"AFTER", kLeft, 2},
               {"WHY", kLeft, 0, 20}});
  std::size_t loads = 0;
  for (const PlannedModule& module : plan.modules) {
    loads += module.would == kLoad ? 1U : 0U;
    const bool ran = !module.runs.empty();
    table.add({{module.name},
               {module.would, module.would == kLoad ? Colour::kGreen : colour_of(module.would)},
               {ran ? run_text(module.runs.front()) : "",
                ran ? colour_of(module.runs.front().result) : Colour::kNone},
               {joined(module.after)},
               {module.detail.empty() ? module.why : module.detail}});
  }
  std::string out = table.text(terminal);
  for (const std::string& cycle : plan.cycles) {
    out += coloured(cycle, Colour::kYellow, terminal) + "\n";
  }
  return out + std::to_string(loads) + " of " + std::to_string(plan.modules.size()) +
         " would be loaded, " + std::to_string(plan.jobs) + " at once; expected " +
         duration_text(core::Microseconds(plan.expected_usec)) + "\n";
}

json plan_json(const ModulePlan& plan) {
  json modules = json::array();
  for (const PlannedModule& module : plan.modules) {
    json runs = json::array();
    for (const ModuleRun& run : module.runs) {
      runs.push_back({{"result", run.result},
                      {"list", run.list},
                      {"usec", run.took.count()},
                      {"ended_usec", run.ended.count()},
                      {"ended_realtime_usec", run.ended_realtime.count()}});
    }
    modules.push_back({{"name", module.name},
                       {"would", module.would},
                       {"why", module.why},
                       {"detail", module.detail},
                       {"after", module.after},
                       {"expected_usec", module.expected_usec},
                       {"runs", std::move(runs)}});
  }
  return {{"jobs", plan.jobs},
          {"expected_usec", plan.expected_usec},
          {"modules", std::move(modules)},
          {"cycles", plan.cycles}};
}

std::string plan_dot(const ModulePlan& plan) {
  std::string out = "digraph modules {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const PlannedModule& module : plan.modules) {
    std::string label = module.name;
    if (!module.runs.empty()) {
      label += "\n" + run_text(module.runs.front());
    } else if (module.would != kLoad) {
      label += "\n" + module.would;
    }
    std::string quoted = in_quotes(label);
    for (std::size_t at = 0; (at = quoted.find('\n', at)) != std::string::npos;) {
      quoted.replace(at, 1, "\\n");
    }
    out += "  " + in_quotes(module.name) + " [label=" + quoted +
           (module.would == kLoad ? "" : ", style=dashed") + "];\n";
  }
  for (const PlannedModule& module : plan.modules) {
    for (std::string need : module.after) {
      const bool soft = need.starts_with("(");
      if (soft) {
        need = need.substr(1, need.size() - 2);
      }
      out += "  " + in_quotes(need) + " -> " + in_quotes(module.name) +
             (soft ? " [style=dashed];\n" : ";\n");
    }
  }
  return out + "}\n";
}

}  // namespace rdmaboot::rdmactl
