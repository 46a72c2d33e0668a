// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which ports are waited for, and whether all of them (or one) are ready. Pure.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/readiness.hpp"
#include "wait-online/path.hpp"

namespace rdmaboot::wait_online {

/// More targets than this are a mistake.
inline constexpr std::size_t kMostTargets = 1024;

/// What one word of the command line or of Targets= names.
struct Target {
  enum class Kind {
    kAll,     ///< every port of every device that is there, and at least one
    kAny,     ///< one port of any device
    kDevice,  ///< every port of one device, or one port of it
    kNetdev,  ///< the ports that a netdev belongs to
    kPci,     ///< every port of the devices of one PCI function
  };
  Kind kind = Kind::kAll;
  std::string name;                        ///< of the device or netdev, or the PCI address
  std::optional<device::PortNumber> port;  ///< kDevice only
  std::string text;                        ///< as it was written
};

/// Parses "all", "any", "DEVICE", "DEVICE:PORT", "netdev=NAME" or "pci=ADDRESS" (with or without
/// the domain). A "\x2d" of systemd-escape(1) counts as the character it stands for. Total.
/// Errors: anything else, named with what was expected.
[[nodiscard]] core::Result<Target> parse_target(std::string_view text);

/// What is waited for.
struct Wanted {
  std::vector<Target> targets;  ///< not empty
  bool one_is_enough = false;   ///< one ready port of any target, not all of all
  device::Demand demand;
  std::vector<std::string> peers;  ///< level path: an answer of one of them is enough
};

/// One port (or a target of which there is no port yet) and how it stands.
struct Line {
  std::string target;                      ///< Target::text
  std::string device;                      ///< empty: no such device
  std::optional<device::PortNumber> port;  ///< none: no such port
  device::Verdict verdict;
  bool wants_path = false;  ///< it has every level below path, and path is wanted
};

struct Evaluation {
  device::Readiness readiness = device::Readiness::kNotYet;
  std::vector<Line> lines;  ///< of all targets, in their order
};

/// Judges everything that is wanted. A target that names nothing that is there is a line that is
/// not ready: it is waited for, never dropped.
/// @param paths level path: what is known of the ways from the ports
[[nodiscard]] Evaluation evaluate(const Wanted& wanted, const device::Snapshot& snapshot,
                                  const device::HostFacts& facts, const Paths& paths = {});

/// A line for a person, without the verdict: "mlx5_0:1", or the target's own text.
[[nodiscard]] std::string subject_of(const Line& line);

}  // namespace rdmaboot::wait_online
