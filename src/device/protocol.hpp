// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which protocol each port of a device speaks: a pure decision over what netlink and sysfs say.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/protocol.hpp"
#include "rdmaboot/types.hpp"

namespace rdmaboot::device {

/// Everything that is known about one device when its protocol is decided.
struct ProtocolEvidence {
  /// RDMA_NLDEV_ATTR_DEV_PROTOCOL, which speaks for the first port only. No value: netlink could
  /// not be asked. Empty: it was asked and named none, which is what the kernel does for EFA and
  /// for an Ethernet port with RoCE switched off.
  std::optional<std::string> netlink;
  std::optional<NodeType> node_type;
  std::vector<LinkLayer> link_layers;  ///< by port, from the first one
  std::string driver;                  ///< of the parent device, for example "mlx5_core"; or empty
};

/// The number in front of a sysfs node_type ("4: RNIC\n"); nothing if the text is not of that form.
/// Total.
[[nodiscard]] std::optional<NodeType> parse_node_type(std::string_view text);

/// A number of RDMA_NLDEV_ATTR_DEV_NODE_TYPE; kOther for one that is not known.
[[nodiscard]] NodeType node_type_from_number(unsigned number);

/// A sysfs link_layer ("InfiniBand\n", "Ethernet\n"). kUnknown for another word, which is what a
/// device says that has neither ("Unknown\n"); nothing if the text is not one word. Total.
[[nodiscard]] std::optional<LinkLayer> parse_link_layer(std::string_view text);

/// The protocol of each port in the order of `evidence.link_layers`, or of the device as a whole
/// (one entry) if there are none. Never empty. A port whose link is Ethernet is never kInfiniBand
/// nor kOpa, whatever else is said.
[[nodiscard]] std::vector<Protocol> decide_protocols(const ProtocolEvidence& evidence);

}  // namespace rdmaboot::device
