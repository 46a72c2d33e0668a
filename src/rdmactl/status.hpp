// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl status`: a line a port, as networkctl does it for links. Pure.

#include <optional>
#include <string>
#include <vector>

#include "device/readiness.hpp"
#include "rdmaboot/device.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// How one port stands. A device without ports has one of these, without a number.
struct PortStatus {
  const device::Device* device = nullptr;  ///< in the snapshot
  const device::Port* port = nullptr;      ///< in the snapshot; null for a device without ports
  std::optional<device::Level> reached;    ///< the highest level that is reached
  device::Readiness readiness = device::Readiness::kNotYet;  ///< at the level kAddress
  std::string missing;                                       ///< to the level kAddress; printable
};

/// Judges every port of the snapshot, which has to outlive the answer.
[[nodiscard]] std::vector<PortStatus> judge_ports(const device::Snapshot& snapshot,
                                                  const device::HostFacts& facts);

/// The table, or one line that says that there is no RDMA device.
[[nodiscard]] std::string status_text(const std::vector<PortStatus>& ports,
                                      const Terminal& terminal);

/// "100 Gb/s" for 100000 Mb/s, "2.5 Gb/s" for 2500, "10 Mb/s" for 10.
[[nodiscard]] std::string speed_text(std::uint32_t megabits_per_second);

/// "mlx5_0:1", or "mlx5_0" for a device without ports; printable.
[[nodiscard]] std::string name_of(const PortStatus& port);

}  // namespace rdmaboot::rdmactl
