// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine-verbs
// The engine's half of the benchmark `engine`; each verb prints one number.
//   engine_peer serve NID...                          buffers to put to and get from, and an echo
//   engine_peer put|get OWN PEER SIZE COUNT           MiB a second, 8 transfers under way
//   engine_peer latency OWN PEER SIZE COUNT           microseconds one way, median of round trips
//   engine_peer connects OWN EACH PEER...             connections a second, all started at once
#include "../../vm/programs/engine_loop.hpp"

#include <array>
#include <span>

namespace rdmaboot::engine::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kUnderWay = 8;  // as `ib_write_bw -t 8`
constexpr std::size_t kLargest = 1U << 20;
constexpr Duration kPatience = 120s;

Settings settings_of(const std::string& nid) {
  Settings settings;
  settings.nid = need(parse_nid(nid));
  // perftest polls all the time; an engine does for so long after something happened.
  settings.busy_poll = 1ms;
  return settings;
}

/// Sends back what comes, from the same memory.
struct Echo {
  Engine* engine = nullptr;
  iovec range{};
  iovec answered{};
  static void answer(void* context, const ExposureEvent& event) {
    auto* echo = static_cast<Echo*>(context);
    if (event.kind == ExposureEvent::Kind::kPut) {
      echo->answered = {echo->range.iov_base, static_cast<std::size_t>(event.bytes)};
      static_cast<void>(echo->engine->put(event.peer, std::span{&echo->answered, 1},
                                          {.portal = kEchoPortal, .match_bits = kBits},
                                          {[](void*, const TransferResult&) {}, nullptr}));
    }
  }
};

int serve(const core::Clock& clock, Words words) {
  const Memory memory(kUnderWay * kLargest);
  std::vector<Node> nodes;
  std::vector<Echo> echoes(words.size());
  Loop loop(clock);
  for (std::size_t i = 0; i < words.size(); ++i) {
    nodes.push_back(Node::start(settings_of(words[i]), clock));
    Engine& engine = *nodes.back().engine;
    const iovec all = memory.range(0, memory.size());
    if (i == 0) {
      need(engine.register_memory(memory.bytes()));
    }
    need(engine.expose(std::span{&all, 1}, exposed_at(kPortal)));
    echoes[i] = {&engine, memory.range(0, 4096), {}};
    ExposeOptions options = exposed_at(kEchoPortal);
    options.function = &Echo::answer;
    options.context = &echoes[i];
    need(engine.expose(std::span{&echoes[i].range, 1}, options));
    loop.add(engine);
  }
  std::printf("serving\n");
  static_cast<void>(loop.until([] { return false; }, 24h));
  return 0;
}

/// Keeps kUnderWay transfers going until all are done.
struct Stream {
  Engine& engine;
  Nid peer;
  const Memory& memory;
  std::size_t size;
  std::size_t to_start;
  std::size_t to_end;
  bool puts;

  struct Slot {
    Stream* stream = nullptr;
    std::size_t number = 0;
    iovec range{};
  };
  std::array<Slot, kUnderWay> slots{};

  void begin() {
    for (std::size_t i = 0; i < kUnderWay; ++i) {
      slots[i] = {this, i, memory.range(i * kLargest, size)};
      next(slots[i]);
    }
  }
  void next(Slot& slot) {
    if (to_start == 0) {
      return;
    }
    --to_start;
    const auto offset = static_cast<std::uint32_t>(slot.number * kLargest);
    const WhenDone done{&Stream::ended, &slot};
    const auto started =
        puts ? engine.put(peer, std::span{&slot.range, 1},
                          {.portal = kPortal, .match_bits = kBits, .offset = offset}, done)
             : engine.get(peer, std::span{&slot.range, 1},
                          {.portal = kPortal, .match_bits = kBits, .offset = offset}, done);
    if (!started) {
      fail(std::string(to_string(started.error())));
    }
  }
  static void ended(void* context, const TransferResult& result) {
    auto* slot = static_cast<Slot*>(context);
    if (result.status != TransferStatus::kOk) {
      fail(std::string(to_string(result.status)));
    }
    --slot->stream->to_end;
    slot->stream->next(*slot);
  }
};

int bandwidth(const core::Clock& clock, Words words, bool puts) {
  const Nid peer = need(parse_nid(words[1]));
  const std::size_t size = bytes_of(words[2]);
  const std::size_t count = std::stoul(words[3]);
  Loop loop(clock);
  const Node node = Node::start(settings_of(words[0]), clock);
  loop.add(*node.engine);
  const Memory memory(kUnderWay * kLargest);
  need(node.engine->register_memory(memory.bytes()));
  const auto go = [&](std::size_t transfers) {
    Stream stream{*node.engine, peer, memory, size, transfers, transfers, puts};
    const auto begin = clock.now();
    stream.begin();
    if (!loop.until([&] { return stream.to_end == 0; }, kPatience)) {
      fail("transfers that do not end");
    }
    return clock.now() - begin;
  };
  static_cast<void>(go(kUnderWay));
  const auto time = go(count);
  std::printf("%.3f\n", static_cast<double>(size * count) / static_cast<double>(time.count()) *
                            1e6 / (1U << 20));
  return 0;
}

int put(const core::Clock& clock, Words words) {
  return bandwidth(clock, words, true);
}
int get(const core::Clock& clock, Words words) {
  return bandwidth(clock, words, false);
}

int latency(const core::Clock& clock, Words words) {
  const Nid peer = need(parse_nid(words[1]));
  const std::size_t size = bytes_of(words[2]);
  const std::size_t count = std::stoul(words[3]);
  Loop loop(clock);
  const Node node = Node::start(settings_of(words[0]), clock);
  loop.add(*node.engine);
  const Memory memory(4096);
  std::size_t came = 0;
  const iovec sink = memory.range(0, 4096);
  ExposeOptions options = exposed_at(kEchoPortal);
  options.function = [](void* context, const ExposureEvent& event) {
    *static_cast<std::size_t*>(context) += event.kind == ExposureEvent::Kind::kPut ? 1 : 0;
  };
  options.context = &came;
  need(node.engine->expose(std::span{&sink, 1}, options));
  const iovec range = memory.range(0, size);
  std::vector<Duration> times;
  for (std::size_t i = 0; i < count + 10; ++i) {
    const auto begin = clock.now();
    if (!node.engine->put(peer, std::span{&range, 1}, {.portal = kEchoPortal, .match_bits = kBits},
                          {[](void*, const TransferResult&) {}, nullptr}) ||
        !loop.until([&] { return came == i + 1; }, kPatience)) {
      fail("no echo");
    }
    if (i >= 10) {
      times.push_back(clock.now() - begin);
    }
  }
  std::sort(times.begin(), times.end());
  std::printf("%.1f\n", static_cast<double>(times[times.size() / 2].count()) / 2);
  return 0;
}

/// As many connections to each peer as wanted, all at once, until every one stands and a message
/// to each peer is through.
int connects(const core::Clock& clock, Words words) {
  Settings settings = settings_of(words[0]);
  settings.connections_per_peer = static_cast<std::uint8_t>(std::stoul(words[1]));
  const Words peers = words.subspan(2);
  const std::size_t wanted = peers.size() * settings.connections_per_peer;
  Loop loop(clock);
  const Node node = Node::start(settings, clock);
  loop.add(*node.engine);
  std::vector<Nid> nids;
  for (const char* peer : peers) {
    nids.push_back(need(parse_nid(peer)));
  }
  const Memory memory(64);
  const iovec range = memory.range(0, 64);
  std::size_t ended = 0;
  const auto begin = clock.now();
  for (const Nid peer : nids) {
    const WhenDone done{[](void* context, const TransferResult& result) {
                          if (result.status != TransferStatus::kOk) {
                            fail(std::string(to_string(result.status)));
                          }
                          ++*static_cast<std::size_t*>(context);
                        },
                        &ended};
    if (!node.engine->put(peer, std::span{&range, 1}, {.portal = kPortal, .match_bits = kBits},
                          done)) {
      fail("put");
    }
  }
  const auto all = [&] {
    return ended == nids.size() && node.engine->statistics().connects_established == wanted;
  };
  if (!loop.until(all, kPatience)) {
    describe(*node.engine);
    fail("connects that do not end");
  }
  std::printf("%.1f\n", static_cast<double>(wanted) * 1e6 /
                            static_cast<double>((clock.now() - begin).count()));
  return 0;
}

constexpr Verb kVerbs[] = {{"serve", 1, serve},
                           {"put", 4, put},
                           {"get", 4, get},
                           {"latency", 4, latency},
                           {"connects", 3, connects}};

}  // namespace
}  // namespace rdmaboot::engine::test

int main(int count, char** arguments) {
  using namespace rdmaboot::engine::test;
  return run_verb(kVerbs, "engine_peer", {arguments + 1, static_cast<std::size_t>(count - 1)});
}
