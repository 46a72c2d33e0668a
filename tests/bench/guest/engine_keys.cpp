// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine-verbs
// What a sink's key costs: two engines of one process, one PUT after the other, from registered
// memory into a sink whose key is made in one of the ways of KeyPolicy.
//   engine_keys put OWN PEER WAY SIZE COUNT     microseconds of a PUT, median
// WAY: window, registration, copy (a buffer with a window), copy-alone (a buffer whose key is
// renewed by registering it again).
#include "../../vm/programs/engine_loop.hpp"

#include <span>

namespace rdmaboot::engine::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kWarmUp = 10;

/// How the sink's engine is set up for a way, and what its statistics have to say of it afterwards.
struct Way {
  const char* name;
  KeyPolicy keys;
  std::uint32_t registration_bytes;
  bool registered;  ///< the sink, beforehand
  std::uint64_t Statistics::*seen;
};

constexpr Way kWays[] = {
    {"window", KeyPolicy::kAuto, UINT32_MAX, true, &Statistics::windows_bound},
    {"registration", KeyPolicy::kRegistration, 0, false, &Statistics::registrations},
    {"copy", KeyPolicy::kAuto, UINT32_MAX, false, &Statistics::bounced},
    {"copy-alone", KeyPolicy::kBounce, UINT32_MAX, false, &Statistics::bounced}};

const Way& way_of(std::string_view name) {
  for (const Way& way : kWays) {
    if (way.name == name) {
      return way;
    }
  }
  fail("no such way: " + std::string(name));
}

Settings settings_of(const char* nid) {
  Settings settings;
  settings.nid = need(parse_nid(nid));
  settings.busy_poll = 1ms;
  return settings;
}

int put(const core::Clock& clock, Words words) {
  const Way& way = way_of(words[2]);
  const std::size_t size = bytes_of(words[3]);
  const std::size_t count = std::stoul(words[4]);
  Settings serving = settings_of(words[1]);
  serving.keys = way.keys;
  serving.registration_bytes = way.registration_bytes;
  const Memory source(size);
  const Memory sink(size);
  source.fill(5);
  sink.clear();
  const Node server = Node::start(serving, clock);
  const Node client = Node::start(settings_of(words[0]), clock);
  need(client.engine->register_memory(source.bytes()));
  if (way.registered) {
    need(server.engine->register_memory(sink.bytes()));
  }
  const iovec there = sink.range(0, size);
  const iovec here = source.range(0, size);
  need(server.engine->expose(std::span{&there, 1}, exposed_at(kPortal)));
  Loop loop(clock);
  loop.add(*server.engine);
  loop.add(*client.engine);
  const Nid peer = need(parse_nid(words[1]));
  std::vector<Duration> times;
  for (std::size_t i = 0; i < count + kWarmUp; ++i) {
    std::optional<TransferStatus> ended;
    const WhenDone done{[](void* context, const TransferResult& result) {
                          *static_cast<std::optional<TransferStatus>*>(context) = result.status;
                        },
                        &ended};
    const auto begin = clock.now();
    // Acknowledged: the sink's engine has given the key back and copied what it had to.
    if (!client.engine->put(peer, std::span{&here, 1},
                            {.portal = kPortal, .match_bits = kBits, .acknowledged = true}, done) ||
        !loop.until([&] { return ended.has_value(); }, 60s) || *ended != TransferStatus::kOk) {
      fail("PUT");
    }
    if (i >= kWarmUp) {
      times.push_back(clock.now() - begin);
    }
  }
  if (std::memcmp(source.data(), sink.data(), size) != 0) {
    fail("other bytes came");
  }
  if (server.engine->statistics().*way.seen < times.size()) {
    fail("the key was made in another way");
  }
  std::sort(times.begin(), times.end());
  std::printf("%ld\n", static_cast<long>(times[times.size() / 2].count()));
  return 0;
}

constexpr Verb kVerbs[] = {{"put", 5, put}};

}  // namespace
}  // namespace rdmaboot::engine::test

int main(int count, char** arguments) {
  using namespace rdmaboot::engine::test;
  return run_verb(kVerbs, "engine_keys", {arguments + 1, static_cast<std::size_t>(count - 1)});
}
