// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Whether udev, as it is configured here, tells systemd about RDMA devices.

#include <string>

namespace rdmaboot::os {

/// Whether RDMA devices become units of systemd: udevd runs, and the rule that tags them
/// (90-rdma-ulp-modules.rules) is in effect. Without it (an initrd that did not take it, an admin's
/// mask) udev leaves no trace of a device that it has finished with, and no unit ever comes:
/// waiting for either would be in vain.
/// @param root prefix of another tree, "" is this machine
[[nodiscard]] bool devices_become_units(const std::string& root);

}  // namespace rdmaboot::os
