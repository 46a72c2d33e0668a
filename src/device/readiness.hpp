// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What "ready" means for a port, in levels of which each contains the one before: one predicate
// over plain data. "Not yet" is not "broken": the first ends by itself, the second needs somebody.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/device.hpp"

namespace rdmaboot::device {

/// How far a port has to be.
enum class Level : std::uint8_t {
  kDevice,   ///< the kernel has registered the device
  kChardev,  ///< uverbs, rdma_cm and, where the port has one, umad: the nodes exist and open
  kPort,     ///< logical state ACTIVE, physical state LinkUp
  kAddress,  ///< peers can address it: a GID (RoCE), LID and P_Key (InfiniBand), an IP (iWARP)
  kPath,     ///< a peer has answered over it. judge() cannot know, rdma-wait-online(8) asks
};

/// "device", "chardev", "port", "address" or "path".
[[nodiscard]] std::string_view name_of(Level level);

/// One IP address, or all that begin with the same bits.
struct AddressMatch {
  Gid value;                 ///< IPv4 as ::ffff:a.b.c.d, which is also its GID on RoCE
  unsigned prefix_bits = 0;  ///< of the 128 that have to agree; 128 is one address
  std::string text;          ///< as it was written

  /// Parses "192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32". Total.
  /// Errors: anything else; a link-local address, which every port has and which says nothing.
  [[nodiscard]] static core::Result<AddressMatch> parse(std::string_view text);
  /// Whether `address` begins with these bits.
  [[nodiscard]] bool matches(const Gid& address) const;
};

/// What is asked of a port.
struct Demand {
  Level level = Level::kPort;
  std::optional<AddressMatch> address;  ///< from kAddress on: this one, not just any
};

/// What a snapshot does not hold, at the same moment.
struct HostFacts {
  /// Where the connection manager is: there is one node for all devices.
  static constexpr const char* kConnectionManagerNode = "/dev/infiniband/rdma_cm";

  /// Path of a node to the errno of an attempt to open it, 0 when it opened. A node that is not
  /// here does not exist.
  std::map<std::string, int, std::less<>> nodes;
  /// Name of a netdev to its addresses; IPv4 in the form ::ffff:a.b.c.d.
  std::map<std::string, std::vector<Gid>, std::less<>> netdev_addresses;
  /// Devices whose driver has reported a fatal error (IBV_EVENT_DEVICE_FATAL).
  std::set<std::string, std::less<>> fatal_devices;
};

enum class Readiness : std::uint8_t { kReady, kNotYet, kBroken };

/// "ready", "not yet" or "broken".
[[nodiscard]] std::string_view name_of(Readiness readiness);

/// The answer for one port. `missing` says what the lowest level that is not reached lacks, for a
/// person ("port INIT, waiting for a subnet manager"); empty when ready.
struct Verdict {
  Readiness readiness = Readiness::kNotYet;
  std::string missing;
};

/// Judges one port of one device. Total and pure. At kPath the answer is that of kAddress.
/// @param port nullptr: a device that has shown no port yet (ready at the levels kDevice and
/// kChardev only)
/// Broken are: a device with a fatal error, and a port of InfiniBand or Omni-Path whose physical
/// state is Disabled. On Ethernet Disabled is what drivers show while the netdev is down, as it is
/// at every boot before the network is configured.
[[nodiscard]] Verdict judge(const Device& device, const Port* port, const HostFacts& facts,
                            const Demand& demand);

}  // namespace rdmaboot::device
