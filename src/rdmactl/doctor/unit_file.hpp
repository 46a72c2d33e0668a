// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a unit file of systemd says, as far as the doctor asks. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rdmaboot::rdmactl::doctor {

/// A unit with its drop-ins.
struct UnitFile {
  std::string path;  ///< of the file that counts
  bool masked = false;
  bool overridden = false;                   ///< it hides one of a lower layer
  std::vector<std::string> after;            ///< After=, Before=: names that it orders on
  std::vector<std::string> needs;            ///< Requires=, Requisite=, BindsTo=
  std::vector<std::string> wants;            ///< Wants=, PartOf=, Upholds=
  std::string user;                          ///< User=; "-" for DynamicUser=yes without one
  std::string exec;                          ///< ExecStart=, the last one
  std::optional<std::uint64_t> memory_lock;  ///< LimitMEMLOCK=, the soft limit, bytes
  bool may_lock = false;                     ///< AmbientCapabilities= has CAP_IPC_LOCK
  bool bounded = false;                      ///< CapabilityBoundingSet= leaves CAP_IPC_LOCK out
};

/// Adds what `text` says to `unit`. Total: any bytes; what is no line of a unit file is ignored.
void parse_unit(std::string_view text, UnitFile& unit);

/// Bytes of a size as systemd writes resource limits: "64M", "8M:16M" (the first, soft one counts),
/// "infinity" (the highest value). Nothing for any other text.
[[nodiscard]] std::optional<std::uint64_t> parse_limit(std::string_view text);

/// Whether a unit of that name has to do with RDMA: rdma.service, rdma-hw.target, openibd.service,
/// iwpmd, opensm, srp_daemon and their like.
[[nodiscard]] bool is_rdma_name(std::string_view unit);

/// "rdma-load-modules@.service" for "rdma-load-modules@rdma.service"; other names as they are.
[[nodiscard]] std::string template_of(std::string_view unit);

}  // namespace rdmaboot::rdmactl::doctor
