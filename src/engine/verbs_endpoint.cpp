// SPDX-License-Identifier: BSD-2-Clause
#include "engine/verbs_endpoint.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "engine/verbs_map.hpp"

namespace rdmaboot::engine {

namespace {

/// What is asked for when a device refuses the inline bytes that were wished for: enough for a DONE
/// message of 60 bytes (siw takes 80 at most, rxe 512).
constexpr std::uint32_t kSmallInline = 64;
constexpr std::size_t kPollBatch = 16;

[[nodiscard]] int milliseconds(core::Microseconds time) {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(time).count());
}

[[nodiscard]] sockaddr generic(SocketAddress address) {
  const sockaddr_in ipv4 = to_sockaddr(address);
  sockaddr result{};
  std::memcpy(&result, &ipv4, sizeof result);
  return result;
}

[[nodiscard]] rdma_conn_param connection_parameters(const ConnectParameters& parameters) {
  rdma_conn_param result{};
  result.private_data = parameters.private_data.data();
  result.private_data_len = static_cast<std::uint8_t>(parameters.private_data.size());
  result.flow_control = 1;
  result.retry_count = parameters.retry_count;
  result.rnr_retry_count = parameters.receiver_not_ready_retries;
  return result;
}

/// Fills one work request. @param segments room for its segments @return false if it names no
/// window
[[nodiscard]] bool translate(const SendRequest& from, ibv_send_wr& to, ibv_sge* segments) {
  to = {};
  to.wr_id = from.id;
  to.sg_list = segments;
  to.num_sge = from.segment_count;
  to.send_flags = (from.signaled ? unsigned{IBV_SEND_SIGNALED} : 0U) |
                  (from.inline_data ? unsigned{IBV_SEND_INLINE} : 0U);
  for (unsigned i = 0; i < from.segment_count; ++i) {
    segments[i] = {from.segments[i].address, from.segments[i].length, from.segments[i].local_key};
  }
  switch (from.kind) {
    case WorkKind::kSend:
      to.opcode = IBV_WR_SEND;
      return true;
    case WorkKind::kWrite:
      to.opcode = IBV_WR_RDMA_WRITE;
      to.wr.rdma.remote_addr = from.remote_address;
      to.wr.rdma.rkey = from.remote_key;
      return true;
    case WorkKind::kInvalidate:
      to.opcode = IBV_WR_LOCAL_INV;
      to.invalidate_rkey = from.remote_key;
      return true;
    case WorkKind::kBindWindow:
      if (from.window == nullptr || from.region == nullptr) {
        return false;
      }
      to.opcode = IBV_WR_BIND_MW;
      to.bind_mw.mw = static_cast<VerbsWindow*>(from.window)->get();
      if (to.bind_mw.mw == nullptr) {
        return false;
      }
      to.bind_mw.rkey = from.window->next_key();
      to.bind_mw.bind_info.mr = static_cast<VerbsRegion*>(from.region)->get();
      to.bind_mw.bind_info.addr = from.bind_address;
      to.bind_mw.bind_info.length = from.bind_length;
      to.bind_mw.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_WRITE;
      return to.bind_mw.bind_info.mr != nullptr;
    case WorkKind::kReceive:
      break;
  }
  return false;
}

}  // namespace

VerbsEndpoint::VerbsEndpoint(VerbsCore& core, EndpointId id, CmId cm)
    : core_(core), id_(id), cm_(std::move(cm)) {
  core_.endpoints.emplace(id_, this);
}

VerbsEndpoint::~VerbsEndpoint() {
  core_.endpoints.erase(id_);
  if (cm_->qp != nullptr) {
    const bool talks = may_talk();
    if (!talks || !windows_.empty()) {
      // Nothing is bound or written any more; then the windows, which use the queue pair.
      static_cast<void>(talks ? flush() : reset());
      for (VerbsWindow* window : windows_) {
        window->renew();
      }
    }
    if (talks) {
      rdma_destroy_qp(cm_.get());
    } else {
      device_->park(std::move(cm_), std::move(queue_));
    }
  }
  // The completion queue, then the id, then (if nobody else has it) the device: members backwards.
}

SocketAddress VerbsEndpoint::peer_address() const {
  return from_sockaddr(rdma_get_peer_addr(cm_.get()));
}

core::Result<void> VerbsEndpoint::failed(std::string_view attempt, int error) const {
  return core::fail(attempt, "the connection with " + to_string(peer_address()), error);
}

core::Result<void> VerbsEndpoint::resolve_address(SocketAddress source, SocketAddress destination,
                                                  core::Microseconds timeout) {
  if (source.port != 0) {
    int reuse = 1;
    if (rdma_set_option(cm_.get(), RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &reuse,
                        sizeof reuse) != 0) {
      return core::fail("share the port", to_string(source), errno);
    }
  }
  sockaddr from = generic(source);
  sockaddr to = generic(destination);
  if (rdma_resolve_addr(cm_.get(), &from, &to, milliseconds(timeout)) != 0) {
    return core::fail("resolve", to_string(destination), errno, "from " + to_string(source));
  }
  return {};
}

core::Result<void> VerbsEndpoint::resolve_route(core::Microseconds timeout) {
  if (rdma_resolve_route(cm_.get(), milliseconds(timeout)) != 0) {
    return failed("resolve the route of", errno);
  }
  return {};
}

core::Result<void> VerbsEndpoint::adopt_device() {
  if (device_) {
    return {};
  }
  auto device = core_.device_of(cm_.get());
  if (!device) {
    return tl::make_unexpected(device.error());
  }
  device_ = std::move(*device);
  return {};
}

core::Result<std::uint32_t> VerbsEndpoint::create_queue_pair(const QueueLimits& limits) {
  if (!device_ || cm_->qp != nullptr) {
    return core::fail("create a queue pair for", to_string(peer_address()), EINVAL);
  }
  const DeviceLimits& device = device_->limits();
  const auto refused = [&](int error) {
    return core::fail("create a queue pair of " + std::to_string(limits.send_requests) + " and " +
                          std::to_string(limits.receive_requests) + " requests on",
                      device_->name(), error);
  };
  // Some libraries take a number that is too large for the kernel's signed integers.
  if (limits.completions > device.max_completions ||
      limits.send_requests > device.max_queue_pair_requests ||
      limits.receive_requests > device.max_queue_pair_requests) {
    return refused(EINVAL);
  }
  queue_.reset(
      ibv_create_cq(device_->context(), static_cast<int>(limits.completions), as_context(id_),
                    device_->completions(),
                    static_cast<int>(limits.completion_vector % device.completion_vectors)));
  if (!queue_) {
    return refused(errno);
  }
  ibv_qp_init_attr wanted{};
  wanted.qp_context = as_context(id_);
  wanted.send_cq = queue_.get();
  wanted.recv_cq = queue_.get();
  wanted.qp_type = IBV_QPT_RC;
  wanted.cap.max_send_wr = limits.send_requests;
  wanted.cap.max_recv_wr = limits.receive_requests;
  wanted.cap.max_send_sge = std::min(limits.segments, device.max_segments);
  wanted.cap.max_recv_sge = 1;
  std::uint32_t inline_bytes = limits.inline_bytes;
  for (;;) {
    ibv_qp_init_attr given = wanted;
    given.cap.max_inline_data = inline_bytes;
    if (rdma_create_qp(cm_.get(), device_->protection_domain(), &given) == 0) {
      return given.cap.max_inline_data;
    }
    const int error = errno;
    // EINVAL does not say what was too much, so the wish goes first.
    if (error != EINVAL || inline_bytes == 0) {
      queue_.reset();
      return refused(error);
    }
    inline_bytes = inline_bytes > kSmallInline ? kSmallInline : 0;
  }
}

core::Result<void> VerbsEndpoint::connect(const ConnectParameters& parameters) {
  rdma_conn_param given = connection_parameters(parameters);
  if (rdma_connect(cm_.get(), &given) == 0) {
    return {};
  }
  const int error = errno;
  if (const auto answer = answered_at_once(error)) {
    core_.tell_later(id_, *answer);
    return {};
  }
  return failed("request", error);
}

core::Result<void> VerbsEndpoint::accept(const ConnectParameters& parameters) {
  rdma_conn_param given = connection_parameters(parameters);
  if (rdma_accept(cm_.get(), &given) != 0) {
    return failed("accept", errno);
  }
  established();
  return {};
}

core::Result<void> VerbsEndpoint::reject(std::span<const std::byte> private_data) {
  if (rdma_reject(cm_.get(), private_data.data(), static_cast<std::uint8_t>(private_data.size())) !=
      0) {
    return failed("reject", errno);
  }
  return {};
}

core::Result<void> VerbsEndpoint::notify_established() {
  // EISCONN: it stands. EINVAL: iWARP, where nothing can come before it stands.
  if (rdma_notify(cm_.get(), IBV_EVENT_COMM_EST) != 0 && errno != EISCONN && errno != EINVAL) {
    return failed("establish", errno);
  }
  return {};
}

bool VerbsEndpoint::may_talk() const {
  return device_ == nullptr || !device_->is_infiniband_transport() ||
         device_->port_active(cm_->port_num);
}

core::Result<void> VerbsEndpoint::disconnect() {
  if (!may_talk()) {
    return failed("end", ENETDOWN);
  }
  return rdma_disconnect(cm_.get()) == 0 ? core::Result<void>{} : failed("end", errno);
}

core::Result<void> VerbsEndpoint::flush() {
  return move_queue_pair(IBV_QPS_ERR, "flush the queues of");
}

core::Result<void> VerbsEndpoint::reset() {
  return move_queue_pair(IBV_QPS_RESET, "reset the queues of");
}

core::Result<void> VerbsEndpoint::move_queue_pair(ibv_qp_state state, std::string_view attempt) {
  if (cm_->qp == nullptr) {
    return {};
  }
  ibv_qp_attr attributes{};
  attributes.qp_state = state;
  if (const int error = ibv_modify_qp(cm_->qp, &attributes, IBV_QP_STATE); error != 0) {
    return failed(attempt, error);
  }
  return {};
}

void VerbsEndpoint::established() {
  if (cm_->qp == nullptr || !device_->is_infiniband_transport()) {
    return;
  }
  ibv_qp_attr attributes{};
  attributes.min_rnr_timer = kReceiverNotReadyTimer;
  // A device that cannot is only slower when a peer breaks its promise.
  static_cast<void>(ibv_modify_qp(cm_->qp, &attributes, IBV_QP_MIN_RNR_TIMER));
}

void VerbsEndpoint::device_removed() {
  if (device_) {
    core_.device_removed(*device_);
  }
}

void VerbsEndpoint::disconnected() {
  // Fails if this side was first; the queue pair is in the error state then.
  if (!disconnect()) {
    static_cast<void>(flush());
  }
}

core::Result<void> VerbsEndpoint::post(std::span<const SendRequest> chain) {
  if (chain.empty()) {
    return {};
  }
  if (cm_->qp == nullptr) {
    return failed("send on", EINVAL);
  }
  auto& requests = core_.send_requests;
  auto& segments = core_.segments;
  requests.resize(std::max(requests.size(), chain.size()));
  segments.resize(std::max(segments.size(), chain.size() * kMaxSegments));
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (chain[i].segment_count > kMaxSegments ||
        !translate(chain[i], requests[i], &segments[i * kMaxSegments])) {
      return failed("send on", EINVAL);
    }
    requests[i].next = i + 1 < chain.size() ? &requests[i + 1] : nullptr;
  }
  ibv_send_wr* refused = nullptr;
  const int error = ibv_post_send(cm_->qp, requests.data(), &refused);
  for (const SendRequest& request : chain) {
    if (request.kind == WorkKind::kBindWindow) {
      // Not before: the library takes the current key from the window.
      static_cast<VerbsWindow*>(request.window)->bound_by(*this);
    }
  }
  return error == 0 ? core::Result<void>{} : failed("send on", std::abs(error));
}

core::Result<void> VerbsEndpoint::post(std::span<const ReceiveRequest> chain) {
  if (chain.empty()) {
    return {};
  }
  if (cm_->qp == nullptr) {
    return failed("receive on", EINVAL);
  }
  auto& requests = core_.receive_requests;
  auto& segments = core_.segments;
  requests.resize(std::max(requests.size(), chain.size()));
  segments.resize(std::max(segments.size(), chain.size()));
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const Segment& buffer = chain[i].buffer;
    segments[i] = {buffer.address, buffer.length, buffer.local_key};
    requests[i] = {chain[i].id, i + 1 < chain.size() ? &requests[i + 1] : nullptr, &segments[i], 1};
  }
  ibv_recv_wr* refused = nullptr;
  const int error = ibv_post_recv(cm_->qp, requests.data(), &refused);
  return error == 0 ? core::Result<void>{} : failed("receive on", std::abs(error));
}

unsigned VerbsEndpoint::poll(std::span<Completion> completions) {
  std::array<ibv_wc, kPollBatch> batch;  // NOLINT(*-member-init): written by the library
  std::size_t taken = 0;
  while (queue_ && taken < completions.size()) {
    const auto room = std::min(kPollBatch, completions.size() - taken);
    const int found = ibv_poll_cq(queue_.get(), static_cast<int>(room), batch.data());
    for (int i = 0; i < found; ++i) {
      const ibv_wc& from = batch[static_cast<std::size_t>(i)];
      completions[taken++] = {from.wr_id, work_status(from.status), work_kind(from.opcode),
                              from.status == IBV_WC_SUCCESS ? from.byte_len : 0};
    }
    if (found < static_cast<int>(room)) {
      break;
    }
  }
  return static_cast<unsigned>(taken);
}

core::Result<void> VerbsEndpoint::arm() {
  if (!queue_) {
    return failed("arm", EINVAL);
  }
  const int error = ibv_req_notify_cq(queue_.get(), 0);
  return error == 0 ? core::Result<void>{} : failed("arm", std::abs(error));
}

}  // namespace rdmaboot::engine
