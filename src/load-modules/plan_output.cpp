// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/plan_output.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "load-modules/simulate.hpp"

namespace rdmaboot::load_modules {
namespace {

std::string_view name_of(Need need) {
  switch (need) {
    case Need::kHard:
      return "hard";
    case Need::kSoft:
      return "soft";
    case Need::kPost:
      return "post";
    case Need::kWeak:
      break;
  }
  return "weak";
}

std::string milliseconds(std::uint64_t microseconds) {
  const std::string fraction = std::to_string(microseconds % 1000 / 100);
  return std::to_string(microseconds / 1000) + "." + fraction + " ms";
}

std::uint64_t expected(const std::vector<Planned>& plan) {
  core::Microseconds last{0};
  for (const Planned& planned : plan) {
    last = std::max(last, planned.end);
  }
  return static_cast<std::uint64_t>(last.count());
}

/// Modules.dep names every level of dependencies; for a picture those that follow from others are
/// left out.
std::vector<Edge> direct_needs(const Graph& graph, const Module& module) {
  std::vector<Edge> direct;
  for (const Edge& edge : module.needs) {
    const bool follows =
        edge.need == Need::kHard &&
        std::any_of(module.needs.begin(), module.needs.end(), [&](const Edge& via) {
          const auto& further = graph.modules[via.on].needs;
          return via.need == Need::kHard && via.on != edge.on &&
                 std::any_of(further.begin(), further.end(), [&](const Edge& far) {
                   return far.need == Need::kHard && far.on == edge.on;
                 });
        });
    if (!follows) {
      direct.push_back(edge);
    }
  }
  return direct;
}

std::string needs_text(const Graph& graph, const Module& module) {
  std::string text;
  for (const Edge& edge : direct_needs(graph, module)) {
    text += text.empty() ? "" : " ";
    text += graph.modules[edge.on].name;
    if (edge.need != Need::kHard) {
      text += "(" + std::string(name_of(edge.need)) + ")";
    }
  }
  return text;
}

std::string write_text(const Graph& graph, unsigned jobs, const std::vector<Planned>& plan) {
  std::string out = "# " + std::to_string(plan.size()) + " modules to load with " +
                    std::to_string(jobs) + (jobs == 1 ? " worker" : " workers") + ", expected " +
                    milliseconds(expected(plan)) + "\n";
  for (const Planned& planned : plan) {
    const Module& module = graph.modules[planned.module];
    out += std::to_string(planned.job) + " " +
           milliseconds(static_cast<std::uint64_t>(planned.start.count())) + " " + module.name;
    if (!module.options.empty()) {
      out += " " + core::printable(module.options);
    }
    if (!module.install_command.empty()) {
      out += " (install " + core::printable(module.install_command) + ")";
    }
    if (const std::string needs = needs_text(graph, module); !needs.empty()) {
      out += "  # after " + needs;
    }
    out += "\n";
  }
  for (const Module& module : graph.modules) {
    if (module.decided || module.coming) {
      out += "- " + module.name + ": " +
             (module.decided ? std::string(name_of(module.decided->outcome)) : "being loaded");
      if (module.decided && !module.decided->detail.empty()) {
        out += " (" + module.decided->detail + ")";
      }
      out += module.origin.empty() ? "\n" : "  # " + module.origin + "\n";
    }
  }
  for (const std::string& cycle : graph.cycles) {
    out += "! " + cycle + "\n";
  }
  return out;
}

std::string write_json(const Graph& graph, unsigned jobs, const std::vector<Planned>& plan) {
  std::unordered_map<ModuleId, const Planned*> when;
  for (const Planned& planned : plan) {
    when[planned.module] = &planned;
  }
  nlohmann::json document = {{"jobs", jobs},
                             {"expected_usec", expected(plan)},
                             {"modules", nlohmann::json::array()},
                             {"cycles", graph.cycles}};
  for (ModuleId id = 0; id < graph.modules.size(); ++id) {
    const Module& module = graph.modules[id];
    nlohmann::json entry = {{"name", module.name},
                            {"requested", module.requested},
                            {"class", module.priority == Class::kVerbs ? "verbs" : "other"},
                            {"needs", nlohmann::json::array()}};
    if (!module.origin.empty()) {
      entry["origin"] = module.origin;
    }
    if (module.decided) {
      entry["outcome"] = name_of(module.decided->outcome);
      entry["detail"] = module.decided->detail;
    } else if (const auto planned = when.find(id); planned != when.end()) {
      entry.update({{"path", module.path},
                    {"options", module.options},
                    {"install", module.install_command},
                    {"cost_usec", module.cost},
                    {"chain_usec", module.chain},
                    {"job", planned->second->job},
                    {"start_usec", planned->second->start.count()},
                    {"end_usec", planned->second->end.count()}});
    }
    for (const Edge& edge : module.needs) {
      entry["needs"].push_back(
          {{"name", graph.modules[edge.on].name}, {"kind", name_of(edge.need)}});
    }
    document["modules"].push_back(std::move(entry));
  }
  constexpr int kIndent = 2;
  // Paths and options come from files: bytes that are not UTF-8 are replaced, never an exception.
  return document.dump(kIndent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : core::printable(text)) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + '"';
}

std::string write_dot(const Graph& graph) {
  std::string out = "digraph modules {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const Module& module : graph.modules) {
    out += "  " + in_quotes(module.name);
    if (module.decided) {
      out += " [style=dashed, label=" +
             in_quotes(module.name + " (" + std::string(name_of(module.decided->outcome)) + ")") +
             "]";
    } else if (module.requested) {
      out += " [style=bold]";
    }
    out += ";\n";
  }
  for (const Module& module : graph.modules) {
    for (const Edge& edge : direct_needs(graph, module)) {
      out += "  " + in_quotes(graph.modules[edge.on].name) + " -> " + in_quotes(module.name);
      if (edge.need != Need::kHard) {
        out += " [style=dashed, label=" + in_quotes(name_of(edge.need)) + "]";
      }
      out += ";\n";
    }
  }
  return out + "}\n";
}

}  // namespace

std::optional<PlanFormat> parse_plan_format(std::string_view name) {
  if (name == "text") {
    return PlanFormat::kText;
  }
  if (name == "json") {
    return PlanFormat::kJson;
  }
  if (name == "dot") {
    return PlanFormat::kDot;
  }
  return std::nullopt;
}

std::string write_plan(const Graph& graph, unsigned jobs, PlanFormat format) {
  const std::vector<Planned> plan = simulate(graph, jobs);
  switch (format) {
    case PlanFormat::kJson:
      return write_json(graph, jobs, plan);
    case PlanFormat::kDot:
      return write_dot(graph);
    case PlanFormat::kText:
      break;
  }
  return write_text(graph, jobs, plan);
}

}  // namespace rdmaboot::load_modules
