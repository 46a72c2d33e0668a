// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The least fabric that an engine runs on, to measure the engine and not its network: two hosts in
// one process, everything arrives and completes when it is posted, no key is looked at, and nothing
// is allocated once a connection stands. A third kind of peer accepts every connection and swallows
// what is sent to it.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/fabric.hpp"

namespace rdmaboot::bench {

/// A queue of plain values that allocates only while it grows.
template <typename T>
class Ring {
 public:
  void push(T value) {
    if (size_ == slots_.size()) {
      std::vector<T> grown(std::max<std::size_t>(16, 2 * size_));
      for (std::size_t i = 0; i < size_; ++i) {
        grown[i] = std::move(slots_[(head_ + i) % slots_.size()]);
      }
      slots_ = std::move(grown);
      head_ = 0;
    }
    slots_[(head_ + size_++) % slots_.size()] = std::move(value);
  }
  T pop() {
    T value = std::move(slots_[head_]);
    head_ = (head_ + 1) % slots_.size();
    --size_;
    return value;
  }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

class NullRegion final : public engine::MemoryRegion {
 public:
  [[nodiscard]] std::uint32_t local_key() const override { return 1; }
  [[nodiscard]] std::uint32_t remote_key() const override { return 2; }
  [[nodiscard]] core::Result<void> close() override { return {}; }
};

class NullWindow final : public engine::MemoryWindow {
 public:
  [[nodiscard]] std::uint32_t next_key() const override { return 3; }
};

class NullDevice final : public engine::Device {
 public:
  NullDevice() {
    limits_.max_queue_pair_requests = 16'384;
    limits_.max_completions = 65'536;
    limits_.max_segments = 30;
    limits_.max_inline = 220;
    limits_.max_region_bytes = std::uint64_t{1} << 40U;
    limits_.windows_type_2 = true;
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const engine::DeviceLimits& limits() const override { return limits_; }
  [[nodiscard]] core::Result<std::unique_ptr<engine::MemoryRegion>> register_memory(
      std::span<std::byte> /*memory*/, engine::Access /*access*/) override {
    return std::make_unique<NullRegion>();
  }
  [[nodiscard]] core::Result<std::unique_ptr<engine::MemoryWindow>> allocate_window() override {
    return std::make_unique<NullWindow>();
  }

 private:
  std::string name_ = "null0";
  engine::DeviceLimits limits_;
};

class NullFabric;

/// Who has which address.
struct NullNetwork {
  std::map<std::uint32_t, NullFabric*> hosts;
  std::uint64_t endpoints = 0;
  std::uint64_t doorbells = 0;    ///< posts to send queues
  std::uint64_t completions = 0;  ///< of send queues
};

class NullEndpoint final : public engine::Endpoint {
 public:
  NullEndpoint(NullFabric& fabric, std::uint64_t id);
  NullEndpoint(const NullEndpoint&) = delete;
  NullEndpoint& operator=(const NullEndpoint&) = delete;
  ~NullEndpoint() override;

  [[nodiscard]] engine::EndpointId id() const override { return engine::EndpointId{id_}; }
  [[nodiscard]] std::shared_ptr<engine::Device> device() const override;
  [[nodiscard]] engine::SocketAddress peer_address() const override { return remote_; }
  [[nodiscard]] core::Result<void> resolve_address(engine::SocketAddress source,
                                                   engine::SocketAddress destination,
                                                   core::Microseconds timeout) override;
  [[nodiscard]] core::Result<void> resolve_route(core::Microseconds timeout) override;
  [[nodiscard]] core::Result<std::uint32_t> create_queue_pair(
      const engine::QueueLimits& limits) override {
    return std::min<std::uint32_t>(limits.inline_bytes, 220);
  }
  [[nodiscard]] core::Result<void> connect(const engine::ConnectParameters& parameters) override;
  [[nodiscard]] core::Result<void> accept(const engine::ConnectParameters& parameters) override;
  [[nodiscard]] core::Result<void> reject(std::span<const std::byte> /*data*/) override {
    return {};
  }
  [[nodiscard]] core::Result<void> notify_established() override { return {}; }
  [[nodiscard]] core::Result<void> disconnect() override;
  [[nodiscard]] core::Result<void> flush() override;
  [[nodiscard]] core::Result<void> post(std::span<const engine::SendRequest> chain) override;
  [[nodiscard]] core::Result<void> post(std::span<const engine::ReceiveRequest> chain) override;
  [[nodiscard]] unsigned poll(std::span<engine::Completion> completions) override;
  [[nodiscard]] core::Result<void> arm() override {
    armed_ = true;
    return {};
  }

  void requested_by(NullEndpoint& active) {
    peer_ = &active;
    remote_ = active.local_;
  }
  void lose_peer() { peer_ = nullptr; }

 private:
  void deliver(const engine::SendRequest& request);
  void complete(const engine::Completion& completion);
  void swallow_request(const engine::ConnectParameters& parameters);

  NullFabric& fabric_;
  std::uint64_t id_;
  engine::SocketAddress local_;
  engine::SocketAddress remote_;
  NullEndpoint* peer_ = nullptr;
  bool armed_ = false;
  Ring<engine::ReceiveRequest> receives_;
  Ring<engine::Completion> completions_;
};

class NullFabric final : public engine::Fabric {
 public:
  explicit NullFabric(NullNetwork& network) : network_(network) {}

  [[nodiscard]] core::Result<std::shared_ptr<engine::Device>> listen(engine::SocketAddress address,
                                                                     int /*backlog*/) override {
    network_.hosts[address.ipv4] = this;
    return device_;
  }
  void stop_listening() override {}
  [[nodiscard]] core::Result<std::string> device_of(engine::SocketAddress /*address*/) override {
    return device_->name();
  }
  [[nodiscard]] core::Result<std::unique_ptr<engine::Endpoint>> create_endpoint() override {
    return std::make_unique<NullEndpoint>(*this, ++network_.endpoints);
  }
  [[nodiscard]] std::optional<engine::Event> next_event() override {
    if (!requests_.empty()) {
      return requests_.pop();
    }
    if (!ready_.empty()) {
      return engine::EndpointEvent{engine::EndpointId{ready_.pop()},
                                   engine::event::CompletionsReady{}};
    }
    if (events_.empty()) {
      return std::nullopt;
    }
    return events_.pop();
  }
  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] bool has_events() const {
    return !requests_.empty() || !ready_.empty() || !events_.empty();
  }

  NullNetwork& network() { return network_; }
  const std::shared_ptr<NullDevice>& device() { return device_; }
  void raise(engine::EndpointEvent event) { events_.push(event); }
  void raise_ready(std::uint64_t id) { ready_.push(id); }
  void request(engine::ConnectRequested request) { requests_.push(std::move(request)); }

 private:
  NullNetwork& network_;
  std::shared_ptr<NullDevice> device_ = std::make_shared<NullDevice>();
  Ring<engine::EndpointEvent> events_;
  Ring<std::uint64_t> ready_;
  Ring<engine::ConnectRequested> requests_;
};

inline NullEndpoint::NullEndpoint(NullFabric& fabric, std::uint64_t id)
    : fabric_(fabric), id_(id) {}

inline NullEndpoint::~NullEndpoint() {
  if (peer_ != nullptr) {
    peer_->lose_peer();
  }
}

inline std::shared_ptr<engine::Device> NullEndpoint::device() const {
  return fabric_.device();
}

inline core::Result<void> NullEndpoint::resolve_address(engine::SocketAddress source,
                                                        engine::SocketAddress destination,
                                                        core::Microseconds /*timeout*/) {
  local_ = source;
  remote_ = destination;
  fabric_.raise({id(), engine::event::AddressResolved{}});
  return {};
}

inline core::Result<void> NullEndpoint::resolve_route(core::Microseconds /*timeout*/) {
  fabric_.raise({id(), engine::event::RouteResolved{}});
  return {};
}

inline engine::PrivateData copied(std::span<const std::byte> bytes) {
  engine::PrivateData data;
  std::copy(bytes.begin(), bytes.end(), data.bytes.begin());
  data.length = static_cast<std::uint8_t>(bytes.size());
  return data;
}

/// The reply of a peer that agrees to everything: the request with the two sides exchanged.
inline void NullEndpoint::swallow_request(const engine::ConnectParameters& parameters) {
  constexpr std::size_t kTypeAt = 6;
  constexpr std::size_t kSourceAt = 16;
  constexpr std::size_t kSourceStampAt = 24;
  constexpr std::size_t kDestinationAt = 32;
  constexpr std::size_t kDestinationStampAt = 40;
  constexpr std::size_t kSize = 8;
  constexpr std::byte kReply{0xc1};
  constexpr std::byte kItsStamp{77};
  engine::PrivateData reply = copied(parameters.private_data);
  const auto field = [&reply](std::size_t at) { return reply.bytes.begin() + at; };
  reply.bytes.at(kTypeAt) = kReply;
  std::swap_ranges(field(kSourceAt), field(kSourceAt + kSize), field(kDestinationAt));
  std::copy_n(field(kSourceStampAt), kSize, field(kDestinationStampAt));
  std::fill_n(field(kSourceStampAt), kSize, std::byte{0});
  reply.bytes.at(kSourceStampAt) = kItsStamp;
  fabric_.raise({id(), engine::event::Established{reply}});
}

inline core::Result<void> NullEndpoint::connect(const engine::ConnectParameters& parameters) {
  const auto found = fabric_.network().hosts.find(remote_.ipv4);
  if (found == fabric_.network().hosts.end()) {
    swallow_request(parameters);
    return {};
  }
  auto passive = std::make_unique<NullEndpoint>(*found->second, ++fabric_.network().endpoints);
  passive->requested_by(*this);
  peer_ = passive.get();
  found->second->request({std::move(passive), copied(parameters.private_data)});
  return {};
}

inline core::Result<void> NullEndpoint::accept(const engine::ConnectParameters& parameters) {
  peer_->fabric_.raise({peer_->id(), engine::event::Established{copied(parameters.private_data)}});
  fabric_.raise({id(), engine::event::Established{}});
  return {};
}

inline core::Result<void> NullEndpoint::disconnect() {
  fabric_.raise({id(), engine::event::Disconnected{}});
  return flush();
}

inline core::Result<void> NullEndpoint::flush() {
  while (!receives_.empty()) {
    complete({receives_.pop().id, engine::WorkStatus::kFlushed, engine::WorkKind::kReceive, 0});
  }
  return {};
}

inline void NullEndpoint::complete(const engine::Completion& completion) {
  completions_.push(completion);
  if (armed_) {
    armed_ = false;
    fabric_.raise_ready(id_);
  }
}

inline void NullEndpoint::deliver(const engine::SendRequest& request) {
  const engine::ReceiveRequest receive = receives_.pop();
  auto* to = reinterpret_cast<std::byte*>(  // NOLINT(performance-no-int-to-ptr): as in verbs
      receive.buffer.address);
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < request.segment_count; ++i) {
    const engine::Segment& segment = request.segments[i];
    std::memcpy(to + length,
                reinterpret_cast<const void*>(  // NOLINT(performance-no-int-to-ptr): as above
                    segment.address),
                segment.length);
    length += segment.length;
  }
  complete({receive.id, engine::WorkStatus::kSuccess, engine::WorkKind::kReceive, length});
}

inline core::Result<void> NullEndpoint::post(std::span<const engine::SendRequest> chain) {
  ++fabric_.network().doorbells;
  for (const engine::SendRequest& request : chain) {
    // The bytes of a write do not matter here, only what the engine does for them.
    if (request.kind == engine::WorkKind::kSend && peer_ != nullptr) {
      peer_->deliver(request);
    }
    if (request.signaled) {
      ++fabric_.network().completions;
      complete({request.id, engine::WorkStatus::kSuccess, request.kind, 0});
    }
  }
  return {};
}

inline core::Result<void> NullEndpoint::post(std::span<const engine::ReceiveRequest> chain) {
  for (const engine::ReceiveRequest& request : chain) {
    receives_.push(request);
  }
  return {};
}

inline unsigned NullEndpoint::poll(std::span<engine::Completion> completions) {
  unsigned count = 0;
  while (count < completions.size() && !completions_.empty()) {
    completions[count++] = completions_.pop();
  }
  return count;
}

}  // namespace rdmaboot::bench
