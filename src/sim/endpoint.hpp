// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// One rdma_cm id of a simulated process, with its queue pair. Inside src/sim only.

#include <memory>
#include <optional>

#include "engine/fabric.hpp"
#include "sim/memory.hpp"
#include "sim/queue_pair.hpp"
#include "sim/state.hpp"

namespace rdmaboot::sim {

/// Private data as a transport pads it: a request has 56 bytes of it, a reply 196, a reject 148.
inline constexpr std::uint8_t kRequestBytes = 56;
inline constexpr std::uint8_t kReplyBytes = 196;
inline constexpr std::uint8_t kRejectBytes = 148;

/// What of a connection request travels.
struct CmRequest {
  engine::EndpointId active{};
  engine::SocketAddress source;
  engine::SocketAddress destination;
  engine::PrivateData private_data;
};

class SimEndpoint final : public engine::Endpoint {
 public:
  /// For an active connect.
  SimEndpoint(WorldState& world, SimFabric& fabric, HostId host);
  /// For a request that arrived at a listener.
  SimEndpoint(WorldState& world, SimFabric& fabric, std::shared_ptr<SimDevice> device,
              const CmRequest& request);
  SimEndpoint(const SimEndpoint&) = delete;
  SimEndpoint& operator=(const SimEndpoint&) = delete;
  ~SimEndpoint() override;

  [[nodiscard]] engine::EndpointId id() const override { return id_; }
  [[nodiscard]] std::shared_ptr<engine::Device> device() const override { return device_; }
  [[nodiscard]] engine::SocketAddress peer_address() const override { return remote_; }
  [[nodiscard]] core::Result<void> resolve_address(engine::SocketAddress source,
                                                   engine::SocketAddress destination,
                                                   core::Microseconds timeout) override;
  [[nodiscard]] core::Result<void> resolve_route(core::Microseconds timeout) override;
  [[nodiscard]] core::Result<std::uint32_t> create_queue_pair(
      const engine::QueueLimits& limits) override;
  [[nodiscard]] core::Result<void> connect(const engine::ConnectParameters& parameters) override;
  [[nodiscard]] core::Result<void> accept(const engine::ConnectParameters& parameters) override;
  [[nodiscard]] core::Result<void> reject(std::span<const std::byte> private_data) override;
  [[nodiscard]] core::Result<void> notify_established() override;
  [[nodiscard]] core::Result<void> disconnect() override;
  [[nodiscard]] core::Result<void> flush() override;
  [[nodiscard]] core::Result<void> post(std::span<const engine::SendRequest> chain) override;
  [[nodiscard]] core::Result<void> post(std::span<const engine::ReceiveRequest> chain) override;
  [[nodiscard]] unsigned poll(std::span<engine::Completion> completions) override;
  [[nodiscard]] core::Result<void> arm() override;

  // For the other parts of the simulation.
  [[nodiscard]] HostId host() const { return host_; }
  [[nodiscard]] QueuePair* queue_pair() { return queue_pair_.get(); }
  [[nodiscard]] const std::shared_ptr<SimDevice>& sim_device() const { return device_; }
  [[nodiscard]] std::uint32_t local_ipv4() const { return local_.ipv4; }
  /// False after its host crashed.
  [[nodiscard]] bool alive() const;
  /// This end of the way: port, address and GID index as they were when it was connected.
  [[nodiscard]] bool path_open() const;
  /// An event for whoever owns the endpoint.
  void raise(const decltype(engine::EndpointEvent::what)& what);
  /// The queue pair got data: without an RTU the owner is told so.
  void data_arrived();

  // What the connection manager of the other side sends.
  void arrive_reply(engine::EndpointId passive, const engine::PrivateData& data);
  void arrive_reject(const engine::event::Rejected& reject);
  void arrive_ready_to_use();
  void arrive_disconnect();
  void arrive_disconnected();

 private:
  enum class State : std::uint8_t {
    kIdle,
    kResolvingAddress,
    kAddressResolved,
    kResolvingRoute,
    kRouteResolved,
    kConnecting,
    kRequested,
    kAccepted,
    kConnected,
    kDisconnecting,
    kDisconnected,
    kOver,
  };

  [[nodiscard]] tl::unexpected<core::Error> refuse(std::string_view attempt, int error) const;
  void resolved(bool reachable);
  void fail_connect(int error_number);
  void send_request();
  void send_reply();
  void send_disconnect();
  void try_again_later(State in_state, void (SimEndpoint::*send)());
  void say_goodbye();

  WorldState& world_;
  SimFabric& fabric_;
  engine::EndpointId id_;
  HostId host_;
  std::uint32_t life_;
  State state_ = State::kIdle;
  std::shared_ptr<SimDevice> device_;
  std::unique_ptr<QueuePair> queue_pair_;
  engine::SocketAddress local_;
  engine::SocketAddress remote_;
  engine::EndpointId peer_{};
  engine::PrivateData private_data_;  ///< of the request or the reply, to send it once more
  engine::ConnectParameters parameters_;
  std::uint32_t gid_generation_ = 0;
  unsigned tries_ = 0;
  bool passive_ = false;
  bool told_communication_ = false;
};

/// Sends what the connection manager has to say, once: it may be lost, come twice or come late.
void cm_send(WorldState& world, const Schedule::Action& arrive);

/// A request arrives at the host that has its destination.
void arrive_request(WorldState& world, const CmRequest& request);

/// Data of at most `length` bytes, padded with zeros to exactly that.
[[nodiscard]] engine::PrivateData padded(std::span<const std::byte> data, std::uint8_t length);

}  // namespace rdmaboot::sim
