// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a verbs fabric, its devices and its endpoints share: descriptors, who is who, and space to
// put chains together. One thread.

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "core/unique_handle.hpp"
#include "engine/fabric.hpp"

namespace rdmaboot::engine {

class VerbsDevice;
class VerbsEndpoint;

using EventChannel = core::UniqueHandle<rdma_event_channel, rdma_destroy_event_channel>;
using CmId = core::UniqueHandle<rdma_cm_id, rdma_destroy_id>;
using ProtectionDomain = core::UniqueHandle<ibv_pd, ibv_dealloc_pd>;
using CompletionChannel = core::UniqueHandle<ibv_comp_channel, ibv_destroy_comp_channel>;
using CompletionQueue = core::UniqueHandle<ibv_cq, ibv_destroy_cq>;

/// What epoll says about a descriptor of ours: its kind, and which device.
enum class Source : std::uint32_t { kConnectionManager, kAsynchronous, kCompletions, kAnswered };

/// An identity as the C libraries carry it along, in their void* context.
[[nodiscard]] inline void* as_context(EndpointId id) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(id));  // NOLINT(performance-*)
}
[[nodiscard]] inline EndpointId as_id(const void* context) {
  return static_cast<EndpointId>(reinterpret_cast<std::uintptr_t>(context));
}

struct VerbsCore {
  core::UniqueFd epoll;
  EventChannel channel;
  core::UniqueFd wake;             ///< an eventfd, readable while there is something in `own`
  std::vector<EndpointEvent> own;  ///< answers that the kernel gave at once instead of as an event
  std::unordered_map<EndpointId, VerbsEndpoint*> endpoints;
  std::unordered_map<std::uint32_t, VerbsDevice*> devices;  ///< by serial number, while they live
  std::uint32_t last_device = 0;
  /// Chains are put together here; they grow to the longest one and stay.
  std::vector<ibv_send_wr> send_requests;
  std::vector<ibv_recv_wr> receive_requests;
  std::vector<ibv_sge> segments;
  /// Every device that was used, until it is removed: librdmacm has it open all that time, and only
  /// who has an id on it is told of its removal. The last member, for a device's end uses the
  /// others.
  std::vector<std::shared_ptr<VerbsDevice>> kept;

  /// Unique in the process: an asynchronous event of another fabric's queue pair, which this one
  /// may read because both have the device from librdmacm, finds nobody here.
  [[nodiscard]] static EndpointId new_id();
  /// An rdma_cm id whose events carry `id`. Errors: ENOMEM, ENODEV, EMFILE.
  [[nodiscard]] core::Result<CmId> create_id(EndpointId id);
  /// The same, bound. Errors: EADDRNOTAVAIL, ENODEV, EADDRINUSE.
  [[nodiscard]] core::Result<CmId> create_bound_id(EndpointId id, SocketAddress address);
  /// The device on whose ibv_context `id` is, opened if it is not open yet.
  [[nodiscard]] core::Result<std::shared_ptr<VerbsDevice>> device_of(rdma_cm_id* id);
  /// The kernel wants this device back: nobody is given it any more.
  void device_removed(VerbsDevice& device);
  /// Something that next_event() returns later.
  void tell_later(EndpointId endpoint, const decltype(EndpointEvent::what)& what);
  /// Reports `fd` when it is readable. Errors: ENOSPC (user's limit of watches), ENOMEM.
  [[nodiscard]] core::Result<void> watch(int fd, Source source, std::uint32_t device);
  void unwatch(int fd);
};

/// "10.0.0.1:987"
[[nodiscard]] std::string to_string(SocketAddress address);
[[nodiscard]] sockaddr_in to_sockaddr(SocketAddress address);
/// All zero for an address that is not IPv4.
[[nodiscard]] SocketAddress from_sockaddr(const sockaddr* address);

}  // namespace rdmaboot::engine
