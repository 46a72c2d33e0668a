// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What no file of a machine says, only its kernel and its daemons while it runs. A snapshot carries
// it as one JSON file.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmaboot/device.hpp"

namespace rdmaboot::rdmactl::doctor {

/// Where a snapshot has it, from its root.
inline constexpr const char* kLiveFile = "/rdmactl-doctor.json";
/// Longest text of it (bytes), and most entries of each of its tables.
inline constexpr std::size_t kLiveLimit = 4U << 20U;
inline constexpr std::size_t kLiveEntries = 16384;

struct LiveFacts {
  /// False for a tree that was saved by other means: then nothing below is known, and a check that
  /// goes by it says nothing.
  bool known = false;
  std::map<std::string, std::vector<device::Gid>, std::less<>> addresses;  ///< by netdev
  std::map<std::string, int, std::less<>> nodes;  ///< path to errno of opening it, 0: it opened
  std::map<std::string, std::uint32_t, std::less<>> active_mtu;          ///< "mlx5_0:1" to bytes
  std::map<std::string, std::vector<std::string>, std::less<>> netdevs;  ///< by "siw0:1"
  std::map<std::string, std::string, std::less<>> unit_states;           ///< unit to ActiveState
  std::map<std::string, std::string, std::less<>> next_names;  ///< device to its next name
  std::optional<std::string> port_mapper;  ///< empty: it answers; else why not. Nothing: not asked
};

[[nodiscard]] nlohmann::json live_json(const LiveFacts& facts);

/// Total: any bytes. Errors: what is not what live_json() writes, or more than the limits.
[[nodiscard]] core::Result<LiveFacts> parse_live(std::string_view text);

/// Asks this machine. Blocks for a few seconds at most. What it may not ask or gets no answer to
/// goes to `notes` and is missing in the answer.
[[nodiscard]] LiveFacts read_live(const device::Snapshot& devices, std::vector<core::Error>& notes);

/// "mlx5_0:1".
[[nodiscard]] std::string port_name(const device::Device& device, const device::Port& port);

}  // namespace rdmaboot::rdmactl::doctor
