// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell of rdma_rename: reads what sysfs and netlink say about one device, has the policy
// choose its name, and asks the kernel to use that.

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "core/clock.hpp"
#include "os/rdma_netlink.hpp"
#include "os/sysfs.hpp"
#include "udev/rename_policy.hpp"

namespace rdmaboot::udev {

/// How long each answer of the kernel may take. Longer than rdma_id's: nothing can stand in for it.
inline constexpr std::chrono::milliseconds kRenameBudget{2000};

/// What the command line says.
struct RenameRequest {
  std::string root;      ///< prefix of /sys; empty for the running system
  bool dry_run = false;  ///< choose, but change nothing; always so with a root
  bool verbose = false;  ///< say also why a device is left alone
  bool help = false;     ///< nothing else counts then
  std::string device;    ///< its name now
  NamePolicy policy = NamePolicy::kKernel;
  std::string fixed_name;  ///< of NAME_FIXED, checked
};

/// What was done.
struct RenameOutcome {
  std::string name;      ///< that the device has (or would have) now
  bool changed = false;  ///< it is not the one it had
  std::string reason;    ///< why it was left alone; empty if the policy chose the name
};

/// For --help.
[[nodiscard]] std::string rename_usage();

/// Reads `rdma_rename [OPTIONS] DEVICE POLICY [NAME]`. Errors: EINVAL with the usage; as
/// check_device_name() for NAME.
[[nodiscard]] core::Result<RenameRequest> parse_rename_arguments(
    std::span<const char* const> arguments);

/// What sysfs says about a device, in a form that the policy decides on. An attribute that is not
/// there or makes no sense is a fact that is missing, not an error.
/// @param root prefix of /sys, the one `tree` was opened with
/// @param netlink the same device, or nothing where netlink is not asked
/// Errors: ENOENT if the device is gone; EBADMSG if what tells its protocol makes no sense.
[[nodiscard]] core::Result<NameFacts> gather_name_facts(
    const os::Tree& tree, const std::string& root, const std::string& device,
    const std::optional<os::NetlinkDevice>& netlink);

/// The whole program. @param channel to the kernel; not used with a root
/// Errors: ENODEV if the device is gone, EEXIST if the chosen name is another device's, otherwise
/// as gather_name_facts(), choose_name() and RdmaNetlink::rename().
[[nodiscard]] core::Result<RenameOutcome> rename_device(
    const RenameRequest& request, core::Result<std::unique_ptr<os::NetlinkChannel>> channel,
    const core::Clock& clock);

}  // namespace rdmaboot::udev
