// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine-verbs
// Engines for the scenarios engine-*: one that serves, and ones that use it.
//   engine_node serve SIZE FOLD NID...             exposes a buffer on each NID, until SIGTERM
//   engine_node transfer OWN PEER FOLD SIZE...     put, get back, compare; and ping
//   engine_node stream OWN PEER SIZE               puts until a failure, then until it works again
//   engine_node race ONE OTHER ROUNDS              both connect to each other at once, and close
//   engine_node many OWN SIZE PEER...              one engine with many peers
//   engine_node random OWN PEER SECONDS SEED       everything, and memory must not grow
//   engine_node ask OWN PEER                       what rdma-responder offers, and what it does not
//   engine_node refused OWN PEER                   the peer wants no connection with OWN
#include "engine_loop.hpp"

#include <array>
#include <random>
#include <span>

#include "rdmaboot/engine/responder.hpp"

namespace rdmaboot::engine::test {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 60s;
// KiB that a connection more or less, and what is made once, may cost at the moment of a look.
constexpr std::size_t kHeapMargin = 64;

Settings settings_of(const std::string& nid) {
  Settings settings;
  settings.nid = need(parse_nid(nid));
  settings.timeout = 10s;
  settings.reconnect_longest = 1s;
  settings.max_memory = 256U << 20;
  return settings;
}

/// One transfer's end, kept by who waits for it.
struct Outcome {
  bool done = false;
  TransferResult result;
  static void keep(void* context, const TransferResult& result) {
    auto* outcome = static_cast<Outcome*>(context);
    if (outcome->done) {
      fail("a transfer completed twice");
    }
    outcome->done = true;
    outcome->result = result;
  }
  [[nodiscard]] WhenDone callback() { return {&Outcome::keep, this}; }
};

std::string text_of(const TransferResult& result) {
  return std::string(to_string(result.status)) + " (" + std::to_string(result.error_number) +
         "), " + std::to_string(result.bytes) + " bytes";
}

enum class Way : std::uint8_t { kPut, kGet };

PutOptions at(std::uint32_t offset) {
  return {.portal = kPortal, .match_bits = kBits, .offset = offset};
}

/// One transfer, waited for.
TransferResult move(Way way, Loop& loop, Engine& engine, Nid peer, iovec range,
                    const PutOptions& where) {
  const char* const name = way == Way::kPut ? "PUT" : "GET";
  Outcome outcome;
  const std::span ranges{&range, 1};
  const auto started =
      way == Way::kPut
          ? engine.put(peer, ranges, where, outcome.callback())
          : engine.get(
                peer, ranges,
                {.portal = where.portal, .match_bits = where.match_bits, .offset = where.offset},
                outcome.callback());
  if (!started) {
    fail(std::string(name) + ": " + std::string(to_string(started.error())));
  }
  if (!loop.until([&] { return outcome.done; }, 3 * kPatience)) {
    describe(engine);
    fail(std::string("does not end: ") + name);
  }
  return outcome.result;
}

TransferResult put(Loop& loop, Engine& engine, Nid peer, iovec range, std::uint32_t offset = 0) {
  return move(Way::kPut, loop, engine, peer, range, at(offset));
}

TransferResult get(Loop& loop, Engine& engine, Nid peer, iovec range, std::uint32_t offset = 0) {
  return move(Way::kGet, loop, engine, peer, range, at(offset));
}

void expect_ok(const TransferResult& result, std::size_t bytes, const std::string& what) {
  if (result.status != TransferStatus::kOk || result.bytes != bytes) {
    fail(what + ": " + text_of(result));
  }
}

struct Pinged {
  bool done = false;
  TransferResult result;
  std::uint32_t announced = 0;
  static void keep(void* context, const TransferResult& result, const PingReply* reply) {
    auto* pinged = static_cast<Pinged*>(context);
    pinged->done = true;
    pinged->result = result;
    pinged->announced = reply != nullptr ? reply->announced : 0;
  }
};

void ping(Loop& loop, Engine& engine, Nid peer) {
  Pinged pinged;
  if (!engine.ping(peer, {&Pinged::keep, &pinged}) ||
      !loop.until([&] { return pinged.done; }, kPatience)) {
    fail("a ping did not end");
  }
  if (pinged.result.status != TransferStatus::kOk || pinged.announced < 2) {
    fail("ping: " + text_of(pinged.result));
  }
}

int serve(const core::Clock& clock, Words words) {
  const Memory memory(bytes_of(words[0]), bytes_of(words[1]));
  std::vector<Node> nodes;
  Loop loop(clock);
  for (char* nid : words.subspan(2)) {
    Settings settings = settings_of(nid);
    if (words.size() == 3) {
      settings.on_event = print_event;
      settings.on_event_context = nid;
    }
    nodes.push_back(Node::start(settings, clock));
    Engine& engine = *nodes.back().engine;
    // Registered once: a gigabyte that is pinned for each slice would measure the kernel.
    need(engine.register_memory(memory.bytes()));
    const iovec all = memory.range(0, memory.size());
    need(engine.expose(std::span{&all, 1}, exposed_at(kPortal)));
    loop.add(engine);
  }
  std::printf("serving on %s\n", nodes.front().engine->device_name().c_str());
  static_cast<void>(loop.until([] { return false; }, 24h));
  for (Node& node : nodes) {
    const Statistics& seen = node.engine->statistics();
    if (seen.protocol_errors != 0) {
      fail("protocol errors: " + std::to_string(seen.protocol_errors));
    }
    node.engine->stop();
  }
  std::printf("served, %zu KiB\n", resident_kib());
  return 0;
}

int transfer(const core::Clock& clock, Words words) {
  const Nid peer = need(parse_nid(words[1]));
  const std::size_t fold = bytes_of(words[2]);
  Loop loop(clock);
  const Node node = Node::start(settings_of(words[0]), clock);
  Engine& engine = *node.engine;
  loop.add(engine);
  ping(loop, engine, peer);
  for (const char* word : words.subspan(3)) {
    const std::size_t size = bytes_of(word);
    const Memory source(size, fold);
    const Memory sink(size, fold);
    source.fill(size);
    for (const bool registered : {false, true}) {
      if (registered) {
        need(engine.register_memory(source.bytes()));
        need(engine.register_memory(sink.bytes()));
      }
      sink.clear();
      const auto begin = clock.now();
      expect_ok(put(loop, engine, peer, source.range(0, size)), size, std::string("PUT ") + word);
      const auto middle = clock.now();
      expect_ok(get(loop, engine, peer, sink.range(0, size)), size, std::string("GET ") + word);
      const auto end = clock.now();
      if (std::memcmp(source.data(), sink.data(), size) != 0) {
        fail(std::string("other bytes came back: ") + word);
      }
      const auto speed = [&](Duration time) {
        return static_cast<double>(size) / static_cast<double>(time.count());
      };
      std::printf("ok: %s there and back%s, %.1f and %.1f MB/s\n", word,
                  registered ? ", registered" : "", speed(middle - begin), speed(end - middle));
      if (size > (256U << 20)) {
        break;  // once is enough
      }
    }
    static_cast<void>(engine.forget_memory(source.data()));
    static_cast<void>(engine.forget_memory(sink.data()));
  }
  const Statistics& seen = engine.statistics();
  std::printf("windows %lu registrations %lu bounced %lu noops %lu messages %lu\n",
              static_cast<unsigned long>(seen.windows_bound),
              static_cast<unsigned long>(seen.registrations),
              static_cast<unsigned long>(seen.bounced), static_cast<unsigned long>(seen.noops_sent),
              static_cast<unsigned long>(seen.messages_sent));
  node.engine->stop();
  return 0;
}

/// Puts one after the other. Ends well when a failure was followed by five that worked.
int stream(const core::Clock& clock, Words words) {
  const Nid peer = need(parse_nid(words[1]));
  const std::size_t size = bytes_of(words[2]);
  Settings settings = settings_of(words[0]);
  settings.timeout = 5s;
  settings.on_event = print_event;
  settings.on_event_context = words[0];
  Loop loop(clock);
  const Node node = Node::start(settings, clock);
  Engine& engine = *node.engine;
  loop.add(engine);
  const Memory source(size);
  const Memory sink(size);
  source.fill(1);
  unsigned good = 0;
  unsigned after = 0;
  bool failed = false;
  const auto end = clock.now() + 2 * kPatience;
  while (after < 5) {
    const TransferResult result = put(loop, engine, peer, source.range(0, size));
    if (loop.told_to_end() || clock.now() > end) {
      fail("it did not work again");
    }
    if (result.status == TransferStatus::kOk) {
      ++good;
      after = failed ? after + 1 : 0;
      if (good == 3 || after == 1) {
        std::printf("%s\n", failed ? "works again" : "streaming");
      }
    } else {
      std::printf("lost: %s\n", text_of(result).c_str());
      failed = true;
      after = 0;
      // Refused at once: no reason to ask again before the engine's next event.
      static_cast<void>(loop.until([] { return false; }, 200ms));
    }
  }
  expect_ok(get(loop, engine, peer, sink.range(0, size)), size, "GET after all");
  if (std::memcmp(source.data(), sink.data(), size) != 0) {
    fail("other bytes came back");
  }
  std::printf("ok: %u transfers\n", good);
  return 0;
}

int race(const core::Clock& clock, Words words) {
  const int rounds = std::stoi(words[2]);
  const std::array<Nid, 2> nids = {need(parse_nid(words[0])), need(parse_nid(words[1]))};
  const Memory sink(4096);
  const Memory source(64);
  Loop loop(clock);
  std::array<Node, 2> nodes = {Node::start(settings_of(words[0]), clock),
                               Node::start(settings_of(words[1]), clock)};
  for (Node& node : nodes) {
    const iovec all = sink.range(0, sink.size());
    need(node.engine->expose(std::span{&all, 1}, exposed_at(kPortal)));
    loop.add(*node.engine);
  }
  const auto connections = [&](const Node& node) { return node.engine->statistics().connections; };
  for (int round = 0; round < rounds; ++round) {
    std::array<Outcome, 2> outcomes;
    const iovec range = source.range(0, source.size());
    for (unsigned i = 0; i < 2; ++i) {
      const auto started =
          nodes[i].engine->put(nids[1 - i], std::span{&range, 1},
                               {.portal = kPortal, .match_bits = kBits}, outcomes[i].callback());
      if (!started) {
        fail("put: " + std::string(to_string(started.error())));
      }
    }
    if (!loop.until([&] { return outcomes[0].done && outcomes[1].done; }, kPatience)) {
      describe(*nodes[0].engine);
      describe(*nodes[1].engine);
      fail("round " + std::to_string(round) + " did not end");
    }
    for (const Outcome& outcome : outcomes) {
      if (outcome.result.status != TransferStatus::kOk) {
        describe(*nodes[0].engine);
        describe(*nodes[1].engine);
      }
      expect_ok(outcome.result, source.size(), "round " + std::to_string(round));
    }
    const auto closer = static_cast<unsigned>(round) % 2;
    nodes[closer].engine->close(nids[1 - closer]);
    if (!loop.until([&] { return connections(nodes[0]) == 0 && connections(nodes[1]) == 0; },
                    kPatience)) {
      describe(*nodes[0].engine);
      describe(*nodes[1].engine);
      fail("round " + std::to_string(round) + ": connections are left");
    }
  }
  const std::uint64_t first = nodes[0].engine->statistics().races_refused;
  const std::uint64_t second = nodes[1].engine->statistics().races_refused;
  if (first + second == 0) {
    fail("no two requests met: it was no race");
  }
  std::printf("ok: %d rounds, %lu and %lu races refused\n", rounds,
              static_cast<unsigned long>(first), static_cast<unsigned long>(second));
  return 0;
}

int many(const core::Clock& clock, Words words) {
  const std::size_t size = bytes_of(words[1]);
  const Words peers = words.subspan(2);
  Loop loop(clock);
  const Node node = Node::start(settings_of(words[0]), clock);
  loop.add(*node.engine);
  const Memory source(size);
  source.fill(2);
  std::vector<Outcome> outcomes(2 * peers.size());
  const iovec range = source.range(0, size);
  const auto begin = clock.now();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto started =
        node.engine->put(need(parse_nid(peers[i / 2])), std::span{&range, 1},
                         {.portal = kPortal, .match_bits = kBits}, outcomes[i].callback());
    if (!started) {
      fail("put: " + std::string(to_string(started.error())));
    }
  }
  const auto all = [&] {
    return std::all_of(outcomes.begin(), outcomes.end(),
                       [](const Outcome& one) { return one.done; });
  };
  if (!loop.until(all, kPatience)) {
    fail("not all transfers ended");
  }
  for (const Outcome& outcome : outcomes) {
    expect_ok(outcome.result, size, "PUT to " + to_string(outcome.result.peer));
  }
  std::printf("ok: %zu peers, %u connections in %.1f s, %zu KiB\n", peers.size(),
              node.engine->statistics().connections,
              std::chrono::duration<double>(clock.now() - begin).count(), resident_kib());
  node.engine->stop();
  return 0;
}

/// Puts, gets, pings and closes in an order that the seed decides, several at once.
int random_traffic(const core::Clock& clock, Words words) {
  const Nid peer = need(parse_nid(words[1]));
  const auto seconds = std::chrono::seconds(std::stol(words[2]));
  std::mt19937_64 random(std::stoull(words[3]));
  constexpr std::size_t kSlot = 1U << 20;
  constexpr std::size_t kSlots = 4;
  Loop loop(clock);
  Settings settings = settings_of(words[0]);
  settings.on_event = print_event;
  settings.on_event_context = words[0];
  const Node node = Node::start(settings, clock);
  Engine& engine = *node.engine;
  loop.add(engine);
  const Memory source(kSlot * kSlots);
  const Memory sink(kSlot * kSlots);
  source.fill(3);
  sink.clear();  // now, so that its pages do not come one by one
  need(engine.register_memory(source.bytes().first(kSlot * kSlots / 2)));
  const auto begin = clock.now();
  const auto end = begin + seconds;
  std::size_t settled = 0;
  std::size_t settled_heap = 0;
  unsigned rounds = 0;
  unsigned closes = 0;
  while (clock.now() < end) {
    const bool closing = random() % 16 == 0;
    std::array<Outcome, kSlots> outcomes;
    std::array<std::size_t, kSlots> sizes{};
    std::array<iovec, kSlots> ranges{};
    // There: each slot a range of its own; a close in the middle may end them otherwise.
    for (std::size_t i = 0; i < kSlots; ++i) {
      sizes[i] = 1 + random() % (random() % 4 == 0 ? kSlot - 1 : 6000);
      ranges[i] = source.range(i * kSlot, sizes[i]);
      static_cast<void>(engine.put(
          peer, std::span{&ranges[i], 1},
          {.portal = kPortal, .match_bits = kBits, .offset = static_cast<std::uint32_t>(i * kSlot)},
          outcomes[i].callback()));
    }
    if (closing) {
      static_cast<void>(loop.until([&] { return outcomes[0].done; }, kPatience));
      engine.close(peer);
      ++closes;
    }
    const auto all = [&] {
      return std::all_of(outcomes.begin(), outcomes.end(),
                         [](const Outcome& one) { return one.done; });
    };
    if (!loop.until(all, kPatience)) {
      describe(engine);
      fail("transfers that do not end, round " + std::to_string(rounds));
    }
    for (std::size_t i = 0; i < kSlots; ++i) {
      const bool ok = outcomes[i].result.status == TransferStatus::kOk;
      if (!ok && !closing) {
        fail("PUT: " + text_of(outcomes[i].result));
      }
      // A short PUT is over when the peer's adapter has it; a close may come before the peer's
      // engine.
      if (!ok || (closing && sizes[i] <= 4096)) {
        continue;
      }
      std::memset(sink.data() + i * kSlot, 0, sizes[i]);
      expect_ok(get(loop, engine, peer, sink.range(i * kSlot, sizes[i]),
                    static_cast<std::uint32_t>(i * kSlot)),
                sizes[i], "GET");
      if (std::memcmp(source.data() + i * kSlot, sink.data() + i * kSlot, sizes[i]) != 0) {
        fail("other bytes came back, round " + std::to_string(rounds));
      }
    }
    if (random() % 8 == 0) {
      ping(loop, engine, peer);
    }
    ++rounds;
    if (settled == 0 && clock.now() > begin + seconds / 3) {
      settled = resident_kib();
      settled_heap = heap_kib();
    }
  }
  const std::size_t last = resident_kib();
  const std::size_t last_heap = heap_kib();
  std::printf(
      "%u rounds, %u closes, resident %zu KiB after a third, %zu KiB at the end; in use %zu and "
      "%zu "
      "KiB\n",
      rounds, closes, settled, last, settled_heap, last_heap);
  // The engine's bounce buffers (4 MiB) are touched one after the other in the first minute; after
  // that a leak of a few bytes a message would be seen.
  const std::size_t allowed = seconds >= 60s ? 512 : 5120;
  if (last > settled + allowed) {
    fail("memory grew");
  }
  if (last_heap > settled_heap + kHeapMargin) {
    fail("more and more is in use");
  }
  if (engine.statistics().transfers != 0) {
    fail("transfers are left");
  }
  engine.stop();
  std::printf("ok: random traffic\n");
  return 0;
}

/// What rdma-responder promises: a ping, a sink that gives nothing, a source of known bytes.
int ask(const core::Clock& clock, Words words) {
  constexpr std::size_t kSize = 1U << 20;
  const Nid peer = need(parse_nid(words[1]));
  Loop loop(clock);
  const Node node = Node::start(settings_of(words[0]), clock);
  Engine& engine = *node.engine;
  loop.add(engine);
  ping(loop, engine, peer);
  const Memory memory(kSize);
  const PutOptions sink{
      .portal = kResponderPortal, .match_bits = kResponderSinkBits, .acknowledged = true};
  const PutOptions source{.portal = kResponderPortal, .match_bits = kResponderSourceBits};
  for (const std::size_t size : {std::size_t{100}, std::size_t{65536}, kSize}) {
    const iovec range = memory.range(0, size);
    memory.clear();
    expect_ok(move(Way::kPut, loop, engine, peer, range, sink), size, "PUT into the sink");
    expect_ok(move(Way::kGet, loop, engine, peer, range, source), size, "GET of the source");
    for (std::size_t i = 0; i < size; ++i) {
      if (memory.data()[i] != responder_source_byte(i)) {
        fail("another byte at " + std::to_string(i) + " of " + std::to_string(size));
      }
    }
  }
  const iovec range = memory.range(0, kSize);
  for (const Way way : {Way::kGet, Way::kPut}) {
    const TransferResult result =
        move(way, loop, engine, peer, range, way == Way::kGet ? sink : source);
    if (result.status != TransferStatus::kNotMatched) {
      fail("a buffer is open in the wrong direction: " + text_of(result));
    }
  }
  std::printf("ok: ping, sink and source\n");
  node.engine->stop();
  return 0;
}

int refused(const core::Clock& clock, Words words) {
  const Nid peer = need(parse_nid(words[1]));
  Loop loop(clock);
  const Node node = Node::start(settings_of(words[0]), clock);
  loop.add(*node.engine);
  const Memory memory(64);
  const TransferResult result = put(loop, *node.engine, peer, memory.range(0, 64));
  if (result.status != TransferStatus::kRefused) {
    fail("not refused: " + text_of(result));
  }
  std::printf("ok: %s\n", text_of(result).c_str());
  return 0;
}

constexpr Verb kVerbs[] = {{"serve", 3, serve},   {"transfer", 4, transfer},
                           {"stream", 3, stream}, {"race", 3, race},
                           {"many", 3, many},     {"random", 4, random_traffic},
                           {"ask", 2, ask},       {"refused", 2, refused}};

}  // namespace
}  // namespace rdmaboot::engine::test

int main(int count, char** arguments) {
  using namespace rdmaboot::engine::test;
  return run_verb(kVerbs, "engine_node", {arguments + 1, static_cast<std::size_t>(count - 1)});
}
