// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/report.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace rdmaboot::load_modules {
namespace {

using program::Level;

constexpr std::size_t kMostNamesTold = 8;

Level level_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAlreadyLive:
    case Outcome::kBuiltin:
      return Level::kDebug;
    case Outcome::kLoaded:
    case Outcome::kDenied:
      return Level::kInfo;
    case Outcome::kMissing:
    case Outcome::kDependencyFailed:
      return Level::kWarning;
    case Outcome::kFailed:
    case Outcome::kTimedOut:
      break;
  }
  return Level::kError;
}

std::string milliseconds(core::Microseconds time) {
  const auto usec = time.count();
  constexpr std::int64_t kPrecise = 10'000;
  std::string text = std::to_string(usec / 1000);
  if (usec < kPrecise) {
    text += "." + std::to_string(usec % 1000 / 100);
  }
  return text + " ms";
}

/// " (a, b, c and 4 more)"
std::string names_in_brackets(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNamesTold); ++i) {
    text += text.empty() ? " (" : ", ";
    text += core::printable(names[i], 64);
  }
  if (names.size() > kMostNamesTold) {
    text += " and " + std::to_string(names.size() - kMostNamesTold) + " more";
  }
  return text + ")";
}

}  // namespace

Entry describe_ending(const Module& module, const Ending& ending) {
  Entry entry;
  entry.level = module.dispensable && ending.outcome == Outcome::kFailed ? Level::kInfo
                                                                         : level_of(ending.outcome);
  entry.module = module.name;
  entry.result = name_of(ending.outcome);
  entry.usec = ending.took.count();
  entry.message = module.name + ": " + entry.result;
  if (ending.outcome == Outcome::kLoaded) {
    entry.message += " in " + milliseconds(ending.took);
  }
  if (!ending.detail.empty()) {
    entry.message += ": " + ending.detail;
  }
  if (!module.origin.empty() && !is_usable(ending.outcome)) {
    entry.message += ", named in " + module.origin;
  }
  return entry;
}

Entry describe_run(const std::string& lists, const Graph& graph, std::span<const Ending> endings,
                   core::Microseconds took) {
  constexpr std::array kTold = {Outcome::kLoaded, Outcome::kAlreadyLive, Outcome::kBuiltin,
                                Outcome::kDenied, Outcome::kMissing,     Outcome::kDependencyFailed,
                                Outcome::kFailed, Outcome::kTimedOut};
  Entry entry;
  std::string counts;
  std::size_t slowest = endings.size();
  for (const Outcome outcome : kTold) {
    std::vector<std::string_view> names;
    for (std::size_t id = 0; id < endings.size(); ++id) {
      if (endings[id].outcome == outcome) {
        names.push_back(graph.modules[id].name);
      }
      const bool slower = slowest == endings.size() || endings[id].took > endings[slowest].took;
      if (endings[id].outcome == Outcome::kLoaded && slower) {
        slowest = id;
      }
    }
    if (names.empty()) {
      continue;
    }
    const std::string what =
        outcome == Outcome::kAlreadyLive ? "already live" : std::string(name_of(outcome));
    counts += (counts.empty() ? "" : ", ") + std::to_string(names.size()) + " " + what;
    if (!is_usable(outcome)) {
      counts += names_in_brackets(names);
    }
  }
  entry.level = any_failure(graph, endings) ? Level::kError : Level::kInfo;
  entry.message = (lists.empty() ? "" : lists + ": ") +
                  (counts.empty() ? "nothing to load" : counts) + " in " + milliseconds(took);
  if (slowest < endings.size()) {
    entry.message +=
        "; slowest " + graph.modules[slowest].name + " " + milliseconds(endings[slowest].took);
  }
  entry.usec = took.count();
  return entry;
}

bool any_failure(const Graph& graph, std::span<const Ending> endings) {
  for (std::size_t id = 0; id < endings.size(); ++id) {
    const bool forgiven = endings[id].outcome == Outcome::kFailed && graph.modules[id].dispensable;
    if (is_failure(endings[id].outcome) && !forgiven) {
      return true;
    }
  }
  return false;
}

}  // namespace rdmaboot::load_modules
