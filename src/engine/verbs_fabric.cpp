// SPDX-License-Identifier: BSD-2-Clause
#include "engine/verbs_fabric.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "engine/verbs_core.hpp"
#include "engine/verbs_device.hpp"
#include "engine/verbs_endpoint.hpp"
#include "engine/verbs_map.hpp"

namespace rdmaboot::engine {

namespace {

/// So many events are taken from one descriptor before the others have their turn.
constexpr int kBatch = 16;
/// Events that are read and not taken: of the connection manager and of some devices.
constexpr std::size_t kRoom = 64;

/// What is left of a CM event after it was acknowledged. rdma_destroy_id() waits for every event
/// that was read and not acknowledged, so none is kept.
struct ManagerEvent {
  rdma_cm_event_type type{};
  EndpointId target{};
  rdma_cm_id* id = nullptr;
  int status = 0;
  PrivateData data;
};

class VerbsFabric final : public Fabric {
 public:
  explicit VerbsFabric(VerbsCore core) : core_(std::move(core)) { pending_.reserve(kRoom); }
  ~VerbsFabric() override { stop_listening(); }
  VerbsFabric(const VerbsFabric&) = delete;
  VerbsFabric& operator=(const VerbsFabric&) = delete;

  [[nodiscard]] core::Result<std::shared_ptr<Device>> listen(SocketAddress address,
                                                             int backlog) override;
  void stop_listening() override;
  [[nodiscard]] core::Result<std::string> device_of(SocketAddress address) override;
  [[nodiscard]] core::Result<std::unique_ptr<Endpoint>> create_endpoint() override;
  [[nodiscard]] std::optional<Event> next_event() override;
  [[nodiscard]] int fd() const override { return core_.epoll.get(); }
  /// What is not of a device.
  [[nodiscard]] core::Result<void> watch_sources() {
    auto watched = core_.watch(core_.channel->fd, Source::kConnectionManager, 0);
    return watched ? core_.watch(core_.wake.get(), Source::kAnswered, 0) : watched;
  }

 private:
  [[nodiscard]] bool read_sources();
  void read_manager();
  void read_own();
  void read_asynchronous(VerbsDevice& device);
  void read_completions(VerbsDevice& device);
  [[nodiscard]] std::optional<ManagerEvent> next_manager_event();
  void take(const ManagerEvent& event);
  void take_request(const ManagerEvent& event);
  void take_listener(const ManagerEvent& event);
  void take_anchor(const ManagerEvent& event);
  void tell(EndpointId endpoint, const EndpointHappening& what);
  [[nodiscard]] bool has_addressee(const Event& event) const;

  VerbsCore core_;
  CmId listener_;
  EndpointId listener_id_{};
  std::shared_ptr<VerbsDevice> device_;  ///< the listener's
  std::vector<Event> pending_;
  std::size_t next_pending_ = 0;
  bool manager_broken_ = false;
};

core::Result<std::shared_ptr<Device>> VerbsFabric::listen(SocketAddress address, int backlog) {
  stop_listening();
  const EndpointId id = VerbsCore::new_id();
  auto listener = core_.create_bound_id(id, address);
  if (!listener) {
    return tl::make_unexpected(listener.error());
  }
  auto device = core_.device_of(listener->get());
  if (!device) {
    return tl::make_unexpected(device.error());
  }
  if (rdma_listen(listener->get(), backlog) != 0) {
    return core::fail("listen on", to_string(address), errno);
  }
  listener_ = std::move(*listener);
  listener_id_ = id;
  device_ = std::move(*device);
  return device_;
}

void VerbsFabric::stop_listening() {
  listener_.reset();
  device_.reset();
  for (std::size_t i = next_pending_; i < pending_.size(); ++i) {
    if (std::holds_alternative<ConnectRequested>(pending_[i])) {
      std::get<ConnectRequested>(pending_[i]).endpoint.reset();
    }
  }
}

core::Result<std::string> VerbsFabric::device_of(SocketAddress address) {
  auto id = core_.create_bound_id(VerbsCore::new_id(), {address.ipv4, 0});
  if (!id) {
    return tl::make_unexpected(id.error());
  }
  auto device = core_.device_of(id->get());
  if (!device) {
    return tl::make_unexpected(device.error());
  }
  return (*device)->name();
}

core::Result<std::unique_ptr<Endpoint>> VerbsFabric::create_endpoint() {
  const EndpointId id = VerbsCore::new_id();
  auto made = core_.create_id(id);
  if (!made) {
    return tl::make_unexpected(made.error());
  }
  return std::make_unique<VerbsEndpoint>(core_, id, std::move(*made));
}

std::optional<Event> VerbsFabric::next_event() {
  do {
    while (next_pending_ < pending_.size()) {
      Event event = std::move(pending_[next_pending_++]);
      if (has_addressee(event)) {
        return event;
      }
    }
    pending_.clear();
    next_pending_ = 0;
  } while (read_sources());
  return std::nullopt;
}

bool VerbsFabric::has_addressee(const Event& event) const {
  if (const auto* request = std::get_if<ConnectRequested>(&event)) {
    return request->endpoint != nullptr;
  }
  const auto* told = std::get_if<EndpointEvent>(&event);
  return told == nullptr || core_.endpoints.contains(told->endpoint);
}

void VerbsFabric::tell(EndpointId endpoint, const EndpointHappening& what) {
  pending_.emplace_back(EndpointEvent{endpoint, what});
}

bool VerbsFabric::read_sources() {
  std::array<epoll_event, std::size_t{kBatch}> ready{};
  const int found = ::epoll_wait(core_.epoll.get(), ready.data(), kBatch, 0);
  for (int i = 0; i < found; ++i) {
    const std::uint64_t tag = ready[static_cast<std::size_t>(i)].data.u64;
    const auto source = static_cast<Source>(tag >> 32);
    if (source == Source::kConnectionManager) {
      read_manager();
      continue;
    }
    if (source == Source::kAnswered) {
      read_own();
      continue;
    }
    // Nothing in here destroys a device, but a device may have gone since epoll was asked.
    const auto device = core_.devices.find(static_cast<std::uint32_t>(tag));
    if (device == core_.devices.end()) {
      continue;
    }
    if (source == Source::kAsynchronous) {
      read_asynchronous(*device->second);
    } else {
      read_completions(*device->second);
    }
  }
  return found > 0;
}

void VerbsFabric::read_own() {
  eventfd_t ignored = 0;
  static_cast<void>(::eventfd_read(core_.wake.get(), &ignored));
  for (const EndpointEvent& event : core_.own) {
    pending_.emplace_back(event);
  }
  core_.own.clear();
}

void VerbsFabric::read_manager() {
  for (int i = 0; i < kBatch; ++i) {
    const auto event = next_manager_event();
    if (!event) {
      return;
    }
    take(*event);
  }
}

std::optional<ManagerEvent> VerbsFabric::next_manager_event() {
  rdma_cm_event* event = nullptr;
  if (manager_broken_ || rdma_get_cm_event(core_.channel.get(), &event) != 0) {
    if (!manager_broken_ && errno != EAGAIN && errno != EINTR && errno != ENOMEM) {
      core_.unwatch(core_.channel->fd);
      manager_broken_ = true;
    }
    return std::nullopt;
  }
  ManagerEvent copy;
  copy.type = event->event;
  copy.id = event->id;
  const bool request = event->event == RDMA_CM_EVENT_CONNECT_REQUEST;
  copy.target = as_id(request ? event->listen_id->context : event->id->context);
  copy.status = event->status;
  if (request || event->event == RDMA_CM_EVENT_ESTABLISHED ||
      event->event == RDMA_CM_EVENT_REJECTED) {
    copy.data = private_data(event->param.conn.private_data, event->param.conn.private_data_len);
  }
  rdma_ack_cm_event(event);
  return copy;
}

void VerbsFabric::take(const ManagerEvent& event) {
  if (event.type == RDMA_CM_EVENT_CONNECT_REQUEST) {
    take_request(event);
    return;
  }
  if (listener_ && event.target == listener_id_) {
    take_listener(event);
    return;
  }
  const auto found = core_.endpoints.find(event.target);
  if (found == core_.endpoints.end()) {
    take_anchor(event);
    return;
  }
  VerbsEndpoint& endpoint = *found->second;
  if (event.type == RDMA_CM_EVENT_ADDR_RESOLVED) {
    if (auto adopted = endpoint.adopt_device(); !adopted) {
      tell(event.target, event::ConnectFailed{adopted.error().error_number});
    } else {
      tell(event.target, event::AddressResolved{});
    }
    return;
  }
  if (event.type == RDMA_CM_EVENT_ESTABLISHED) {
    endpoint.established();
  } else if (event.type == RDMA_CM_EVENT_DISCONNECTED) {
    endpoint.disconnected();
  } else if (event.type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
    endpoint.device_removed();
  }
  if (auto what = endpoint_happening(event.type, event.status, event.data)) {
    tell(event.target, *what);
  }
}

void VerbsFabric::take_request(const ManagerEvent& event) {
  CmId id(event.id);
  if (!listener_ || event.target != listener_id_) {
    return;
  }
  const EndpointId name = VerbsCore::new_id();
  id->context = as_context(name);
  auto endpoint = std::make_unique<VerbsEndpoint>(core_, name, std::move(id));
  if (!endpoint->adopt_device()) {
    return;
  }
  pending_.emplace_back(ConnectRequested{std::move(endpoint), event.data});
}

void VerbsFabric::take_anchor(const ManagerEvent& event) {
  if (event.type != RDMA_CM_EVENT_DEVICE_REMOVAL) {
    return;
  }
  for (const auto& [serial, device] : core_.devices) {
    if (device->anchor_id() == event.target) {
      core_.device_removed(*device);
      return;
    }
  }
}

void VerbsFabric::take_listener(const ManagerEvent& event) {
  if (event.type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
    core_.device_removed(*device_);
    pending_.emplace_back(DeviceEvent{DeviceEvent::Kind::kRemoval});
  } else if (event.type == RDMA_CM_EVENT_ADDR_CHANGE) {
    pending_.emplace_back(DeviceEvent{DeviceEvent::Kind::kAddressChange});
  }
}

void VerbsFabric::read_asynchronous(VerbsDevice& device) {
  for (int i = 0; i < kBatch; ++i) {
    const auto event = device.next_asynchronous();
    if (!event) {
      return;
    }
    if (event->type == IBV_EVENT_CQ_ERR) {
      tell(event->endpoint, event::QueuePairFailed{});
    } else if (auto what = queue_pair_happening(event->type)) {
      tell(event->endpoint, *what);
    } else if (const auto kind = device_happening(event->type)) {
      const bool other_port = event->port != 0 && listener_ && event->port != listener_->port_num;
      if (&device == device_.get() && !other_port) {
        pending_.emplace_back(DeviceEvent{*kind});
      }
    }
  }
}

void VerbsFabric::read_completions(VerbsDevice& device) {
  for (int i = 0; i < kBatch; ++i) {
    const auto endpoint = device.next_completion();
    if (!endpoint) {
      return;
    }
    tell(*endpoint, event::CompletionsReady{});
  }
}

}  // namespace

core::Result<std::unique_ptr<Fabric>> open_verbs_fabric() {
  if (ibv_is_fork_initialized() == IBV_FORK_DISABLED) {
    if (const int error = ibv_fork_init(); error != 0) {
      return core::fail("protect registered memory against fork of", "libibverbs", error,
                        "to be asked before anything is registered");
    }
  }
  VerbsCore core;
  core.epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  core.wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!core.epoll || !core.wake) {
    return core::fail("create", "epoll and eventfd", errno);
  }
  core.channel.reset(rdma_create_event_channel());
  if (!core.channel) {
    return core::fail("open", "rdma_cm", errno,
                      "/dev/infiniband/rdma_cm of the module rdma_ucm is needed");
  }
  auto fabric = std::make_unique<VerbsFabric>(std::move(core));
  if (auto watched = fabric->watch_sources(); !watched) {
    return tl::make_unexpected(watched.error());
  }
  return fabric;
}

}  // namespace rdmaboot::engine
