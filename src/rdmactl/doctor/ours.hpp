// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What this package installs, and which modules and lists belong to what. A unit test holds the
// names to the files of the repository.

#include <array>
#include <string_view>

namespace rdmaboot::rdmactl::doctor {

inline constexpr auto kRules = std::to_array<std::string_view>(
    {"60-rdma-ndd.rules", "60-rdma-persistent-naming.rules", "75-rdma-description.rules",
     "90-iwpmd.rules", "90-rdma-hw-modules.rules", "90-rdma-link.rules",
     "90-rdma-ulp-modules.rules", "90-rdma-umad.rules"});
/// That one may be masked or copied: it is how an admin chooses names
/// (docs/guides/device-names.md).
inline constexpr std::string_view kNamingRules = "60-rdma-persistent-naming.rules";
/// A text that is in ours and not in rdma-core's file of the same name.
inline constexpr std::string_view kDescriptionRules = "75-rdma-description.rules";
inline constexpr std::string_view kDescriptionMark = "rdma_id";

inline constexpr auto kUnits = std::to_array<std::string_view>(
    {"iwpmd.service", "rdma-coldplug.service", "rdma-devices.target", "rdma-hw.path",
     "rdma-hw.target", "rdma-link.path", "rdma-link.service", "rdma-link@.service",
     "rdma-load-modules@.service", "rdma-ndd.service", "rdma-online.target",
     "rdma-wait-online.service", "rdma-wait-online@.service", "rdma.service"});
/// Those that are of use only if they are enabled (WantedBy=sysinit.target).
inline constexpr auto kEnabledUnits =
    std::to_array<std::string_view>({"rdma-hw.path", "rdma-coldplug.service", "rdma-link.path"});
inline constexpr std::string_view kLoaderUnit = "rdma-load-modules@.service";
inline constexpr std::string_view kLoaderMark = "rdma-load-modules";

/// Without these nothing works that uses verbs.
inline constexpr auto kCoreModules =
    std::to_array<std::string_view>({"ib_core", "ib_uverbs", "rdma_cm", "rdma_ucm"});

/// An option of the kernel, and what it is for.
struct KernelOption {
  std::string_view name;
  std::string_view purpose;
};
/// DISTROS.md says why.
inline constexpr auto kKernelOptions = std::to_array<KernelOption>(
    {{"CONFIG_INFINIBAND", "RDMA devices at all (ib_core)"},
     {"CONFIG_INFINIBAND_USER_ACCESS", "verbs and connections from programs (ib_uverbs, rdma_ucm)"},
     {"CONFIG_INFINIBAND_ADDR_TRANS", "connections by IP address (rdma_cm)"},
     {"CONFIG_DEVTMPFS", "the nodes that rdma-hw.path watches"},
     {"CONFIG_INOTIFY_USER", "systemd's watch for the first device"}});

}  // namespace rdmaboot::rdmactl::doctor
