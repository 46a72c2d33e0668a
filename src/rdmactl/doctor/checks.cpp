// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/checks.hpp"

#include <algorithm>
#include <array>

namespace rdmaboot::rdmactl::doctor {
namespace {

using enum Severity;

constexpr auto kChecks = std::to_array<Check>({
    {"kernel-options", kError, "The kernel was built without something RDMA needs",
     check_kernel_options},
    {"modules-missing", kError, "The running kernel does not have a module that RDMA needs",
     check_modules_missing},
    {"rules-missing", kError, "udev rules are not installed", check_rules_missing},
    {"units-missing", kError, "systemd units are not installed", check_units_missing},
    {"units-failed", kError, "A unit of the boot layer has failed", check_units_failed},
    {"two-layers", kError, "Two boot layers are installed", check_two_layers},
    {"device-nodes", kError, "Programs cannot open a device", check_device_nodes},
    {"gid-table-empty", kError, "An active port has no GID", check_gid_table_empty},
    {"port-mapper-silent", kError, "The iWARP port mapper does not answer",
     check_port_mapper_silent},
    {"driver-module", kWarning, "An adapter's RDMA module is not in this kernel",
     check_driver_module},
    {"module-denied", kWarning, "A module that RDMA needs is on a denylist", check_module_denied},
    {"loading-disabled", kWarning, "Loading of modules is switched off", check_loading_disabled},
    {"rules-overridden", kWarning, "udev rules are masked or overridden", check_rules_overridden},
    {"units-overridden", kWarning, "systemd units are masked or overridden",
     check_units_overridden},
    {"units-disabled", kWarning, "A unit is not started at boot", check_units_disabled},
    {"unit-order", kWarning, "A unit waits for a name that does not exist", check_unit_order},
    {"port-down", kWarning, "A port is not active", check_port_down},
    {"no-address", kWarning, "A port has no address that others can reach", check_no_address},
    {"mtu-mismatch", kWarning, "RDMA and network interface disagree about the MTU",
     check_mtu_mismatch},
    {"memlock-users", kWarning, "Users may lock too little memory", check_memlock_users},
    {"memlock-services", kWarning, "A service may lock too little memory", check_memlock_services},
    {"initramfs-stale", kWarning, "The initramfs is older than the configuration",
     check_initramfs_stale},
    {"name-changes", kWarning, "A device will have another name after the next boot",
     check_name_changes},
    {"description-collision", kWarning, "Two devices have the same node description",
     check_description_collision},
    {"description-default", kNotice, "A node description does not name this host",
     check_description_default},
});
static_assert(std::is_sorted(kChecks.begin(), kChecks.end(), [](const Check& a, const Check& b) {
  return a.severity < b.severity;
}));

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case kError:
      return "error";
    case kWarning:
      return "warning";
    case kNotice:
      break;
  }
  return "notice";
}

std::span<const Check> checks() {
  return kChecks;
}

}  // namespace rdmaboot::rdmactl::doctor
