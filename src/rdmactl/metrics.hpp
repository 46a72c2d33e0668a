// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl metrics`: what status shows, as Prometheus' text format for node_exporter's textfile
// collector. Pure.
//
// Names begin with rdma_boot_, not with node_: node_exporter's own infiniband collector has
// node_infiniband_*, and a family that two sources give makes the whole scrape fail.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmactl/device_details.hpp"
#include "rdmactl/module_runs.hpp"
#include "rdmactl/status.hpp"

namespace rdmaboot::rdmactl {

struct MetricsFacts {
  const device::Snapshot* snapshot = nullptr;
  std::vector<PortStatus> ports;                             ///< judge_ports() of that snapshot
  std::map<std::string, std::vector<PortCounter>> counters;  ///< by device
  std::vector<ModuleRun> modules;                            ///< the last run of each
  bool daemons_asked = false;            ///< false: nothing is said of the mapper and the responder
  std::optional<nlohmann::json> mapper;  ///< what it answered
  std::optional<nlohmann::json> responder;  ///< what it answered, of its engine
};

/// The families, each with HELP and TYPE, sorted as they are in the source; label values are made
/// printable and escaped.
[[nodiscard]] std::string metrics_text(const MetricsFacts& facts);

}  // namespace rdmaboot::rdmactl
