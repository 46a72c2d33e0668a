// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The messages between the kernel's iWARP connection manager and the port mapper (NETLINK_RDMA).
// Numbers of clients, operations and attributes: <rdma/rdma_netlink.h>. Layouts were checked
// against a trace of rdma-core's iwpmd 44.0 on Linux 6.1 (tests/data/iwpm).

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "iwpm/address.hpp"

namespace rdmaboot::iwpm {

/// The connection manager of the kernel, and the one that kernels with ABI 3 had for cxgb4.
inline constexpr std::uint8_t kClientIwcm = 2;
inline constexpr std::uint8_t kClientLegacy = 3;
/// The version of the kernel interface that this program speaks, and the one before HELLO existed.
inline constexpr std::uint16_t kAbiVersion = 4;
inline constexpr std::uint16_t kAbiVersionBeforeHello = 3;
/// How the port mapper calls itself; the kernel checks it.
inline constexpr std::string_view kLibraryName = "iWarpPortMapperUser";
/// Longest text attribute that is taken (bytes). The kernel sends 16 and 32.
inline constexpr std::size_t kTextLimit = 64;

/// Codes of HANDLE_ERR and of the error attribute of answers, as the kernel's IWPM_* names.
enum class ErrorCode : std::uint16_t {
  kNone = 0,
  kInvalidMessage = 10,
  kCreateMapping = 11,
  kDuplicateMapping = 12,
  kUnknownMapping = 13,
  kClientDeviceInfo = 14,
  kUserLibraryInfo = 15,
  kRemoteQueryReject = 16,
  kVersionMismatch = 17,
};

// What the kernel says.
struct RegisterPid {
  std::string interface;
  std::string device;
  std::string library;
};
struct AddMapping {
  Address local;
  std::uint32_t flags = 0;  ///< IWPM_FLAGS_*; 0 where the kernel (ABI 3) does not send any
};
struct QueryMapping {
  Address local;
  Address remote;
  std::uint32_t flags = 0;
};
struct RemoveMapping {
  Address local;
};
struct MapInfo {
  Address local;
  Address mapped;
  std::uint32_t flags = 0;
};
struct MapInfoCount {
  std::uint32_t sent = 0;
};
struct Hello {
  std::uint16_t version = 0;
};
/// NLMSG_DONE (the trailer of every answer) or NLMSG_ERROR.
struct Finished {
  bool is_error = false;   ///< NLMSG_ERROR with EINVAL: nobody serves this message
  bool is_busy = false;    ///< NLMSG_ERROR with another number (EBUSY: an earlier answer of the
                           ///< kernel has not found room yet): to be asked again
  bool is_failed = false;  ///< there is an error number, in either of them
};
/// An operation that the kernel does not send, or one with wrong attributes.
struct Malformed {};

using KernelBody = std::variant<Malformed, RegisterPid, AddMapping, QueryMapping, RemoveMapping,
                                MapInfo, MapInfoCount, Hello, Finished>;

struct KernelMessage {
  std::uint8_t client = 0;     ///< 0 for Finished
  std::uint32_t sequence = 0;  ///< nlmsg_seq; answers carry it in their SEQ attribute
  KernelBody body;
};

/// Takes the next message off the front of `datagram`. Total: nothing at the end, or where the rest
/// is not a whole message (`datagram` is empty afterwards in both cases).
[[nodiscard]] std::optional<KernelMessage> next_message(std::span<const std::byte>& datagram);

/// A message to the kernel. Built in place; the largest has 560 bytes.
class NetlinkBytes {
 public:
  [[nodiscard]] std::span<const std::byte> view() const { return std::span(bytes_).first(size_); }

 private:
  friend class NetlinkWriter;
  static constexpr std::size_t kLargest = 576;
  alignas(8) std::array<std::byte, kLargest> bytes_{};
  std::size_t size_ = 0;
};

/// What all messages to the kernel have in their header. All are flagged NLM_F_REQUEST.
struct Outgoing {
  std::uint8_t client = kClientIwcm;
  std::uint32_t sequence = 0;  ///< our own
  std::uint32_t port_id = 0;   ///< our netlink address
};

[[nodiscard]] NetlinkBytes encode_hello(const Outgoing& header);
/// "I am here, tell me what you still use."
[[nodiscard]] NetlinkBytes encode_mapinfo_request(const Outgoing& header, std::uint16_t version);
/// @param echoed nlmsg_seq of the kernel's message, here and below
[[nodiscard]] NetlinkBytes encode_register_answer(const Outgoing& header, std::uint32_t echoed,
                                                  std::string_view device, std::uint16_t version);
[[nodiscard]] NetlinkBytes encode_add_answer(const Outgoing& header, std::uint32_t echoed,
                                             const Address& local, const Address& mapped);

/// Both ends of a connection, unmapped and mapped.
struct Connection {
  Address local;
  Address remote;
  Address mapped_local;
  Address mapped_remote;
};
[[nodiscard]] NetlinkBytes encode_query_answer(const Outgoing& header, std::uint32_t echoed,
                                               const Connection& connection, ErrorCode error);
/// Tells the passive side's kernel which peer stands behind the mapped address.
[[nodiscard]] NetlinkBytes encode_remote_info(const Outgoing& header, const Connection& connection);
[[nodiscard]] NetlinkBytes encode_error(const Outgoing& header, std::uint32_t echoed,
                                        ErrorCode error);
[[nodiscard]] NetlinkBytes encode_mapinfo_count_answer(const Outgoing& header, std::uint32_t echoed,
                                                       std::uint32_t sent, std::uint32_t taken);

}  // namespace rdmaboot::iwpm
