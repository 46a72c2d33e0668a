// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/graph.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace rdmaboot::load_modules {
namespace {

/// What makes /dev/infiniband/uverbs* and /dev/infiniband/rdma_cm; their own needs follow them.
constexpr std::array<std::string_view, 2> kVerbsModules = {"ib_uverbs", "rdma_ucm"};

constexpr std::size_t kMostCyclesTold = 50;
constexpr std::size_t kMostNamesTold = 12;
constexpr std::uint32_t kUnset = std::numeric_limits<std::uint32_t>::max();

/// A place in a depth-first walk: a module and which of its needs comes next.
struct Step {
  ModuleId module;
  std::size_t next = 0;
};

std::string cycle_text(const std::vector<Module>& modules, const std::vector<Step>& path,
                       ModuleId back_to) {
  const auto start = std::find_if(path.begin(), path.end(),
                                  [&](const Step& step) { return step.module == back_to; });
  std::string text = "modules need each other: ";
  std::size_t told = 0;
  for (auto step = start; step != path.end(); ++step) {
    if (++told > kMostNamesTold) {
      text += "... -> ";
      break;
    }
    text += modules[step->module].name + " -> ";
  }
  return text + modules[back_to].name + "; that " + modules[path.back().module].name + " needs " +
         modules[back_to].name + " is ignored";
}

void tell(std::vector<std::string>& cycles, std::string text) {
  if (cycles.size() < kMostCyclesTold) {
    cycles.push_back(std::move(text));
  }
}

/// Walks along the needs that `counts` accepts and numbers the modules so that each comes after
/// what it needs. A need that would close a cycle is removed and told.
template <typename Counts>
std::vector<std::uint32_t> number_in_order(std::vector<Module>& modules, Counts counts,
                                           std::vector<std::string>& cycles) {
  enum class Mark : std::uint8_t { kNew, kOnPath, kDone };
  std::vector<Mark> marks(modules.size(), Mark::kNew);
  std::vector<std::uint32_t> order(modules.size(), 0);
  std::uint32_t numbered = 0;
  std::vector<Step> path;
  for (ModuleId root = 0; root < modules.size(); ++root) {
    if (marks[root] != Mark::kNew) {
      continue;
    }
    path.push_back({root});
    marks[root] = Mark::kOnPath;
    while (!path.empty()) {
      const ModuleId at = path.back().module;
      std::vector<Edge>& needs = modules[at].needs;
      if (path.back().next == needs.size()) {
        marks[at] = Mark::kDone;
        order[at] = numbered++;
        path.pop_back();
        continue;
      }
      const Edge edge = needs[path.back().next];
      if (!counts(edge) || marks[edge.on] == Mark::kDone) {
        ++path.back().next;
      } else if (marks[edge.on] == Mark::kOnPath) {
        tell(cycles, cycle_text(modules, path, edge.on));
        needs.erase(needs.begin() + static_cast<std::ptrdiff_t>(path.back().next));
      } else {
        ++path.back().next;
        marks[edge.on] = Mark::kOnPath;
        path.push_back({edge.on});
      }
    }
  }
  return order;
}

/// Gives every module the number of its strongly connected component (Tarjan, without recursion):
/// two modules have the same number when each needs the other, directly or not.
std::vector<std::uint32_t> components(const std::vector<Module>& modules) {
  std::vector<std::uint32_t> component(modules.size(), kUnset);
  std::vector<std::uint32_t> index(modules.size(), kUnset);
  std::vector<std::uint32_t> lowest(modules.size(), 0);
  std::vector<ModuleId> open;
  std::vector<Step> path;
  std::uint32_t visited = 0;
  std::uint32_t found = 0;
  const auto enter = [&](ModuleId module) {
    index[module] = lowest[module] = visited++;
    open.push_back(module);
    path.push_back({module});
  };
  for (ModuleId root = 0; root < modules.size(); ++root) {
    if (index[root] != kUnset) {
      continue;
    }
    enter(root);
    while (!path.empty()) {
      const ModuleId at = path.back().module;
      if (path.back().next < modules[at].needs.size()) {
        const ModuleId on = modules[at].needs[path.back().next++].on;
        if (index[on] == kUnset) {
          enter(on);
        } else if (component[on] == kUnset) {
          lowest[at] = std::min(lowest[at], index[on]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) {
        const ModuleId parent = path.back().module;
        lowest[parent] = std::min(lowest[parent], lowest[at]);
      }
      if (lowest[at] == index[at]) {
        for (bool last = false; !last;) {
          const ModuleId member = open.back();
          open.pop_back();
          component[member] = found;
          last = member == at;
        }
        ++found;
      }
    }
  }
  return component;
}

/// Removes the needs that are not hard and contradict the order of the hard ones, but only inside a
/// cycle: elsewhere the hard order is merely one of several possible.
void drop_contradicting(std::vector<Module>& modules, const std::vector<std::uint32_t>& hard_order,
                        std::vector<std::string>& cycles) {
  const std::vector<std::uint32_t> component = components(modules);
  for (ModuleId id = 0; id < modules.size(); ++id) {
    std::erase_if(modules[id].needs, [&](const Edge& edge) {
      const bool contradicts = edge.need != Need::kHard && component[id] == component[edge.on] &&
                               hard_order[edge.on] >= hard_order[id];
      if (contradicts) {
        tell(cycles, "soft dependency of " + modules[id].name + " on " + modules[edge.on].name +
                         " closes a cycle and is ignored");
      }
      return contradicts;
    });
  }
}

}  // namespace

void Graph::finish() {
  const auto hard = [](const Edge& edge) { return edge.need == Need::kHard; };
  const std::vector<std::uint32_t> hard_order = number_in_order(modules, hard, cycles);
  drop_contradicting(modules, hard_order, cycles);
  const auto all = [](const Edge&) { return true; };
  const std::vector<std::uint32_t> order = number_in_order(modules, all, cycles);

  std::vector<ModuleId> last_first(modules.size());
  for (ModuleId id = 0; id < modules.size(); ++id) {
    modules[id].order = order[id];
    last_first[modules.size() - 1 - order[id]] = id;
    const bool verbs = std::find(kVerbsModules.begin(), kVerbsModules.end(), modules[id].name) !=
                       kVerbsModules.end();
    modules[id].priority = verbs ? Class::kVerbs : Class::kOther;
    modules[id].chain = 0;
  }
  // From the modules nobody waits for to those everybody waits for: until its turn comes, `chain`
  // of a module is the longest chain among those that wait for it.
  for (const ModuleId id : last_first) {
    Module& module = modules[id];
    module.chain += module.decided ? 0 : module.cost;
    for (const Edge& edge : module.needs) {
      Module& needed = modules[edge.on];
      needed.chain = std::max(needed.chain, module.chain);
      if (edge.need == Need::kHard || edge.need == Need::kSoft) {
        needed.priority = std::min(needed.priority, module.priority);
      }
    }
  }
}

}  // namespace rdmaboot::load_modules
