// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The field's words as types: what can be read, compared and written, and nothing else. Plain
// values, safe to share between threads. Every parser is total: any bytes give a value or an Error.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rdmaboot/export.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::device {

/// enum rdma_node_type of the kernel (include/rdma/ib_verbs.h); `node_type` in sysfs starts with
/// the number, as in "1: CA".
enum class NodeType : std::uint8_t {
  kOther = 0,  ///< a number that no kernel up to 7 uses
  kCa = 1,     ///< channel adapter: InfiniBand, RoCE, Omni-Path
  kSwitch = 2,
  kRouter = 3,
  kRnic = 4,  ///< iWARP
  kUsnic = 5,
  kUsnicUdp = 6,
  kUnspecified = 7,  ///< EFA is the only user up to kernel 7
};

/// enum ib_port_state of the kernel (IBTA PortState); `state` in sysfs starts with the number.
enum class PortState : std::uint8_t {
  kNop = 0,
  kDown = 1,
  kInit = 2,   ///< link up, waits for a subnet manager
  kArmed = 3,  ///< configured by a subnet manager, not yet carrying data
  kActive = 4,
  kActiveDefer = 5,
};

/// "DOWN", "INIT", … as the kernel spells them.
[[nodiscard]] RDMABOOT_API std::string_view name_of(PortState state);

/// enum ib_port_phys_state of the kernel (IBTA PortPhysicalState); so starts `phys_state` in sysfs.
enum class PhysicalState : std::uint8_t {
  kNop = 0,
  kSleep = 1,
  kPolling = 2,
  kDisabled = 3,
  kTraining = 4,
  kLinkUp = 5,
  kErrorRecovery = 6,
  kPhyTest = 7,
};

/// "LinkUp", "Disabled", … as the kernel spells them.
[[nodiscard]] RDMABOOT_API std::string_view name_of(PhysicalState state);

/// `link_layer` in sysfs. Omni-Path says InfiniBand here, iWARP says Ethernet.
enum class LinkLayer : std::uint8_t { kUnknown = 0, kInfiniBand, kEthernet };

/// "InfiniBand", "Ethernet" or "unknown".
[[nodiscard]] RDMABOOT_API std::string_view name_of(LinkLayer layer);

/// What packets sent from a GID look like.
enum class GidType : std::uint8_t { kUnknown = 0, kInfiniBand, kRoceV1, kRoceV2 };

/// "InfiniBand", "RoCE v1", "RoCE v2" or "unknown".
[[nodiscard]] RDMABOOT_API std::string_view name_of(GidType type);

/// A 64-bit identifier that the maker gave to a device, port or system.
struct RDMABOOT_API Guid {
  std::uint64_t value = 0;  ///< in the host's byte order

  /// Parses "b859:9f03:0005:0a2c" (sysfs) or 16 hexadecimal digits with or without "0x".
  [[nodiscard]] static core::Result<Guid> parse(std::string_view text);
  /// "b859:9f03:0005:0a2c".
  [[nodiscard]] std::string to_string() const;
  /// Drivers show zero for a device without identity, such as an unconfigured virtual function.
  [[nodiscard]] constexpr bool is_zero() const { return value == 0; }
  auto operator<=>(const Guid&) const = default;
};

/// The address of a port: 128 bits, laid out as an IPv6 address.
struct RDMABOOT_API Gid {
  std::array<std::uint8_t, 16> bytes{};  ///< in the order of the wire

  /// Parses the eight groups that sysfs shows, or any other spelling of an IPv6 address
  /// (RFC 4291).
  [[nodiscard]] static core::Result<Gid> parse(std::string_view text);
  /// All eight groups with four digits each, as in sysfs.
  [[nodiscard]] std::string to_string() const;
  /// An entry that is not in use.
  [[nodiscard]] bool is_zero() const;
  /// fe80::/10: made from the hardware address alone.
  [[nodiscard]] bool is_link_local() const;
  /// ::ffff:a.b.c.d: the form that an IPv4 address of the netdev has in a RoCE GID table.
  [[nodiscard]] bool is_ipv4_mapped() const;
  auto operator<=>(const Gid&) const = default;
};

/// A partition and the membership in it.
struct RDMABOOT_API PKey {
  std::uint16_t value = 0;

  /// Parses "0xffff" or "ffff".
  [[nodiscard]] static core::Result<PKey> parse(std::string_view text);
  /// "0xffff".
  [[nodiscard]] std::string to_string() const;
  /// The partition without the membership bit; 0 marks an entry that is not in use.
  [[nodiscard]] constexpr std::uint16_t partition() const { return value & 0x7fffU; }
  /// Full members talk to everyone, limited members to full ones only (IBTA 10.9).
  [[nodiscard]] constexpr bool is_full_member() const { return (value & 0x8000U) != 0; }
  auto operator<=>(const PKey&) const = default;
};

/// The address a subnet manager gave to a port. 16 bits in InfiniBand, up to 32 in Omni-Path.
struct RDMABOOT_API Lid {
  std::uint32_t value = 0;

  /// Parses "0x1a" or "26".
  [[nodiscard]] static core::Result<Lid> parse(std::string_view text);
  /// "0x1a".
  [[nodiscard]] std::string to_string() const;
  /// No subnet manager has been here; always so on RoCE and iWARP.
  [[nodiscard]] constexpr bool is_zero() const { return value == 0; }
  auto operator<=>(const Lid&) const = default;
};

/// Ports are counted from 1.
struct RDMABOOT_API PortNumber {
  std::uint32_t value = 0;

  /// Parses a decimal number of at least 1.
  [[nodiscard]] static core::Result<PortNumber> parse(std::string_view text);
  auto operator<=>(const PortNumber&) const = default;
};

/// How fast a port runs: "100 Gb/sec (4X EDR)".
struct RDMABOOT_API LinkRate {
  std::uint32_t megabits_per_second = 0;
  std::uint32_t lanes = 0;  ///< 1, 2, 4, 8, 12; 0 if not told
  std::string signalling;   ///< "SDR" … "XDR"; empty where the kernel does not say

  /// Parses what the kernel shows in `rate` (rate_show, drivers/infiniband/core/sysfs.c).
  [[nodiscard]] static core::Result<LinkRate> parse(std::string_view text);
  auto operator<=>(const LinkRate&) const = default;
};

/// Parses the number in front of "4: ACTIVE".
[[nodiscard]] RDMABOOT_API core::Result<PortState> parse_port_state(std::string_view text);
/// Parses the number in front of "5: LinkUp".
[[nodiscard]] RDMABOOT_API core::Result<PhysicalState> parse_physical_state(std::string_view text);
/// Parses `gid_attrs/types/N`. "IB/RoCE v1" is told apart by the link layer of the port.
[[nodiscard]] RDMABOOT_API GidType parse_gid_type(std::string_view text, LinkLayer layer);

}  // namespace rdmaboot::device
