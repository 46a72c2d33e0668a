// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// An engine on a simulated network, and opposite to it a peer that says exactly what a test wants.

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/credits.hpp"
#include "engine/wire.hpp"
#include "engine/wire_connect.hpp"
#include "rdmaboot/engine/engine.hpp"
#include "sim/world.hpp"

namespace rdmaboot::tests {

inline constexpr std::uint64_t kEngineStamp = 1000;
inline constexpr std::uint64_t kPeerStamp = 2000;

/// Two hosts, 10.0.0.1 and 10.0.0.2, with a device each.
struct Network {
  explicit Network(std::uint64_t seed = 1, bool windows = true, bool iwarp = false) : world(seed) {
    sim::DeviceModel model;
    model.limits.windows_type_2 = windows;
    model.limits.requester_speaks_first = iwarp;
    for (std::uint32_t i = 0; i < 2; ++i) {
      model.name = "sim" + std::to_string(i);
      hosts[i] = world.add_host("host" + std::to_string(i));
      devices[i] = world.add_device(hosts[i], model);
      world.give_address(devices[i], nid(i).ipv4());
    }
    world.observe(&recorder);
  }
  static engine::Nid nid(std::uint32_t host) { return engine::Nid::o2ib(0x0a000001 + host); }
  static engine::Settings settings(std::uint32_t host) {
    engine::Settings settings;
    settings.nid = nid(host);
    settings.incarnation = host == 0 ? kEngineStamp : kPeerStamp;
    return settings;
  }
  /// Runs the engines until nothing happens before the time, from now.
  template <typename... Engines>
  void run(core::Microseconds time, Engines&... engines) {
    const core::Microseconds end = world.clock().now() + time;
    for (;;) {
      while ((static_cast<unsigned>(engines.process()) | ...) != 0) {  // each of them
      }
      std::optional<core::Microseconds> next = world.next_time();
      const auto sooner = [&](const auto& one) {
        if (const auto due = one.next_deadline()) {
          next = next ? std::min(*next, *due) : *due;
        }
      };
      (sooner(engines), ...);
      if (!next || *next > end) {
        world.run_until(end);
        return;
      }
      const bool world_first = world.next_time() && *world.next_time() <= *next;
      if (world_first) {
        world.step();
      } else {
        world.run_until(std::max(*next, world.clock().now() + core::Microseconds(1)));
      }
    }
  }

  sim::Recorder recorder;
  sim::World world;
  sim::HostId hosts[2]{};
  sim::DeviceId devices[2]{};
};

/// Host 1 of a Network without an engine: it connects, accepts, sends and remembers.
class ScriptedPeer {
 public:
  static constexpr std::size_t kBuffers = 64;
  static constexpr std::size_t kSinkBytes = 64U << 10U;

  explicit ScriptedPeer(Network& network)
      : fabric_(network.world.fabric(network.hosts[1])),
        device_(*fabric_->listen({Network::nid(1).ipv4(), 987}, 10)),
        memory_((kBuffers + 1) * engine::wire::kMessageBytes + kSinkBytes),
        region_(*device_->register_memory(
            memory_, engine::Access::kLocalWrite | engine::Access::kRemoteWrite)) {}

  // What it claims to be; a test changes what it lies about.
  engine::wire::Header header{engine::wire::Version::k2, 0,          Network::nid(1),
                              Network::nid(0),           kPeerStamp, kEngineStamp};
  engine::wire::ConnectParameters parameters;
  std::uint64_t request_stamp = 0;             ///< of the engine, in a request
  std::optional<engine::wire::Reject> reject;  ///< the answer to requests, while it is set
  bool answers_requests = true;
  bool old = false;  ///< knows version 1 only: refuses version 2 for it
  int cm_reason = 0;

  // What it saw
  std::vector<engine::wire::Type> received;
  std::vector<std::vector<std::byte>> bytes;
  std::vector<engine::wire::Reject> refusals;
  std::vector<engine::wire::ConnectRequest> requests;
  std::vector<engine::wire::Header> request_headers;
  bool established = false;
  bool disconnected = false;

  /// What it had stays as it was: a peer that restarted says nothing of its earlier life.
  void connect() {
    if (endpoint_) {
      kept_.push_back(std::move(endpoint_));
    }
    has_queue_pair_ = false;
    endpoint_ = *fabric_->create_endpoint();
    (void)endpoint_->resolve_address({Network::nid(1).ipv4(), 1023}, {Network::nid(0).ipv4(), 987},
                                     std::chrono::seconds(5));
  }

  /// Posts a message; of more than one the bytes stay until the next.
  void send(const engine::wire::Body& body) {
    const auto out = std::span(memory_).last(engine::wire::kMessageBytes);
    send_bytes(engine::wire::encode(header, body, out));
  }
  /// Posts what stands in out().
  void send_bytes(std::size_t size) {
    engine::SendRequest request;
    request.id = 1000;
    request.signaled = true;
    request.segment_count = 1;
    request.segments[0] = {reinterpret_cast<std::uint64_t>(out().data()),
                           static_cast<std::uint32_t>(size), region_->local_key()};
    (void)endpoint_->post(std::span<const engine::SendRequest>(&request, 1));
  }
  /// An RDMA write of so many bytes of sink().
  void write(std::uint64_t address, std::uint32_t key, std::uint32_t size) {
    engine::SendRequest request;
    request.id = 1001;
    request.kind = engine::WorkKind::kWrite;
    request.signaled = true;
    request.segment_count = 1;
    request.segments[0] = {reinterpret_cast<std::uint64_t>(sink().data()), size,
                           region_->local_key()};
    request.remote_address = address;
    request.remote_key = key;
    (void)endpoint_->post(std::span<const engine::SendRequest>(&request, 1));
  }
  std::span<std::byte> out() { return std::span(memory_).last(engine::wire::kMessageBytes); }
  [[nodiscard]] std::uint32_t key() const { return region_->remote_key(); }
  [[nodiscard]] std::uint64_t address() { return reinterpret_cast<std::uint64_t>(sink().data()); }
  /// Memory for the engine's writes, and for its own.
  [[nodiscard]] std::span<std::byte> sink() {
    return std::span(memory_).subspan(kBuffers * engine::wire::kMessageBytes, kSinkBytes);
  }
  [[nodiscard]] engine::wire::Message last() const { return *engine::wire::decode(bytes.back()); }

  /// As Engine::process().
  bool process() {
    bool any = false;
    while (auto event = fabric_->next_event()) {
      any = true;
      if (auto* request = std::get_if<engine::ConnectRequested>(&*event)) {
        requested(*request);
      } else if (auto* what = std::get_if<engine::EndpointEvent>(&*event)) {
        happened(*what);
      }
    }
    engine::Completion completion;
    while (endpoint_ && has_queue_pair_ && endpoint_->poll({&completion, 1}) == 1) {
      any = true;
      if (completion.status == engine::WorkStatus::kSuccess && completion.id < kBuffers) {
        const auto buffer = std::span(memory_).subspan(completion.id * engine::wire::kMessageBytes,
                                                       completion.bytes);
        bytes.emplace_back(buffer.begin(), buffer.end());
        if (const auto message = engine::wire::decode(buffer)) {
          received.push_back(engine::wire::type_of(message->body));
        }
        post_receive(completion.id);
      }
    }
    return any;
  }
  [[nodiscard]] std::optional<core::Microseconds> next_deadline() const { return std::nullopt; }

 private:
  void make_queue_pair() {
    engine::QueueLimits limits;
    limits.send_requests = 64;
    limits.receive_requests = kBuffers;
    limits.completions = 64 + kBuffers;
    (void)endpoint_->create_queue_pair(limits);
    has_queue_pair_ = true;
    for (std::size_t i = 0; i < kBuffers; ++i) {
      post_receive(i);
    }
  }
  void post_receive(std::uint64_t index) {
    const engine::ReceiveRequest request{
        index,
        {reinterpret_cast<std::uint64_t>(memory_.data()) + index * engine::wire::kMessageBytes,
         static_cast<std::uint32_t>(engine::wire::kMessageBytes), region_->local_key()}};
    (void)endpoint_->post(std::span<const engine::ReceiveRequest>(&request, 1));
  }
  std::size_t encode(const engine::wire::Header& from, const engine::wire::Body& body) {
    return engine::wire::encode(from, body, data_);
  }
  void requested(engine::ConnectRequested& request) {
    if (const auto message = engine::wire::decode(request.private_data.view())) {
      requests.push_back(std::get<engine::wire::ConnectRequest>(message->body));
      request_headers.push_back(message->header);
    }
    if (!answers_requests) {
      kept_.push_back(std::move(request.endpoint));
      return;
    }
    const bool too_new = old && request_headers.back().version != engine::wire::Version::k1;
    if (reject || too_new) {
      engine::wire::Reject of_version_1;
      of_version_1.version = static_cast<std::uint16_t>(engine::wire::Version::k1);
      (void)request.endpoint->reject(engine::wire::encode_reject(too_new ? of_version_1 : *reject));
      return;
    }
    endpoint_ = std::move(request.endpoint);
    make_queue_pair();
    const std::size_t size = encode(header, engine::wire::ConnectReply{parameters});
    (void)endpoint_->accept({std::span(data_).first(size)});
  }
  void happened(const engine::EndpointEvent& event) {
    if (!endpoint_ || event.endpoint != endpoint_->id()) {
      return;
    }
    if (std::holds_alternative<engine::event::AddressResolved>(event.what)) {
      (void)endpoint_->resolve_route(std::chrono::seconds(5));
    } else if (std::holds_alternative<engine::event::RouteResolved>(event.what)) {
      make_queue_pair();
      engine::wire::Header from = header;
      from.destination_stamp = request_stamp;
      const std::size_t size = encode(from, engine::wire::ConnectRequest{parameters});
      (void)endpoint_->connect({std::span(data_).first(size)});
    } else if (std::holds_alternative<engine::event::Established>(event.what)) {
      established = true;
    } else if (std::holds_alternative<engine::event::Disconnected>(event.what)) {
      disconnected = true;
    } else if (const auto* refused = std::get_if<engine::event::Rejected>(&event.what)) {
      cm_reason = refused->reason;
      if (const auto record = engine::wire::decode_reject(refused->private_data.view())) {
        refusals.push_back(*record);
      }
    }
  }

  std::unique_ptr<engine::Fabric> fabric_;
  std::shared_ptr<engine::Device> device_;
  std::vector<std::byte> memory_;
  std::unique_ptr<engine::MemoryRegion> region_;
  std::vector<std::unique_ptr<engine::Endpoint>> kept_;
  std::unique_ptr<engine::Endpoint> endpoint_;
  std::array<std::byte, 256> data_{};
  bool has_queue_pair_ = false;
};

}  // namespace rdmaboot::tests
