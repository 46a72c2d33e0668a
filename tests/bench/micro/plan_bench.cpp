// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
//
// Planning many modules: from a graph as it comes out of the module index, or from names, to the
// order in which everything is loaded. A real list has some forty modules; the point of 100,000 is
// that nothing in the planner grows faster than the graph.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

#include "load-modules/expand.hpp"
#include "load-modules/graph.hpp"
#include "load-modules/simulate.hpp"
#include "load_modules_fakes.hpp"

namespace rdmaboot::load_modules {
namespace {

constexpr unsigned kJobs = 4;
constexpr std::uint64_t kMostCost = 50'000;

enum class Shape { kLikeKernel, kOneChain, kNoNeeds, kOneHub };

/// A graph without cycles whose modules are in no useful order of loading.
Graph make_graph(std::size_t size, Shape shape) {
  std::mt19937 random(1);
  Graph graph;
  graph.modules.resize(size);
  std::vector<ModuleId> shuffled(size);
  for (std::size_t i = 0; i < size; ++i)
    shuffled[i] = static_cast<ModuleId>(i);
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  for (std::size_t i = 0; i < size; ++i) {
    Module& module = graph.modules[shuffled[i]];
    module.name = "module_" + std::to_string(i);
    module.path = "/lib/modules/kernel/" + module.name + ".ko";
    module.requested = i % 4 == 0;
    module.cost = random() % kMostCost;
    if (i == 0)
      continue;
    switch (shape) {
      case Shape::kLikeKernel:
        // Debian's modules need between none and about five others.
        for (auto edge = random() % 6; edge > 0; --edge) {
          const Need need = edge == 5 ? Need::kSoft : Need::kHard;
          module.needs.push_back({shuffled[random() % i], need});
        }
        break;
      case Shape::kOneChain:
        module.needs.push_back({shuffled[i - 1], Need::kHard});
        break;
      case Shape::kOneHub:
        module.needs.push_back({shuffled[0], Need::kHard});
        break;
      case Shape::kNoNeeds:
        break;
    }
  }
  return graph;
}

void plan(benchmark::State& state, Shape shape) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const Graph original = make_graph(size, shape);
  Graph graph;
  for (auto _ : state) {
    state.PauseTiming();
    graph = original;
    state.ResumeTiming();
    graph.finish();
    const auto planned = simulate(graph, kJobs);
    if (planned.size() != size)
      state.SkipWithError("not every module was planned");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// The same from the start: names are looked up in an index (a table in memory), described, and
/// joined to the graph.
void from_names(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const Graph shape = make_graph(size, Shape::kLikeKernel);
  test::FakeIndex index;
  PlanInput input;
  for (const Module& module : shape.modules) {
    os::ModuleFacts& facts = index.add(module.name);
    for (const Edge& edge : module.needs) {
      facts.hard.push_back(shape.modules[edge.on].name);
    }
    input.requests.push_back({module.name, "bench"});
  }
  for (auto _ : state) {
    const auto planned = simulate(expand(input, index), kJobs);
    if (planned.size() != size)
      state.SkipWithError("not every module was planned");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(from_names)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, like_kernel, Shape::kLikeKernel)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, one_chain, Shape::kOneChain)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, one_hub, Shape::kOneHub)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan, no_needs, Shape::kNoNeeds)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rdmaboot::load_modules
