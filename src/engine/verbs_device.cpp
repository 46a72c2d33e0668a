// SPDX-License-Identifier: BSD-2-Clause
#include "engine/verbs_device.hpp"

#include <array>
#include <cerrno>
#include <mutex>
#include <unordered_map>

#include <fcntl.h>
#include <unistd.h>

#include "engine/verbs_endpoint.hpp"

namespace rdmaboot::engine {

namespace {

/// Devices of all fabrics of this process by librdmacm's context, which they share.
std::mutex users_mutex;
std::unordered_map<const ibv_context*, unsigned> users;

/// librdmacm keeps a device open when its last id is gone, and does not close it either when it is
/// the last device that the kernel had; a soft device's driver cannot finish removing it then. So
/// its descriptors are made to refer to something else. librdmacm does not use them any more: it
/// tells devices apart by the kernel's index, which is not used twice, and closes them with the
/// rest.
void close_descriptors(const ibv_context& context) {
  const core::UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing) {
    static_cast<void>(::dup3(nothing.get(), context.async_fd, O_CLOEXEC));
    static_cast<void>(::dup3(nothing.get(), context.cmd_fd, O_CLOEXEC));
  }
}

}  // namespace

VerbsDevice::VerbsDevice(VerbsCore& core, EndpointId anchor_id, CmId anchor)
    : core_(core), anchor_id_(anchor_id), anchor_(std::move(anchor)), serial_(++core.last_device) {
  core_.devices.emplace(serial_, this);
  const std::scoped_lock lock(users_mutex);
  ++users[context()];
}

VerbsDevice::~VerbsDevice() {
  core_.devices.erase(serial_);
  if (asynchronous_watched_) {
    core_.unwatch(context()->async_fd);
  }
  if (completions_watched_) {
    core_.unwatch(channel_->fd);
  }
  parked_.clear();
  channel_.reset();
  pd_.reset();
  ibv_context* const open = context();
  anchor_.reset();
  const std::scoped_lock lock(users_mutex);
  if (--users[open] == 0) {
    users.erase(open);
    if (removed_) {
      close_descriptors(*open);
    }
  }
}

core::Result<std::shared_ptr<VerbsDevice>> VerbsDevice::open(VerbsCore& core, std::uint32_t ipv4,
                                                             const ibv_context* expected) {
  const EndpointId id = VerbsCore::new_id();
  auto anchor = core.create_bound_id(id, {ipv4, 0});
  if (!anchor) {
    return tl::make_unexpected(anchor.error());
  }
  if ((*anchor)->verbs != expected) {
    return core::fail("open the RDMA device of", to_string(SocketAddress{ipv4, 0}), ENODEV);
  }
  auto device = std::make_shared<VerbsDevice>(core, id, std::move(*anchor));
  if (auto done = device->set_up(); !done) {
    return tl::make_unexpected(done.error());
  }
  return device;
}

core::Result<void> VerbsDevice::set_up() {
  name_ = ibv_get_device_name(context()->device);
  ibv_device_attr attributes{};
  if (const int error = ibv_query_device(context(), &attributes); error != 0) {
    return core::fail("query", name_, error);
  }
  limits_ = device_limits(attributes, context()->num_comp_vectors);
  limits_.requester_speaks_first = context()->device->transport_type == IBV_TRANSPORT_IWARP;
  pd_.reset(ibv_alloc_pd(context()));
  if (!pd_) {
    return core::fail("allocate a protection domain of", name_, errno);
  }
  channel_.reset(ibv_create_comp_channel(context()));
  if (!channel_) {
    return core::fail("create a completion channel of", name_, errno);
  }
  if (limits_.windows_type_2) {
    // A driver may claim what its library does not have.
    limits_.windows_type_2 = allocate_window().has_value();
  }
  // Nothing tells whether this flag is known; old kernels refuse it.
  limits_.relaxed_ordering = true;
  std::array<std::byte, 64> sample{};
  limits_.relaxed_ordering =
      register_memory(sample, Access::kLocalWrite | Access::kRelaxedOrdering).has_value();
  if (auto done = core_.watch(context()->async_fd, Source::kAsynchronous, serial_); !done) {
    return done;
  }
  asynchronous_watched_ = true;
  if (auto done = core_.watch(channel_->fd, Source::kCompletions, serial_); !done) {
    return done;
  }
  completions_watched_ = true;
  return {};
}

bool VerbsDevice::is_infiniband_transport() const {
  return context()->device->transport_type == IBV_TRANSPORT_IB;
}

bool VerbsDevice::port_active(std::uint8_t port) const {
  ibv_port_attr attributes{};
  // rxe copies the state and only then waits for the lock under which a link goes down, so the
  // first answer may be as old as that wait. The second one knows.
  return ibv_query_port(context(), port, &attributes) != 0 ||
         ibv_query_port(context(), port, &attributes) != 0 || attributes.state == IBV_PORT_ACTIVE;
}

core::Result<std::unique_ptr<MemoryRegion>> VerbsDevice::register_memory(
    std::span<std::byte> memory, Access access) {
  const unsigned flags = access_flags(access, limits_.relaxed_ordering);
  ibv_mr* region = ibv_reg_mr(pd_.get(), memory.data(), memory.size(), flags);
  if (region == nullptr) {
    return core::fail("register " + std::to_string(memory.size()) + " bytes with", name_, errno);
  }
  return std::make_unique<VerbsRegion>(shared_from_this(), region);
}

core::Result<std::unique_ptr<MemoryWindow>> VerbsDevice::allocate_window() {
  if (!limits_.windows_type_2) {
    return core::fail("allocate a memory window of", name_, EOPNOTSUPP);
  }
  ibv_mw* window = ibv_alloc_mw(pd_.get(), IBV_MW_TYPE_2);
  if (window == nullptr) {
    return core::fail("allocate a memory window of", name_, errno);
  }
  return std::make_unique<VerbsWindow>(shared_from_this(), window);
}

std::optional<VerbsDevice::AsynchronousEvent> VerbsDevice::next_asynchronous() {
  ibv_async_event event{};
  if (!asynchronous_watched_) {
    return std::nullopt;
  }
  if (ibv_get_async_event(context(), &event) != 0) {
    if (errno != EAGAIN && errno != EINTR) {
      core_.unwatch(context()->async_fd);
      asynchronous_watched_ = false;
    }
    return std::nullopt;
  }
  // The kernel takes back what is unread of an object that is destroyed, so the object lives.
  AsynchronousEvent copy{.type = event.event_type};
  if (is_queue_pair_event(event.event_type)) {
    copy.endpoint = as_id(event.element.qp->qp_context);
  } else if (event.event_type == IBV_EVENT_CQ_ERR) {
    copy.endpoint = as_id(event.element.cq->cq_context);
  } else if (is_port_event(event.event_type)) {
    copy.port = static_cast<unsigned>(event.element.port_num);
  }
  ibv_ack_async_event(&event);
  if (copy.type == IBV_EVENT_PORT_ACTIVE) {
    parked_.clear();
  }
  if (copy.type == IBV_EVENT_DEVICE_FATAL) {
    removed_ = true;
    core_.unwatch(context()->async_fd);
    asynchronous_watched_ = false;
  }
  return copy;
}

std::optional<EndpointId> VerbsDevice::next_completion() {
  ibv_cq* queue = nullptr;
  void* endpoint = nullptr;
  if (!completions_watched_) {
    return std::nullopt;
  }
  if (ibv_get_cq_event(channel_.get(), &queue, &endpoint) != 0) {
    if (errno != EAGAIN && errno != EINTR) {
      core_.unwatch(channel_->fd);
      completions_watched_ = false;
    }
    return std::nullopt;
  }
  ibv_ack_cq_events(queue, 1);
  return as_id(endpoint);
}

VerbsWindow::~VerbsWindow() {
  if (binder_ != nullptr) {
    binder_->forget(*this);
  }
}

void VerbsWindow::bound_by(VerbsEndpoint& endpoint) {
  window_->rkey = next_key();
  if (binder_ == &endpoint) {
    return;
  }
  if (binder_ != nullptr) {
    binder_->forget(*this);
  }
  binder_ = &endpoint;
  endpoint.remember(*this);
}

void VerbsWindow::renew() {
  binder_ = nullptr;
  window_.reset();
  window_.reset(ibv_alloc_mw(device_->protection_domain(), IBV_MW_TYPE_2));
}

core::Result<void> VerbsRegion::close() {
  ibv_mr* const region = region_.release();
  if (region == nullptr) {
    return {};
  }
  if (const int error = ibv_dereg_mr(region); error != 0) {
    return core::fail("deregister memory of", device_->name(), error);
  }
  return {};
}

}  // namespace rdmaboot::engine
