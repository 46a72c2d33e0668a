// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl analyze`: what RDMA cost, from the journal, PID 1 and udev. Pure: one model, three
// views.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/clock.hpp"
#include "os/systemd_units.hpp"
#include "rdmactl/module_runs.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// What udev knows of one device. Times of CLOCK_MONOTONIC, as everywhere here.
struct DeviceTimes {
  std::string name;
  std::string protocol;           ///< "roce"; empty while it is not known
  core::Microseconds known{0};    ///< udev handled its uevent
  core::Microseconds chardev{0};  ///< udev handled that of the last of its nodes; 0: none
};

struct TimelineFacts {
  std::vector<os::UnitTimes> units;
  std::vector<ModuleRun> modules;
  std::vector<DeviceTimes> devices;
  core::Microseconds since{0};  ///< what ended before is left out
};

enum class BarKind : std::uint8_t { kDevice, kModule, kUnit };

/// "device", "module" or "unit".
[[nodiscard]] std::string_view name_of(BarKind kind);

/// Something that took time. A device: from its uevent until its nodes are there and the units that
/// it wants are active. A module: its loading. A unit: its start.
struct Bar {
  BarKind kind = BarKind::kUnit;
  std::string name;
  core::Microseconds begin{0};
  core::Microseconds end{0};
  std::string note;            ///< protocol, outcome and list; may be empty
  core::Microseconds mark{0};  ///< a device's nodes; 0: none
};

/// Units are those of ours, and services ordered after rdma-hw.target. Sorted by begin.
[[nodiscard]] std::vector<Bar> bars_of(const TimelineFacts& facts);

/// What took longest first.
[[nodiscard]] std::string blame_text(const std::vector<Bar>& bars, const Terminal& terminal);
/// Sorted as given (docs/schemas/analyze.json).
[[nodiscard]] nlohmann::json bars_json(const std::vector<Bar>& bars);

/// A step of a chain: it was there `at`, and took so long.
struct Step {
  std::string name;
  core::Microseconds at{0};
  std::optional<core::Microseconds> took;  ///< none for what has no begin and end
};

/// What the unit waited for last, what that waited for last, and so on, down to modules and the
/// device. Empty: the unit was never active, or PID 1 does not know it.
[[nodiscard]] std::vector<Step> critical_chain(const TimelineFacts& facts, const std::string& unit);
[[nodiscard]] std::string chain_text(const std::vector<Step>& chain, const Terminal& terminal);

/// An SVG picture: a lane a bar, with names and times as text.
[[nodiscard]] std::string plot_svg(const std::vector<Bar>& bars);

/// A time that a person writes, as microseconds since 1970: "@1700000000", "-30s", "-5min", "-2h",
/// "2026-11-21 13:02:11" (local time).
/// Errors: anything else.
[[nodiscard]] core::Result<core::Microseconds> parse_since(std::string_view text,
                                                           core::Microseconds now);

}  // namespace rdmaboot::rdmactl
