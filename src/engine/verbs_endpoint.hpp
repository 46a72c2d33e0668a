// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>

#include "engine/verbs_core.hpp"
#include "engine/verbs_device.hpp"

namespace rdmaboot::engine {

/// An rdma_cm id, and its queue pair. What the connection manager reports is handed to it by the
/// fabric, which is told of its birth and death by the table in VerbsCore.
class VerbsEndpoint final : public Endpoint {
 public:
  /// @param cm its context is `id` already
  VerbsEndpoint(VerbsCore& core, EndpointId id, CmId cm);
  ~VerbsEndpoint() override;
  VerbsEndpoint(const VerbsEndpoint&) = delete;
  VerbsEndpoint& operator=(const VerbsEndpoint&) = delete;

  [[nodiscard]] EndpointId id() const override { return id_; }
  [[nodiscard]] std::shared_ptr<Device> device() const override { return device_; }
  [[nodiscard]] SocketAddress peer_address() const override;
  [[nodiscard]] core::Result<void> resolve_address(SocketAddress source, SocketAddress destination,
                                                   core::Microseconds timeout) override;
  [[nodiscard]] core::Result<void> resolve_route(core::Microseconds timeout) override;
  [[nodiscard]] core::Result<std::uint32_t> create_queue_pair(const QueueLimits& limits) override;
  [[nodiscard]] core::Result<void> connect(const ConnectParameters& parameters) override;
  [[nodiscard]] core::Result<void> accept(const ConnectParameters& parameters) override;
  [[nodiscard]] core::Result<void> reject(std::span<const std::byte> private_data) override;
  [[nodiscard]] core::Result<void> notify_established() override;
  [[nodiscard]] core::Result<void> disconnect() override;
  [[nodiscard]] core::Result<void> flush() override;
  [[nodiscard]] core::Result<void> post(std::span<const SendRequest> chain) override;
  [[nodiscard]] core::Result<void> post(std::span<const ReceiveRequest> chain) override;
  [[nodiscard]] unsigned poll(std::span<Completion> completions) override;
  [[nodiscard]] core::Result<void> arm() override;

  /// The address is resolved, or a request came: finds the device.
  [[nodiscard]] core::Result<void> adopt_device();
  /// The connection stands: what the connection manager leaves wrong is put right.
  void established();
  /// A window was bound on this queue pair; or it is bound elsewhere now, or gone.
  void remember(VerbsWindow& window) { windows_.insert(&window); }
  void forget(VerbsWindow& window) { windows_.erase(&window); }
  /// The device is going.
  void device_removed();
  /// The peer has disconnected: answers it, and the queue pair goes to the error state.
  void disconnected();

 private:
  /// The adapter uses nothing of this connection any more when it returns, as after its end.
  [[nodiscard]] core::Result<void> reset();
  [[nodiscard]] core::Result<void> move_queue_pair(ibv_qp_state state, std::string_view attempt);
  [[nodiscard]] core::Result<void> failed(std::string_view attempt, int error) const;
  /// The connection manager may send something for this id; see VerbsDevice::park().
  [[nodiscard]] bool may_talk() const;

  VerbsCore& core_;
  EndpointId id_;
  std::shared_ptr<VerbsDevice> device_;
  CmId cm_;
  CompletionQueue queue_;
  std::unordered_set<VerbsWindow*> windows_;  ///< that were bound here last
};

}  // namespace rdmaboot::engine
