// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine-verbs
// What the engine relies on, asked of a real kernel through its seam: both ends of each connection
// are in this process. For the scenarios engine and engine-fabric.
//   fabric_check HERE THERE           every claim; the device has both addresses
//   fabric_check HERE THERE removal   writes until the device goes, and again when it is back
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arpa/inet.h>

#include "core/clock.hpp"
#include "engine/verbs_fabric.hpp"

namespace rdmaboot::engine {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 987;
constexpr core::Microseconds kPatience = 30s;
constexpr std::uint32_t kDepth = 64;
constexpr std::uint32_t kSendDepth = 512;

[[noreturn]] void fail(const std::string& what) {
  std::printf("FAIL: %s\n", what.c_str());
  std::exit(1);  // NOLINT(concurrency-mt-unsafe)
}
void claim(bool holds, const std::string& what) {
  if (!holds) {
    fail(what);
  }
  std::printf("ok: %s\n", what.c_str());
}
template <typename T>
T need(core::Result<T> result) {
  if (!result) {
    fail(result.error().message());
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(*result);
  }
}

SocketAddress address(const char* text, std::uint16_t port) {
  in_addr parsed{};
  if (inet_pton(AF_INET, text, &parsed) != 1) {
    fail(std::string("an address: ") + text);
  }
  return {ntohl(parsed.s_addr), port};
}

/// Pulls events, and keeps those that nobody has asked for yet.
class Events {
 public:
  explicit Events(Fabric& fabric) : fabric_(fabric) {}

  /// The next event for which `wanted` returns true.
  template <typename Wanted>
  std::optional<Event> next(Wanted wanted, core::Microseconds patience = kPatience) {
    const core::MonotonicClock clock;
    const auto end = clock.now() + patience;
    for (;;) {
      while (auto event = fabric_.next_event()) {
        kept_.push_back(std::move(*event));
      }
      const auto found = std::find_if(kept_.begin(), kept_.end(), wanted);
      if (found != kept_.end()) {
        Event event = std::move(*found);
        kept_.erase(found);
        return event;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock.now()).count();
      if (left <= 0) {
        return std::nullopt;
      }
      pollfd waited{fabric_.fd(), POLLIN, 0};
      ::poll(&waited, 1, static_cast<int>(left));
    }
  }
  /// The next event of an endpoint, of any kind but those that only tell of completions.
  EndpointEvent of(EndpointId id, const char* when) {
    auto event = next([&](const Event& one) {
      const auto* told = std::get_if<EndpointEvent>(&one);
      return told != nullptr && told->endpoint == id &&
             !std::holds_alternative<event::CompletionsReady>(told->what) &&
             !std::holds_alternative<event::CommunicationEstablished>(told->what);
    });
    if (!event) {
      fail(std::string("no event: ") + when);
    }
    return std::get<EndpointEvent>(std::move(*event));
  }
  template <typename T>
  T expect(const Endpoint& endpoint, const char* when) {
    EndpointEvent event = of(endpoint.id(), when);
    if (const auto* failed = std::get_if<event::ConnectFailed>(&event.what)) {
      std::printf("ConnectFailed %d\n", failed->error_number);
    }
    if (!std::holds_alternative<T>(event.what)) {
      fail(std::string("another event (") + std::to_string(event.what.index()) + "): " + when);
    }
    return std::get<T>(event.what);
  }
  ConnectRequested request() {
    auto event =
        next([](const Event& one) { return std::holds_alternative<ConnectRequested>(one); });
    if (!event) {
      fail("no connect request");
    }
    return std::get<ConnectRequested>(std::move(*event));
  }
  Completion completion(Endpoint& endpoint, const char* when) {
    const core::MonotonicClock clock;
    const auto end = clock.now() + kPatience;
    Completion one[1];
    while (endpoint.poll(one) == 0) {
      if (clock.now() > end) {
        fail(std::string("no completion: ") + when);
      }
    }
    return one[0];
  }

 private:
  Fabric& fabric_;
  std::deque<Event> kept_;
};

struct Connection {
  std::unique_ptr<Endpoint> active;
  std::unique_ptr<Endpoint> passive;
};

QueueLimits queues() {
  QueueLimits limits;
  limits.send_requests = kSendDepth;
  limits.receive_requests = kDepth;
  limits.inline_bytes = 220;
  limits.completions = kSendDepth + kDepth;
  return limits;
}

struct Bench {
  Fabric& fabric;
  Events& events;
  SocketAddress here;
  SocketAddress there;

  std::unique_ptr<Endpoint> resolved(std::uint16_t port) const {
    auto endpoint = need(fabric.create_endpoint());
    need(endpoint->resolve_address(here, {there.ipv4, port}, 5s));
    events.expect<event::AddressResolved>(*endpoint, "resolving the address");
    need(endpoint->resolve_route(5s));
    events.expect<event::RouteResolved>(*endpoint, "resolving the route");
    return endpoint;
  }

  Connection connected(bool loud = false) const {
    std::vector<std::byte> question(56, std::byte{0x51});
    std::vector<std::byte> answer(56, std::byte{0x41});
    auto active = resolved(kPort);
    const auto inline_bytes = need(active->create_queue_pair(queues()));
    need(active->connect({question}));
    auto request = events.request();
    need(request.endpoint->create_queue_pair(queues()));
    need(request.endpoint->accept({answer}));
    const auto established = events.expect<event::Established>(*active, "connecting");
    events.expect<event::Established>(*request.endpoint, "accepting");
    if (loud) {
      std::printf("inline: %u of 220 bytes\n", inline_bytes);
      claim(inline_bytes >= 64, "a message of 64 bytes fits the work request");
      claim(request.endpoint->peer_address().ipv4 == here.ipv4, "the acceptor sees who connects");
      claim(request.private_data.length >= 56 &&
                std::memcmp(request.private_data.bytes.data(), question.data(), 56) == 0,
            "private data travels with the request");
      claim(established.private_data.length >= 56 &&
                std::memcmp(established.private_data.bytes.data(), answer.data(), 56) == 0,
            "private data travels with the reply");
    }
    return {std::move(active), std::move(request.endpoint)};
  }
};

SendRequest write(std::uint64_t id, std::span<std::byte> from, const MemoryRegion& region,
                  const std::byte* to, std::uint32_t key) {
  SendRequest request;
  request.id = id;
  request.kind = WorkKind::kWrite;
  request.signaled = true;
  request.segment_count = 1;
  request.segments[0] = {reinterpret_cast<std::uintptr_t>(from.data()),
                         static_cast<std::uint32_t>(from.size()), region.local_key()};
  request.remote_address = reinterpret_cast<std::uintptr_t>(to);
  request.remote_key = key;
  return request;
}

/// Local memory on both sides of a connection.
struct Memory {
  std::vector<std::byte> source;
  std::vector<std::byte> sink;
  std::unique_ptr<MemoryRegion> from;
  std::unique_ptr<MemoryRegion> to;
  explicit Memory(Device& device, std::size_t bytes = 1U << 20)
      : source(bytes, std::byte{0x5A}), sink(bytes) {
    from = need(device.register_memory(source, Access::kLocal | Access::kRelaxedOrdering));
    Access access = Access::kRemoteWrite | Access::kRelaxedOrdering;
    if (device.limits().windows_type_2) {
      access = access | Access::kBindWindow;
    }
    to = need(device.register_memory(sink, access));
  }
};

void check_addresses(const Bench& bench) {
  const auto nobody = bench.fabric.listen({0xC0000201, kPort}, 8);  // 192.0.2.1
  claim(!nobody && nobody.error().error_number == EADDRNOTAVAIL,
        "an address that nobody has is EADDRNOTAVAIL");
  const auto loopback = bench.fabric.listen({0x7F000001, kPort}, 8);
  claim(!loopback, "the loopback address is on no RDMA device");
  const auto device = need(bench.fabric.listen(bench.there, 8));
  const DeviceLimits& limits = device->limits();
  std::printf("%s: %u requests, %u completions, %u segments, %u vectors, windows %d, relaxed %d\n",
              device->name().c_str(), limits.max_queue_pair_requests, limits.max_completions,
              limits.max_segments, limits.completion_vectors, int{limits.windows_type_2},
              int{limits.relaxed_ordering});
  claim(need(bench.fabric.device_of(bench.there)) == device->name(),
        "the device of an address is told without a listener");
  need(bench.fabric.listen(bench.there, 8));
  claim(true, "listening again on the same address");
}

void check_refusals(const Bench& bench) {
  {
    auto endpoint = bench.resolved(kPort + 1);
    need(endpoint->create_queue_pair(queues()));
    need(endpoint->connect({}));
    const auto rejected = bench.events.expect<event::Rejected>(*endpoint, "nobody listens");
    claim(rejected.reason == 8, "nobody listens: reason 8");
  }
  auto endpoint = bench.resolved(kPort);
  QueueLimits huge = queues();
  huge.send_requests = 1U << 24;
  const auto refused = endpoint->create_queue_pair(huge);
  claim(!refused &&
            (refused.error().error_number == EINVAL || refused.error().error_number == ENOMEM),
        "a queue pair that is too large is EINVAL or ENOMEM");
  huge = queues();
  huge.completions = endpoint->device()->limits().max_completions + 1;
  claim(!endpoint->create_queue_pair(huge), "a completion queue that is too large is refused");
  need(endpoint->create_queue_pair(queues()));
  claim(true, "and a smaller one is made afterwards");
  need(endpoint->connect({}));
  auto request = bench.events.request();
  const std::vector<std::byte> why(24, std::byte{0x77});
  need(request.endpoint->reject(why));
  request.endpoint.reset();
  const auto rejected = bench.events.expect<event::Rejected>(*endpoint, "refused");
  claim(rejected.reason == 28 && rejected.private_data.length >= 24 &&
            std::memcmp(rejected.private_data.bytes.data(), why.data(), 24) == 0,
        "a reject carries its record: reason 28");
}

void check_messages(const Bench& bench, Connection& connection) {
  Memory memory(*connection.active->device(), 4096);
  const ReceiveRequest receive{
      7, {reinterpret_cast<std::uintptr_t>(memory.sink.data()), 4096, memory.to->local_key()}};
  need(connection.passive->post(std::span{&receive, 1}));
  need(connection.passive->arm());
  SendRequest send;
  send.id = 3;
  send.signaled = true;
  send.inline_data = true;
  send.segment_count = 1;
  send.segments[0] = {reinterpret_cast<std::uintptr_t>(memory.source.data()), 60, 0};
  need(connection.active->post(std::span{&send, 1}));
  std::fill(memory.source.begin(), memory.source.end(), std::byte{0});
  const auto ready = bench.events.next([&](const Event& one) {
    const auto* told = std::get_if<EndpointEvent>(&one);
    return told != nullptr && told->endpoint == connection.passive->id() &&
           std::holds_alternative<event::CompletionsReady>(told->what);
  });
  claim(ready.has_value(), "an armed queue tells of its completion");
  const Completion received = bench.events.completion(*connection.passive, "receive");
  claim(received.id == 7 && received.status == WorkStatus::kSuccess &&
            received.kind == WorkKind::kReceive && received.bytes == 60,
        "a message is received with its length");
  claim(memory.sink[59] == std::byte{0x5A}, "inline bytes were taken when they were posted");
  const Completion sent = bench.events.completion(*connection.active, "send");
  claim(sent.id == 3 && sent.status == WorkStatus::kSuccess, "and its send completes");

  // 257 writes and their final message in one post, one completion on each side.
  need(connection.passive->post(std::span{&receive, 1}));
  std::vector<SendRequest> chain;
  for (unsigned i = 0; i < 257; ++i) {
    chain.push_back(write(i, std::span(memory.source).subspan(i, 1), *memory.from,
                          &memory.sink[1024 + i], memory.to->remote_key()));
    chain.back().signaled = false;
    memory.source[i] = static_cast<std::byte>(i);
  }
  chain.push_back(send);
  need(connection.active->post(chain));
  claim(bench.events.completion(*connection.passive, "chain").status == WorkStatus::kSuccess,
        "a chain of 257 writes and a message arrives");
  claim(std::equal(&memory.source[0], &memory.source[257], &memory.sink[1024]),
        "the bytes of a chain are there when its message is");
  claim(bench.events.completion(*connection.active, "chain").id == 3,
        "only what was signaled completes");
}

void check_dead_region(const Bench& bench) {
  Connection connection = bench.connected();
  Memory memory(*connection.active->device(), 65536);
  const std::uint32_t key = memory.to->remote_key();
  auto request = write(1, memory.source, *memory.from, memory.sink.data(), key);
  need(connection.active->post(std::span{&request, 1}));
  claim(bench.events.completion(*connection.active, "write").status == WorkStatus::kSuccess &&
            memory.sink == memory.source,
        "a write arrives");
  need(memory.to->close());
  std::fill(memory.sink.begin(), memory.sink.end(), std::byte{0});
  need(connection.active->post(std::span{&request, 1}));
  const Completion refused = bench.events.completion(*connection.active, "write to a dead key");
  if (refused.status == WorkStatus::kSuccess) {
    // iWARP: a write is complete when TCP has it. The peer ends the connection instead.
    static_cast<void>(bench.events.of(connection.active->id(), "the end after a dead key"));
  }
  claim(true, "a key is dead when its region is closed: " + std::string(to_string(refused.status)));
  claim(std::all_of(memory.sink.begin(), memory.sink.end(),
                    [](std::byte byte) { return byte == std::byte{0}; }),
        "and nothing was written");
}

void check_windows(const Bench& bench) {
  Connection connection = bench.connected();
  auto device = connection.active->device();
  if (!device->limits().windows_type_2) {
    claim(!device->allocate_window(), "a device without windows has none to give");
    return;
  }
  Memory memory(*device, 8192);
  auto window = need(device->allocate_window());
  SendRequest bind;
  bind.kind = WorkKind::kBindWindow;
  bind.window = window.get();
  bind.region = memory.to.get();
  bind.bind_address = reinterpret_cast<std::uintptr_t>(&memory.sink[100]);
  bind.bind_length = 5000;
  SendRequest invalidate;
  invalidate.kind = WorkKind::kInvalidate;
  invalidate.signaled = true;
  std::uint32_t key = 0;
  // More often than the key's low byte has values.
  for (unsigned i = 0; i < 300; ++i) {
    key = window->next_key();
    need(connection.passive->post(std::span{&bind, 1}));
    if (i % 100 == 0) {
      // The bind is done when a message that was posted after it is; here the queue is asked.
      bind.signaled = true;
      const auto from = std::span(memory.source).first(5000);
      SendRequest request = write(i, from, *memory.from, &memory.sink[100], key);
      need(connection.active->post(std::span{&request, 1}));
      const Completion written = bench.events.completion(*connection.active, "through a window");
      if (written.status != WorkStatus::kSuccess) {
        fail("write through a window: " + std::string(to_string(written.status)));
      }
      bind.signaled = false;
    }
    invalidate.remote_key = key;
    need(connection.passive->post(std::span{&invalidate, 1}));
    const Completion done = bench.events.completion(*connection.passive, "invalidate");
    if (done.status != WorkStatus::kSuccess) {
      fail("bind and invalidate, round " + std::to_string(i) + ": " +
           std::string(to_string(done.status)));
    }
  }
  claim(true, "300 binds and invalidates of one window");
  SendRequest request =
      write(1, std::span(memory.source).first(8), *memory.from, &memory.sink[200], key);
  memory.sink[200] = std::byte{0};
  need(connection.active->post(std::span{&request, 1}));
  const Completion refused = bench.events.completion(*connection.active, "a dead window");
  claim(refused.status != WorkStatus::kSuccess && memory.sink[200] == std::byte{0},
        "a window's key is dead when it is invalidated: " + std::string(to_string(refused.status)));
}

void check_ends(const Bench& bench) {
  Connection connection = bench.connected();
  Memory memory(*connection.active->device(), 4096);
  const ReceiveRequest receive{
      9, {reinterpret_cast<std::uintptr_t>(memory.sink.data()), 4096, memory.to->local_key()}};
  need(connection.active->post(std::span{&receive, 1}));
  need(connection.passive->post(std::span{&receive, 1}));
  need(connection.active->disconnect());
  bench.events.expect<event::Disconnected>(*connection.passive, "the peer disconnects");
  bench.events.expect<event::Disconnected>(*connection.active, "own disconnect");
  claim(bench.events.completion(*connection.passive, "flush").status == WorkStatus::kFlushed &&
            bench.events.completion(*connection.active, "flush").status == WorkStatus::kFlushed,
        "a disconnect flushes both sides");
  connection = bench.connected();
  need(connection.active->post(std::span{&receive, 1}));
  need(connection.active->flush());
  claim(bench.events.completion(*connection.active, "flush").status == WorkStatus::kFlushed,
        "flush() brings everything back");
  {
    // Destroyed in the middle: whatever comes for it finds nobody.
    auto gone = bench.resolved(kPort);
    need(gone->create_queue_pair(queues()));
    need(gone->connect({}));
  }
  auto stray = bench.events.next(
      [](const Event& one) { return std::holds_alternative<ConnectRequested>(one); }, 2s);
  stray.reset();
  claim(bench.connected().active != nullptr, "an endpoint may go in the middle of connecting");
  // What is registered lives as long as it is wanted, with no connection and no listener.
  connection.active.reset();
  connection.passive.reset();
  bench.fabric.stop_listening();
  need(memory.to->close());
  claim(true, "a region outlives its connections");
}

/// Writes until the device goes; then waits until the address has a device again.
void check_removal(const Bench& bench) {
  need(bench.fabric.listen(bench.there, 8));
  {
    Connection connection = bench.connected();
    Memory memory(*connection.active->device());
    const auto request =
        write(1, memory.source, *memory.from, memory.sink.data(), memory.to->remote_key());
    std::printf("writing\n");
    const auto of_removal = [](const Event& event) {
      const auto* told = std::get_if<EndpointEvent>(&event);
      return (told != nullptr && std::holds_alternative<event::DeviceRemoval>(told->what)) ||
             std::holds_alternative<DeviceEvent>(event);
    };
    const core::MonotonicClock clock;
    const auto end = clock.now() + kPatience;
    unsigned long written = 0;
    // A device may complete a write before its post returns, so events are looked for every time.
    while (!bench.events.next(of_removal, 0us)) {
      if (clock.now() > end) {
        fail("nothing tells of the removal");
      }
      if (!connection.active->post(std::span{&request, 1})) {
        continue;
      }
      Completion one[1];
      while (connection.active->poll(one) == 0 && clock.now() < end) {
      }
      ++written;
    }
    std::printf("removed after %lu writes\n", written);
  }
  bench.fabric.stop_listening();
  claim(true, "everything of a removed device is freed");
  std::printf("gone\n");
  const core::MonotonicClock clock;
  const auto end = clock.now() + kPatience;
  for (;;) {
    const auto device = bench.fabric.listen(bench.there, 8);
    if (device) {
      break;
    }
    // Until the scenario has made it again.
    static_cast<void>(bench.events.next([](const Event&) { return false; }, 100ms));
    if (clock.now() > end) {
      fail("the device did not come back: " + device.error().message());
    }
  }
  Connection connection = bench.connected();
  check_messages(bench, connection);
  claim(true, "a device that is back works");
}

int run(const char* here, const char* there, bool removal) {
  auto fabric = need(open_verbs_fabric());
  Events events(*fabric);
  const Bench bench{*fabric, events, address(here, 0), address(there, kPort)};
  if (removal) {
    check_removal(bench);
    return 0;
  }
  check_addresses(bench);
  check_refusals(bench);
  {
    Connection connection = bench.connected(true);
    check_messages(bench, connection);
  }
  check_dead_region(bench);
  check_windows(bench);
  check_ends(bench);
  return 0;
}

}  // namespace
}  // namespace rdmaboot::engine

int main(int count, char** arguments) {
  if (count < 3) {
    return 2;
  }
  static_cast<void>(std::setvbuf(stdout, nullptr, _IOLBF, 0));
  return rdmaboot::engine::run(arguments[1], arguments[2], count > 3);
}
