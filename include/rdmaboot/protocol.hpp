// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which wire protocol an RDMA port speaks.

#include <cstdint>
#include <string_view>

#include "rdmaboot/export.hpp"

namespace rdmaboot::device {

/// What a port carries verbs over.
enum class Protocol : std::uint8_t {
  kUnknown,     ///< nothing that we know, or raw Ethernet frames only (RoCE switched off)
  kInfiniBand,  ///< InfiniBand link and transport
  kRoce,        ///< InfiniBand transport over Ethernet, version 1 or 2
  kIwarp,       ///< RDMA over TCP
  kOpa,         ///< Omni-Path: InfiniBand's verbs over its own link
  kUsnic,       ///< Cisco usNIC: datagrams over UDP
  kEfa,         ///< Amazon EFA: the kernel calls its transport "unspecified"
};

/// The word that ID_RDMA_PROTOCOL and every output of ours uses: "infiniband", "roce", "iwarp",
/// "opa", "usnic", "efa" or "unknown".
[[nodiscard]] RDMABOOT_API std::string_view protocol_name(Protocol protocol);

}  // namespace rdmaboot::device
