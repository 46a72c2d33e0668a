// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cerrno>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "load-modules/graph.hpp"
#include "os/module_index.hpp"

namespace rdmaboot::test {

/// A ModuleIndex that answers from tables.
class FakeIndex final : public os::ModuleIndex {
 public:
  /// A module with hard dependencies; returns it for further changes.
  os::ModuleFacts& add(const std::string& name, std::vector<std::string> hard = {}) {
    os::ModuleFacts& facts = modules_[name];
    facts.name = name;
    facts.path = "/lib/modules/test/" + name + ".ko";
    facts.hard = std::move(hard);
    facts.file_size = 10 * 1024;
    return facts;
  }
  void alias(const std::string& alias, std::vector<std::string> names) {
    aliases_[alias] = std::move(names);
  }
  /// Every question about `name` is answered with this errno.
  void fail_for(const std::string& name, int error) { errors_[name] = error; }

  core::Result<std::vector<std::string>> resolve(const std::string& name) override {
    if (errors_.contains(name)) {
      return core::fail("look up module", name, errors_[name]);
    }
    if (const auto alias = aliases_.find(name); alias != aliases_.end()) {
      return alias->second;
    }
    return modules_.contains(name) ? std::vector<std::string>{name} : std::vector<std::string>{};
  }
  core::Result<os::ModuleFacts> describe(const std::string& name) override {
    ++described_[name];
    if (errors_.contains(name)) {
      return core::fail("look up module", name, errors_[name]);
    }
    if (!modules_.contains(name)) {
      return core::fail("find module", name, ENOENT);
    }
    return modules_[name];
  }
  [[nodiscard]] int times_described(const std::string& name) { return described_[name]; }

 private:
  std::map<std::string, os::ModuleFacts> modules_;
  std::map<std::string, std::vector<std::string>> aliases_;
  std::map<std::string, int> errors_;
  std::map<std::string, int> described_;
};

/// The module called `name`; a failure of the test if there is none is a crash, which is loud.
inline const load_modules::Module& module_of(const load_modules::Graph& graph,
                                             const std::string& name) {
  for (const load_modules::Module& module : graph.modules) {
    if (module.name == name) {
      return module;
    }
  }
  std::abort();
}

inline load_modules::ModuleId id_of(const load_modules::Graph& graph, const std::string& name) {
  return static_cast<load_modules::ModuleId>(&module_of(graph, name) - graph.modules.data());
}

/// A finished graph of modules that cost 10 each, with hard needs: {"b", {"a"}} is b after a.
inline load_modules::Graph graph_of(
    const std::vector<std::pair<std::string, std::vector<std::string>>>& modules) {
  load_modules::Graph graph;
  for (const auto& [name, needs] : modules) {
    graph.modules.emplace_back().name = name;
    graph.modules.back().path = name + ".ko";
    graph.modules.back().cost = 10;
  }
  for (const auto& [name, needs] : modules) {
    for (const std::string& need : needs) {
      graph.modules[id_of(graph, name)].needs.push_back(
          {id_of(graph, need), load_modules::Need::kHard});
    }
  }
  graph.finish();
  return graph;
}

}  // namespace rdmaboot::test
