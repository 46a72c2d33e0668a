// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell of rdma_id: gathers what sysfs and netlink say about one device.

#include <chrono>
#include <optional>
#include <span>
#include <string>

#include "os/rdma_netlink.hpp"
#include "udev/id_properties.hpp"

namespace rdmaboot::udev {

/// A udev worker waits for us: netlink gets at most this long, then sysfs has to do.
inline constexpr std::chrono::milliseconds kNetlinkBudget{200};

/// Which device, in which tree.
struct IdRequest {
  std::string root;    ///< prefix of /sys; empty for the running system
  std::string device;  ///< a name ("mlx5_0") or a DEVPATH ("/devices/.../infiniband/mlx5_0")
};

/// Reads `rdma_id [--root=DIR] DEVICE`; without DEVICE the DEVPATH that udev puts into the
/// environment is taken. Errors: EINVAL with the usage.
[[nodiscard]] core::Result<IdRequest> parse_id_arguments(std::span<const char* const> arguments,
                                                         const char* devpath);

/// What the kernel says of one device over netlink: nothing if netlink cannot be asked or does not
/// know the device (sysfs then decides alone). Errors: EBADMSG if the answer is malformed.
[[nodiscard]] core::Result<std::optional<os::NetlinkDevice>> ask_netlink(
    const std::string& name, core::Result<std::unique_ptr<os::NetlinkChannel>> channel,
    const core::Clock& clock);

/// Everything rdma_id knows about the device. `netlink` as ask_netlink() gave it.
/// Errors: ENOENT if the device is gone; EBADMSG if an attribute is malformed.
[[nodiscard]] core::Result<IdFacts> gather_facts(const IdRequest& request,
                                                 const std::optional<os::NetlinkDevice>& netlink);

/// The whole program: the lines for standard output. Nothing is said of a device unless all is
/// well.
[[nodiscard]] core::Result<std::string> identify(const IdRequest& request);

}  // namespace rdmaboot::udev
