// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the verbs and the connection manager say, in the words of fabric.hpp. Pure.

#include <cstdint>
#include <optional>
#include <span>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "engine/fabric.hpp"

namespace rdmaboot::engine {

/// Total: a status that this version of the library does not know is a local error.
[[nodiscard]] WorkStatus work_status(ibv_wc_status status);

/// What has completed; kSend for an opcode that is never asked for.
[[nodiscard]] WorkKind work_kind(ibv_wc_opcode opcode);

/// Sum of IBV_ACCESS_* flags. @param relaxed whether the device takes IBV_ACCESS_RELAXED_ORDERING
[[nodiscard]] unsigned access_flags(Access access, bool relaxed);

/// What ibv_query_device told. windows_type_2 is what the device claims; whether it is true shows
/// when one is made.
[[nodiscard]] DeviceLimits device_limits(const ibv_device_attr& attributes, int completion_vectors);

/// errno for a status of a CM event that has failed: a negative errno as it is, ETIMEDOUT for an
/// UNREACHABLE without one, ECONNREFUSED for anything else.
[[nodiscard]] int connect_error(rdma_cm_event_type type, int status);

/// The reason of a reject, as the InfiniBand CM counts them. iWARP has no reasons: its CM says
/// -ECONNRESET when the peer's consumer refused and sent data (28) and -ECONNREFUSED when nobody
/// listens (8); without data -ECONNRESET is a peer that went away, which is no reject.
[[nodiscard]] std::optional<int> reject_reason(int status, std::size_t private_bytes);

/// At most as many bytes as there is room for.
[[nodiscard]] PrivateData private_data(const void* bytes, std::size_t length);

/// What an event of the connection manager means for its endpoint; nothing if it means nothing.
/// ADDR_RESOLVED and CONNECT_REQUEST are more than a translation and are not for this function.
using EndpointHappening = decltype(EndpointEvent::what);
[[nodiscard]] std::optional<EndpointHappening> endpoint_happening(rdma_cm_event_type type,
                                                                  int status,
                                                                  const PrivateData& data);

/// What an asynchronous event of a queue pair means for its endpoint; nothing if nothing, or if it
/// is not of a queue pair.
[[nodiscard]] std::optional<EndpointHappening> queue_pair_happening(ibv_event_type type);

/// What an asynchronous event of a port or device means; nothing if nothing.
[[nodiscard]] std::optional<DeviceEvent::Kind> device_happening(ibv_event_type type);

/// True if event.element of such an event is a queue pair (false: CQ, SRQ, port or device).
[[nodiscard]] bool is_queue_pair_event(ibv_event_type type);
/// True if event.element of such an event is a port number.
[[nodiscard]] bool is_port_event(ibv_event_type type);

/// Queue pairs answer "not ready" with this delay: code 12 is 0.64 ms (InfiniBand volume 1, table
/// 45). The CM sets 0, which is 655 ms, the longest there is.
inline constexpr std::uint8_t kReceiverNotReadyTimer = 12;

/// The key of the next bind: the low 8 bits count up, the others name the window.
[[nodiscard]] constexpr std::uint32_t next_window_key(std::uint32_t key) {
  return (key & ~0xFFU) | ((key + 1) & 0xFFU);
}

}  // namespace rdmaboot::engine
