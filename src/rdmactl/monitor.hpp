// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl monitor`: what happens, a line an event. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/clock.hpp"
#include "os/verbs_events.hpp"
#include "rdmaboot/monitor.hpp"
#include "rdmactl/status.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// Who told of an event.
enum class Source : std::uint8_t {
  kUdev,     ///< a device, a node or a netdev came, went or changed; its rules have run
  kNetlink,  ///< RDMA netlink: devices or their netdevs changed (kernels from 6.12)
  kVerbs,    ///< the device itself
  kReady,    ///< a port's readiness is another
};

/// "udev", "netlink", "verbs" or "ready".
[[nodiscard]] std::string_view name_of(Source source);

struct Event {
  Source source = Source::kUdev;
  std::string object;  ///< "mlx5_0", "mlx5_0:1", "uverbs0"; empty with kNetlink. Printable.
  std::string what;    ///< one or two words: "added", "port active", "ready"
  std::string detail;  ///< printable; may be empty
  Colour colour = Colour::kNone;
};

/// "Nov 21 13:02:11  udev     mlx5_0  added  infiniband"
[[nodiscard]] std::string event_line(const Event& event, core::Microseconds realtime,
                                     const Terminal& terminal);

/// One object on one line (docs/schemas/monitor.json).
[[nodiscard]] nlohmann::json event_json(const Event& event, core::Microseconds realtime);

/// What udev told. Nothing for a network device that belongs to no port.
/// @param netdevs names of those that do
[[nodiscard]] std::optional<Event> event_of(const device::Change& change,
                                            const std::vector<std::string>& netdevs);

/// What a device told.
[[nodiscard]] Event event_of(const std::string& device, os::VerbsEvent event);

/// How one port stands, without pointers into a snapshot.
struct Standing {
  std::string port;   ///< "mlx5_0:1"
  std::string level;  ///< the highest that is reached; "none"
  device::Readiness readiness = device::Readiness::kNotYet;
  std::string missing;
  bool operator==(const Standing&) const = default;
};

[[nodiscard]] std::vector<Standing> standings(const std::vector<PortStatus>& ports);

/// An event for each port that stands differently, is new, or is gone.
[[nodiscard]] std::vector<Event> differences(const std::vector<Standing>& before,
                                             const std::vector<Standing>& now);

}  // namespace rdmaboot::rdmactl
