// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What libibverbs knows beyond sysfs and netlink: MTUs, and a GID table in one call.
//
// The library is opened at run time, not linked. A host that boots must be able to see its devices
// when the verbs libraries are not installed (containers, initrds, minimal images), and who links
// librdmaboot to list devices must not load every hardware provider for it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Most GID entries that are taken from one device; a larger table is read from sysfs instead.
inline constexpr std::size_t kVerbsGidLimit = 65536;

struct VerbsPort {
  std::uint32_t number = 0;
  std::optional<std::uint32_t> active_mtu;  ///< bytes
  std::optional<std::uint32_t> max_mtu;     ///< bytes
  std::size_t gid_table_length = 0;
};

/// enum ibv_gid_type of <infiniband/verbs.h>. A value of a later library may be none of these.
enum class VerbsGidType : std::uint32_t { kInfiniBand = 0, kRoceV1 = 1, kRoceV2 = 2 };

struct VerbsGid {
  std::uint32_t port = 0;
  std::uint32_t index = 0;
  std::array<std::uint8_t, 16> bytes{};
  VerbsGidType type = VerbsGidType::kInfiniBand;
  std::string netdev;  ///< name; empty if none, or not in this network namespace
};

struct VerbsDevice {
  std::string name;
  std::vector<VerbsPort> ports;
  /// Entries in use, of all ports. No value: the library is too old, or the table was not asked
  /// for.
  std::optional<std::vector<VerbsGid>> gids;
};

/// What was found out. A device that could not be opened is missing, with an Error instead.
struct VerbsFacts {
  std::vector<VerbsDevice> devices;
  std::vector<core::Error> errors;
};

/// A device to ask about, with the ports it has.
struct VerbsQuestion {
  std::string device;
  std::vector<std::uint32_t> ports;
};

/// Opens each device in turn and closes it again. Loads libibverbs.so.1 at the first call and keeps
/// it, because providers do not survive being unloaded. May be called from several threads.
/// No question, no library loaded.
[[nodiscard]] VerbsFacts query_verbs(const std::vector<VerbsQuestion>& questions, bool gids);

}  // namespace rdmaboot::os
