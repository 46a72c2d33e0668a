// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What may be wrong with a host, one entry a check. Each is a pure function of what was examined;
// docs/doctor/ID.md is its page.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rdmactl/doctor/examined.hpp"

namespace rdmaboot::rdmactl::doctor {

enum class Severity : std::uint8_t {
  kError,    ///< something does not work
  kWarning,  ///< something will fail for some, or at the next boot
  kNotice,   ///< worth knowing
};

/// "error", "warning" or "notice".
[[nodiscard]] std::string_view name_of(Severity severity);

/// One thing that is wrong. Text may hold what a device or a file said: printable() before shown.
struct Finding {
  std::string object;    ///< what it is about: "mlx5_0:1", a unit, a file
  std::string evidence;  ///< what was seen, with where
  std::string remedy;    ///< what to do, a sentence or a command
};

using Findings = std::vector<Finding>;

struct Check {
  std::string_view id;  ///< stable; the name of its page
  Severity severity = Severity::kWarning;
  std::string_view title;  ///< what is wrong when it finds something
  Findings (*run)(const Examined& examined) = nullptr;
};

/// All, the worst first.
[[nodiscard]] std::span<const Check> checks();

// checks_boot.cpp
[[nodiscard]] Findings check_kernel_options(const Examined& examined);
[[nodiscard]] Findings check_modules_missing(const Examined& examined);
[[nodiscard]] Findings check_driver_module(const Examined& examined);
[[nodiscard]] Findings check_module_denied(const Examined& examined);
[[nodiscard]] Findings check_loading_disabled(const Examined& examined);
[[nodiscard]] Findings check_rules_missing(const Examined& examined);
[[nodiscard]] Findings check_rules_overridden(const Examined& examined);
[[nodiscard]] Findings check_initramfs_stale(const Examined& examined);
// checks_units.cpp
[[nodiscard]] Findings check_units_missing(const Examined& examined);
[[nodiscard]] Findings check_units_overridden(const Examined& examined);
[[nodiscard]] Findings check_units_disabled(const Examined& examined);
[[nodiscard]] Findings check_units_failed(const Examined& examined);
[[nodiscard]] Findings check_unit_order(const Examined& examined);
[[nodiscard]] Findings check_two_layers(const Examined& examined);
[[nodiscard]] Findings check_memlock_users(const Examined& examined);
[[nodiscard]] Findings check_memlock_services(const Examined& examined);
// checks_devices.cpp
[[nodiscard]] Findings check_device_nodes(const Examined& examined);
[[nodiscard]] Findings check_port_down(const Examined& examined);
[[nodiscard]] Findings check_gid_table_empty(const Examined& examined);
[[nodiscard]] Findings check_no_address(const Examined& examined);
[[nodiscard]] Findings check_mtu_mismatch(const Examined& examined);
[[nodiscard]] Findings check_port_mapper_silent(const Examined& examined);
[[nodiscard]] Findings check_description_default(const Examined& examined);
[[nodiscard]] Findings check_description_collision(const Examined& examined);
[[nodiscard]] Findings check_name_changes(const Examined& examined);

/// The RDMA MTUs (bytes: 256, 512, ... 4096) that a netdev's MTU may give, from the most careful
/// driver's reckoning to the least; {0, 0} if there is none.
struct MtuRange {
  std::uint32_t least = 0;
  std::uint32_t most = 0;
};
[[nodiscard]] MtuRange rdma_mtu_of(std::uint32_t netdev_mtu);

/// Locked memory below this is too little for a program that registers its buffers (bytes).
inline constexpr std::uint64_t kEnoughMemoryLock = 64ULL << 20U;

}  // namespace rdmaboot::rdmactl::doctor
