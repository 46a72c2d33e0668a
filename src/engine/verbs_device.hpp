// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/verbs_core.hpp"
#include "engine/verbs_map.hpp"

namespace rdmaboot::engine {

/// What is left of a connection that ended while its port was down; see VerbsDevice::park().
class Parked {
 public:
  Parked(CmId id, CompletionQueue queue) : queue_(std::move(queue)), id_(std::move(id)) {}
  ~Parked() {
    if (id_ && id_->qp != nullptr) {
      rdma_destroy_qp(id_.get());
    }
  }
  Parked(Parked&&) noexcept = default;
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;
  Parked& operator=(Parked&&) = delete;

 private:
  CompletionQueue queue_;  ///< of its queue pair, which goes first
  CmId id_;
};

/// One device of librdmacm's, with a protection domain and a completion channel of ours.
///
/// The ibv_context belongs to librdmacm, which closes it when the last id on the device is
/// destroyed. Regions may live longer than all connections, so the device keeps an id of its own,
/// bound to its address and to any port.
class VerbsDevice final : public Device, public std::enable_shared_from_this<VerbsDevice> {
 public:
  /// @param ipv4 an address of the device @param expected its context; ENODEV if the address has
  /// moved to another device meanwhile
  [[nodiscard]] static core::Result<std::shared_ptr<VerbsDevice>> open(VerbsCore& core,
                                                                       std::uint32_t ipv4,
                                                                       const ibv_context* expected);
  VerbsDevice(VerbsCore& core, EndpointId anchor_id, CmId anchor);
  ~VerbsDevice() override;
  VerbsDevice(const VerbsDevice&) = delete;
  VerbsDevice& operator=(const VerbsDevice&) = delete;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const DeviceLimits& limits() const override { return limits_; }
  [[nodiscard]] core::Result<std::unique_ptr<MemoryRegion>> register_memory(
      std::span<std::byte> memory, Access access) override;
  [[nodiscard]] core::Result<std::unique_ptr<MemoryWindow>> allocate_window() override;

  [[nodiscard]] ibv_context* context() const { return anchor_->verbs; }
  [[nodiscard]] ibv_pd* protection_domain() const { return pd_.get(); }
  [[nodiscard]] ibv_comp_channel* completions() const { return channel_.get(); }
  [[nodiscard]] bool is_infiniband_transport() const;
  [[nodiscard]] EndpointId anchor_id() const { return anchor_id_; }
  /// The kernel wants the device back; it gets it at the end of this object. Through VerbsCore.
  void removed() {
    removed_ = true;
    parked_.clear();
  }
  /// The kernel says so now: the event that told of it may be unread yet.
  [[nodiscard]] bool port_active(std::uint8_t port) const;
  /// Keeps a connection's id, and its queue pair in the reset state, until a port is active again.
  /// Destroying the id sends a message, and rxe's queue pair of the connection manager is in error
  /// for ever after one that it could not send because its network device was down. Destroying the
  /// queue pair waits, on rxe, until the network device has let go of its packets: one that is down
  /// may keep them (virtio_net does). rxe gives up after 50 s and frees what they refer to; the
  /// kernel dies when the device comes up and sends them (seen with 6.12).
  void park(CmId id, CompletionQueue queue) {
    Parked parked(std::move(id), std::move(queue));
    if (!removed_) {
      parked_.push_back(std::move(parked));
    }
  }

  /// The next asynchronous event, acknowledged; only values are left of it. Nothing if there is
  /// none. After the event that the device has failed none is read any more: libraries of some
  /// devices block or crash then.
  struct AsynchronousEvent {
    ibv_event_type type{};
    EndpointId endpoint{};  ///< of queue pairs and completion queues
    unsigned port = 0;      ///< of ports
  };
  [[nodiscard]] std::optional<AsynchronousEvent> next_asynchronous();
  /// The endpoint whose completion queue has something; nothing if there is none.
  [[nodiscard]] std::optional<EndpointId> next_completion();

 private:
  [[nodiscard]] core::Result<void> set_up();

  VerbsCore& core_;
  EndpointId anchor_id_;
  CmId anchor_;
  std::vector<Parked> parked_;
  std::uint32_t serial_;
  ProtectionDomain pd_;
  CompletionChannel channel_;
  std::string name_;
  DeviceLimits limits_;
  bool asynchronous_watched_ = false;
  bool completions_watched_ = false;
  bool removed_ = false;
};

class VerbsRegion final : public MemoryRegion {
 public:
  VerbsRegion(std::shared_ptr<VerbsDevice> device, ibv_mr* region)
      : device_(std::move(device)), region_(region) {}
  [[nodiscard]] std::uint32_t local_key() const override { return region_ ? region_->lkey : 0; }
  [[nodiscard]] std::uint32_t remote_key() const override { return region_ ? region_->rkey : 0; }
  [[nodiscard]] core::Result<void> close() override;
  [[nodiscard]] ibv_mr* get() const { return region_.get(); }

 private:
  std::shared_ptr<VerbsDevice> device_;
  core::UniqueHandle<ibv_mr, ibv_dereg_mr> region_;
};

/// ibv_dealloc_mw is an inline function without linkage, so it cannot be named by a type.
struct WindowRelease {
  void operator()(ibv_mw* window) const noexcept { static_cast<void>(ibv_dealloc_mw(window)); }
};

/// A window's key is the consumer's to count: neither library nor kernel writes it back into the
/// ibv_mw, and rxe refuses a bind of a window whose ibv_mw has not the key of the bind before it.
class VerbsWindow final : public MemoryWindow {
 public:
  VerbsWindow(std::shared_ptr<VerbsDevice> device, ibv_mw* window)
      : device_(std::move(device)), window_(window) {}
  ~VerbsWindow() override;
  VerbsWindow(const VerbsWindow&) = delete;
  VerbsWindow& operator=(const VerbsWindow&) = delete;
  [[nodiscard]] std::uint32_t next_key() const override {
    return window_ ? next_window_key(window_->rkey) : 0;
  }
  /// A bind with next_key() was posted to a queue pair: it is the current key from now on.
  void bound_by(VerbsEndpoint& endpoint);
  /// The queue pair is about to be destroyed: the window becomes a new one, bound to nothing. rxe
  /// counts a window as a user of its queue pair and waits 50 s for it in ibv_destroy_qp().
  void renew();
  /// Null if there was no new one to be had.
  [[nodiscard]] ibv_mw* get() const { return window_.get(); }

 private:
  std::shared_ptr<VerbsDevice> device_;
  std::unique_ptr<ibv_mw, WindowRelease> window_;
  VerbsEndpoint* binder_ = nullptr;  ///< on whose queue pair it was bound last
};

}  // namespace rdmaboot::engine
