// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
//
// Graphs from bytes: finish() must make any of them acyclic, the scheduler must end every module
// once, and all output formats must cope.
#include <cstdint>
#include <cstdlib>

#include "load-modules/plan_output.hpp"
#include "load-modules/simulate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::load_modules;
  if (size < 2) {
    return 0;
  }
  Graph graph;
  graph.modules.resize(data[0] % 64U + 1U);
  const unsigned jobs = data[1] % 8U + 1U;
  const auto count = static_cast<ModuleId>(graph.modules.size());
  for (ModuleId id = 0; id < count; ++id) {
    graph.modules[id].name = "m" + std::to_string(id);
  }
  for (std::size_t i = 2; i + 3 <= size; i += 3) {
    Module& module = graph.modules[data[i] % count];
    switch (data[i + 2] % 8U) {
      case 0:
        module.coming = true;
        break;
      case 1:
        module.decided = Ending{static_cast<Outcome>(data[i + 1] % 8U), 0, {}, {}};
        break;
      case 2:
        module.name.assign(1, static_cast<char>(data[i + 1]));
        break;
      case 3:
        module.cost = data[i + 1];
        break;
      default:
        module.needs.push_back({data[i + 1] % count, static_cast<Need>(data[i + 2] % 4U)});
        break;
    }
  }
  graph.finish();
  for (const Module& module : graph.modules) {
    for (const Edge& edge : module.needs) {
      if (graph.modules[edge.on].order >= module.order) {
        std::abort();
      }
    }
  }
  for (const PlanFormat format : {PlanFormat::kText, PlanFormat::kJson, PlanFormat::kDot}) {
    if (write_plan(graph, jobs, format).empty()) {
      std::abort();
    }
  }
  return 0;
}
