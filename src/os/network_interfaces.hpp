// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The network interfaces of this machine, by what an admin names them with.

#include <cstdint>
#include <string>
#include <vector>

#include "os/sysfs.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// One network interface.
struct NetworkInterface {
  std::string name;
  std::uint32_t index = 0;  ///< ifindex, never used twice in one network namespace before it wraps
  /// Hardware address in lower case ("52:54:00:00:00:01"): the permanent one where the hardware has
  /// one. Empty for an interface that took over another one's (a bond, a VLAN), so that an address
  /// names the adapter and not what is stacked upon it.
  std::string address;
  std::string path;  ///< ID_PATH of udev ("pci-0000:03:00.0"); empty if it has none
};

/// Reads all interfaces of the caller's network namespace, by index. One that goes meanwhile is
/// left out. Of a recorded tree the permanent addresses and ID_PATH are not known.
/// @param with_paths ask udev's database for ID_PATH
/// Errors: as Directory::entries(); a tree without /sys/class/net gives an empty list.
[[nodiscard]] core::Result<std::vector<NetworkInterface>> network_interfaces(const Tree& tree,
                                                                             bool with_paths);

}  // namespace rdmaboot::os
