// SPDX-License-Identifier: BSD-2-Clause
#include "engine/verbs_map.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rdmaboot::engine {

namespace {

/// Reasons of a REJ (InfiniBand volume 1, 12.6.7.2).
constexpr int kInvalidServiceId = 8;
constexpr int kConsumerDefined = 28;

[[nodiscard]] std::uint32_t positive(int value) {
  return value > 0 ? static_cast<std::uint32_t>(value) : 0;
}

}  // namespace

WorkStatus work_status(ibv_wc_status status) {
  switch (status) {
    case IBV_WC_SUCCESS:
      return WorkStatus::kSuccess;
    case IBV_WC_WR_FLUSH_ERR:
      return WorkStatus::kFlushed;
    case IBV_WC_REM_ACCESS_ERR:
      return WorkStatus::kRemoteAccessError;
    case IBV_WC_REM_INV_REQ_ERR:
    case IBV_WC_REM_OP_ERR:
    case IBV_WC_REM_ABORT_ERR:
    case IBV_WC_REM_INV_RD_REQ_ERR:
      return WorkStatus::kRemoteError;
    case IBV_WC_RETRY_EXC_ERR:
    case IBV_WC_RESP_TIMEOUT_ERR:
      return WorkStatus::kRetryExceeded;
    case IBV_WC_RNR_RETRY_EXC_ERR:
      return WorkStatus::kReceiverNotReady;
    case IBV_WC_MW_BIND_ERR:
      return WorkStatus::kWindowError;
    case IBV_WC_FATAL_ERR:
    case IBV_WC_GENERAL_ERR:
      return WorkStatus::kDeviceError;
    default:
      return WorkStatus::kLocalError;
  }
}

WorkKind work_kind(ibv_wc_opcode opcode) {
  switch (opcode) {
    case IBV_WC_RDMA_WRITE:
      return WorkKind::kWrite;
    case IBV_WC_BIND_MW:
      return WorkKind::kBindWindow;
    case IBV_WC_LOCAL_INV:
      return WorkKind::kInvalidate;
    case IBV_WC_RECV:
    case IBV_WC_RECV_RDMA_WITH_IMM:
      return WorkKind::kReceive;
    default:
      return WorkKind::kSend;
  }
}

unsigned access_flags(Access access, bool relaxed) {
  unsigned flags = 0;
  if (allows(access, Access::kLocalWrite) || allows(access, Access::kRemoteWrite)) {
    flags |= IBV_ACCESS_LOCAL_WRITE;
  }
  if (allows(access, Access::kRemoteWrite)) {
    flags |= IBV_ACCESS_REMOTE_WRITE;
  }
  if (allows(access, Access::kBindWindow)) {
    flags |= IBV_ACCESS_MW_BIND;
  }
  if (relaxed && allows(access, Access::kRelaxedOrdering)) {
    flags |= IBV_ACCESS_RELAXED_ORDERING;
  }
  return flags;
}

DeviceLimits device_limits(const ibv_device_attr& attributes, int completion_vectors) {
  constexpr unsigned kWindows = IBV_DEVICE_MEM_WINDOW_TYPE_2A | IBV_DEVICE_MEM_WINDOW_TYPE_2B;
  DeviceLimits limits;
  limits.max_queue_pair_requests = positive(attributes.max_qp_wr);
  limits.max_completions = positive(attributes.max_cqe);
  limits.max_segments = positive(attributes.max_sge);
  limits.max_region_bytes = attributes.max_mr_size;
  limits.completion_vectors = std::max(1U, positive(completion_vectors));
  limits.windows_type_2 = (attributes.device_cap_flags & kWindows) != 0 && attributes.max_mw > 0;
  return limits;
}

int connect_error(rdma_cm_event_type type, int status) {
  if (type == RDMA_CM_EVENT_CONNECT_ERROR && status == -EINVAL) {
    // siw says so when TCP ended before it had read the whole reply, a refusal for example.
    return ECONNRESET;
  }
  if (status < 0) {
    return -status;
  }
  return type == RDMA_CM_EVENT_UNREACHABLE ? ETIMEDOUT : ECONNREFUSED;
}

std::optional<int> reject_reason(int status, std::size_t private_bytes) {
  if (status >= 0) {
    return status;
  }
  if (status == -ECONNREFUSED) {
    return kInvalidServiceId;
  }
  if (status == -ECONNRESET && private_bytes > 0) {
    return kConsumerDefined;
  }
  return std::nullopt;
}

PrivateData private_data(const void* bytes, std::size_t length) {
  PrivateData data;
  data.length = static_cast<std::uint8_t>(std::min<std::size_t>(length, UINT8_MAX));
  if (bytes == nullptr) {
    data.length = 0;
  }
  if (data.length > 0) {
    std::memcpy(data.bytes.data(), bytes, data.length);
  }
  return data;
}

std::optional<EndpointHappening> endpoint_happening(rdma_cm_event_type type, int status,
                                                    const PrivateData& data) {
  switch (type) {
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
      return event::RouteResolved{};
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
      return event::ConnectFailed{connect_error(type, status)};
    case RDMA_CM_EVENT_REJECTED:
      if (const auto reason = reject_reason(status, data.length)) {
        return event::Rejected{*reason, data};
      }
      return event::ConnectFailed{connect_error(type, status)};
    case RDMA_CM_EVENT_ESTABLISHED:
      return event::Established{data};
    case RDMA_CM_EVENT_DISCONNECTED:
      return event::Disconnected{};
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
      return event::DeviceRemoval{};
    case RDMA_CM_EVENT_ADDR_CHANGE:
      return event::AddressChanged{};
    default:
      // The end of the time-wait, multicast: nothing that anybody waits for.
      return std::nullopt;
  }
}

std::optional<EndpointHappening> answered_at_once(int error) {
  switch (error) {
    case ECONNREFUSED:
      return event::Rejected{kInvalidServiceId, {}};
    case ECONNRESET:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return event::ConnectFailed{error};
    default:
      return std::nullopt;
  }
}

bool is_queue_pair_event(ibv_event_type type) {
  switch (type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED:
    case IBV_EVENT_PATH_MIG:
    case IBV_EVENT_PATH_MIG_ERR:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
      return true;
    default:
      return false;
  }
}

bool is_port_event(ibv_event_type type) {
  switch (type) {
    case IBV_EVENT_PORT_ACTIVE:
    case IBV_EVENT_PORT_ERR:
    case IBV_EVENT_LID_CHANGE:
    case IBV_EVENT_PKEY_CHANGE:
    case IBV_EVENT_SM_CHANGE:
    case IBV_EVENT_CLIENT_REREGISTER:
    case IBV_EVENT_GID_CHANGE:
      return true;
    default:
      return false;
  }
}

std::optional<EndpointHappening> queue_pair_happening(ibv_event_type type) {
  switch (type) {
    case IBV_EVENT_COMM_EST:
      return event::CommunicationEstablished{};
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_PATH_MIG_ERR:
      return event::QueuePairFailed{};
    default:
      return std::nullopt;
  }
}

std::optional<DeviceEvent::Kind> device_happening(ibv_event_type type) {
  switch (type) {
    case IBV_EVENT_PORT_ACTIVE:
      return DeviceEvent::Kind::kPortActive;
    case IBV_EVENT_PORT_ERR:
      return DeviceEvent::Kind::kPortError;
    case IBV_EVENT_GID_CHANGE:
      return DeviceEvent::Kind::kGidChange;
    case IBV_EVENT_DEVICE_FATAL:
      return DeviceEvent::Kind::kFatal;
    default:
      return std::nullopt;
  }
}

}  // namespace rdmaboot::engine
