// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What rdma_id says about a device: a pure function from facts to udev properties.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/protocol.hpp"

namespace rdmaboot::udev {

/// What sysfs and netlink told about one device.
struct IdFacts {
  device::ProtocolEvidence evidence;
  bool has_parent_device = false;  ///< hardware; soft-RoCE and soft-iWARP have none
  bool has_parent_netdev = false;  ///< the attribute "parent", which only soft-RoCE has
  std::string hca_type;            ///< as in sysfs, empty if the driver has no such attribute
  std::string board_id;            ///< likewise
};

/// A udev property.
using Property = std::pair<std::string, std::string>;

/// Longest value that is given to udev (bytes).
inline constexpr std::size_t kPropertyValueLimit = 128;

/// `text` with only those ASCII characters that udev itself lets stand in names (letters, digits
/// and
/// #+-.:=@_/); each other byte becomes '_'. Space at both ends is dropped, the rest is cut at
/// kPropertyValueLimit.
[[nodiscard]] std::string property_value(std::string_view text);

/// The properties of a device, each key once:
/// - ID_RDMA_INFINIBAND, _ROCE, _IWARP, _OPA, _USNIC, _EFA = 1 for each protocol a port speaks;
/// - ID_RDMA_PROTOCOL: their names by port, separated by commas, or "unknown";
/// - ID_RDMA_DRIVER: the parent's kernel driver; ID_RDMA_BOARD_ID: the vendor's board;
/// - ID_VENDOR, ID_MODEL: from the driver, or what a software device is.
[[nodiscard]] std::vector<Property> id_properties(const IdFacts& facts);

/// The lines that IMPORT{program} reads.
[[nodiscard]] std::string format_properties(const std::vector<Property>& properties);

}  // namespace rdmaboot::udev
