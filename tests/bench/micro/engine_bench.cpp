// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// What the engine itself costs, on a fabric where everything completes at once: time and heap
// allocations of each message in steady state, memory of an idle connection, and whether process()
// gets slower with connections that do nothing.

#include <malloc.h>

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <vector>

#include "core/clock.hpp"
#include "counted_allocations.hpp"
#include "null_fabric.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::bench {
namespace {

constexpr std::uint32_t kFirst = 0x0a000001;
constexpr std::uint32_t kSecond = 0x0a000002;
constexpr std::uint32_t kOthers = 0x0a010000;
constexpr std::uint32_t kPortal = 9;

engine::Settings settings_of(std::uint32_t address) {
  engine::Settings settings;
  settings.nid = engine::Nid::o2ib(address);
  settings.incarnation = address;
  settings.random_seed = 1;
  settings.keepalive = engine::Duration(0);
  return settings;
}

struct Host {
  Host(NullNetwork& network, const core::Clock& clock, const engine::Settings& settings)
      : fabric(network), engine(engine::Engine::start(settings, fabric, clock).value()) {}
  NullFabric fabric;
  std::unique_ptr<engine::Engine> engine;
};

struct Pair {
  Pair()
      : first(network, clock, settings_of(kFirst)), second(network, clock, settings_of(kSecond)) {}
  void run() {
    while (first.engine->process() || second.engine->process()) {
    }
  }
  [[nodiscard]] std::uint64_t messages() const {
    std::uint64_t sum = 0;
    for (const auto* engine : {first.engine.get(), second.engine.get()}) {
      sum += engine->statistics().messages_sent + engine->statistics().messages_received;
    }
    return sum;
  }
  [[nodiscard]] std::uint64_t messages_sent() const {
    return first.engine->statistics().messages_sent + second.engine->statistics().messages_sent;
  }
  NullNetwork network;
  core::ManualClock clock;
  Host first;
  Host second;
};

struct Counter {
  std::uint64_t succeeded = 0;
  static void done(void* context, const engine::TransferResult& result) {
    static_cast<Counter*>(context)->succeeded +=
        result.status == engine::TransferStatus::kOk ? 1U : 0U;
  }
};

enum class What { kPut, kGet };

/// Batches of transfers of that many bytes between two engines; both engines' time together,
/// divided by all messages that either of them sent or received.
void messages(benchmark::State& state, What what) {
  constexpr std::size_t kBatch = 32;
  constexpr int kWarmUp = 200;
  Pair pair;
  std::vector<std::byte> here(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> there(here.size());
  const bool registered = pair.first.engine->register_memory(here).has_value() &&
                          pair.second.engine->register_memory(there).has_value();
  const std::array source{iovec{here.data(), here.size()}};
  const std::array sink{iovec{there.data(), there.size()}};
  engine::ExposeOptions exposed;
  exposed.portal = kPortal;
  if (!registered || !pair.second.engine->expose(sink, exposed)) {
    state.SkipWithError("no buffer");
    return;
  }
  Counter counter;
  engine::PutOptions put;
  put.portal = kPortal;
  engine::GetOptions get;
  get.portal = kPortal;
  const engine::Nid peer = engine::Nid::o2ib(kSecond);
  std::uint64_t started = 0;
  const auto batch = [&] {
    for (std::size_t i = 0; i < kBatch; ++i, ++started) {
      const engine::WhenDone done{&Counter::done, &counter};
      const auto id = what == What::kPut ? pair.first.engine->put(peer, source, put, done)
                                         : pair.first.engine->get(peer, source, get, done);
      benchmark::DoNotOptimize(id);
    }
    pair.run();
  };
  for (int i = 0; i < kWarmUp; ++i) {
    batch();
  }
  const std::uint64_t messages_before = pair.messages();
  const std::uint64_t sent_before = pair.messages_sent();
  const std::uint64_t doorbells_before = pair.network.doorbells;
  const std::uint64_t allocations_before = allocations;
  for (auto _ : state) {
    batch();
  }
  const auto allocated = static_cast<double>(allocations - allocations_before);
  const auto exchanged = static_cast<double>(pair.messages() - messages_before);
  if (counter.succeeded != started) {
    state.SkipWithError("a transfer failed");
    return;
  }
  // The console adds a unit of its own: 225s is 225 ns.
  state.counters["ns_per_message"] = benchmark::Counter(
      exchanged / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["messages_per_doorbell"] =
      static_cast<double>(pair.messages_sent() - sent_before) /
      static_cast<double>(pair.network.doorbells - doorbells_before);
  state.counters["allocs_per_message"] = allocated / exchanged;
  state.counters["messages_per_transfer"] =
      exchanged / (static_cast<double>(state.iterations()) * kBatch);
}

/// One engine with that many connections to peers that only listen.
struct Crowd {
  explicit Crowd(std::uint32_t peers) {
    engine::Settings settings = settings_of(kFirst);
    settings.max_connections = peers + 1;
    settings.max_peers = peers + 1;
    settings.max_transfers = peers + 1;
    host = std::make_unique<Host>(network, clock, settings);
    empty = bytes_in_use();
    const std::array source{iovec{byte.data(), byte.size()}};
    engine::PutOptions put;
    put.portal = kPortal;
    for (std::uint32_t i = 0; i < peers; ++i) {
      const auto id = host->engine->put(engine::Nid::o2ib(kOthers + i), source, put,
                                        {&Counter::done, &counter});
      benchmark::DoNotOptimize(id);
      while (host->engine->process()) {
      }
    }
  }
  /// On the heap, and registered for messages.
  [[nodiscard]] std::uint64_t bytes_in_use() const {
    const auto heap = mallinfo2();
    return heap.uordblks + heap.hblkhd + host->engine->statistics().memory_bytes;
  }
  NullNetwork network;
  core::ManualClock clock;
  std::unique_ptr<Host> host;
  std::array<std::byte, 1> byte{};
  Counter counter;
  std::uint64_t empty = 0;
};

/// A call of process() when there is nothing to do, with that many idle connections, a millisecond
/// after the last one.
void idle_process(benchmark::State& state) {
  const auto peers = static_cast<std::uint32_t>(state.range(0));
  Crowd crowd(peers);
  if (crowd.counter.succeeded != peers) {
    state.SkipWithError("not all connections came about");
    return;
  }
  state.counters["bytes_per_idle_connection"] =
      static_cast<double>(crowd.bytes_in_use() - crowd.empty) / peers;
  for (auto _ : state) {
    crowd.clock.advance(std::chrono::milliseconds(1));
    benchmark::DoNotOptimize(crowd.host->engine->process());
    benchmark::DoNotOptimize(crowd.host->engine->next_deadline());
  }
}

BENCHMARK_CAPTURE(messages, put, What::kPut)->Arg(64)->Arg(3976)->Arg(65'536);
BENCHMARK_CAPTURE(messages, get, What::kGet)->Arg(64)->Arg(65'536);
BENCHMARK(idle_process)->Arg(100)->Arg(1'000)->Arg(10'000);

}  // namespace
}  // namespace rdmaboot::bench
