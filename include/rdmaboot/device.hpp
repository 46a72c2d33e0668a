// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What RDMA devices this machine has (or a recorded one had), as one snapshot of plain data.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/export.hpp"
#include "rdmaboot/protocol.hpp"
#include "rdmaboot/result.hpp"
#include "rdmaboot/types.hpp"

namespace rdmaboot::device {

/// A network device that belongs to a port.
struct Netdev {
  std::string name;
  std::optional<std::uint32_t> index;  ///< ifindex
  auto operator<=>(const Netdev&) const = default;
};

/// One entry of a GID table that is in use.
struct GidEntry {
  std::uint32_t index = 0;  ///< place in the table; it moves when links flap, the value stays
  Gid gid;
  GidType type = GidType::kUnknown;
  std::string netdev;  ///< name; empty on InfiniBand, or if it is in another network namespace
};

/// One entry of a P_Key table that is in use.
struct PKeyEntry {
  std::uint32_t index = 0;
  PKey pkey;
};

/// One port. An empty optional is something that nobody could tell, which is not an error.
struct Port {
  PortNumber number;
  Protocol protocol = Protocol::kUnknown;
  LinkLayer link_layer = LinkLayer::kUnknown;
  std::optional<PortState> state;
  std::optional<PhysicalState> physical_state;
  std::optional<LinkRate> rate;
  std::optional<Lid> lid;
  std::optional<std::uint8_t> lid_mask;  ///< LMC: 2^lid_mask consecutive LIDs belong to the port
  std::optional<Lid> sm_lid;             ///< of the subnet manager
  std::optional<std::uint32_t> capabilities;  ///< CapabilityMask (IBTA 14.2.5.6)
  std::optional<std::uint32_t> active_mtu;    ///< bytes; verbs only
  std::optional<std::uint32_t> max_mtu;       ///< bytes; verbs only
  std::vector<GidEntry> gids;                 ///< by index; entries in use only
  std::vector<PKeyEntry> pkeys;               ///< by index; entries in use only
  std::vector<Netdev> netdevs;                ///< by name
};

/// What a node below /dev is for.
enum class CharacterDeviceKind : std::uint8_t {
  kUverbs,  ///< verbs from user space
  kUmad,    ///< management datagrams of one port
  kIssm,    ///< the "I am a subnet manager" bit of one port
};

/// A node that the kernel made for a device. Its presence here says that the kernel announced it,
/// not that udev has finished with it.
struct CharacterDevice {
  CharacterDeviceKind kind = CharacterDeviceKind::kUverbs;
  std::string name;                ///< "uverbs0"
  std::string node;                ///< "/dev/infiniband/uverbs0", where the kernel puts it
  std::optional<PortNumber> port;  ///< umad and issm
  std::uint32_t major = 0;         ///< 0 if nobody could tell
  std::uint32_t minor = 0;
};

/// One RDMA device. Text is as the kernel gave it, without the line's end; it may hold control
/// characters (node_description is written by whoever may), so make it printable before it is
/// shown.
struct Device {
  std::string name;                    ///< may change while the machine runs
  std::optional<std::uint32_t> index;  ///< never changes, never used twice; RDMA netlink only
  std::optional<NodeType> node_type;
  Protocol protocol = Protocol::kUnknown;  ///< of the first port
  std::optional<Guid> node_guid;           ///< zero: a device without identity
  std::optional<Guid> sys_image_guid;
  std::optional<std::string> firmware_version;  ///< empty where a driver has none
  std::optional<std::string> board_id;
  std::optional<std::string> hca_type;
  std::optional<std::string> node_description;
  std::optional<bool> named_by_user;  ///< a user chose the name; kernels from 6.11 only
  std::string driver;                 ///< of the parent device ("mlx5_core"); empty if virtual
  std::string pci_address;            ///< of the nearest PCI function above; empty if none
  std::string physical_function;      ///< PCI address; empty if this is no virtual function
  std::string parent_path;            ///< "/sys/devices/…" of the parent device; empty if virtual
  std::string sysfs_path;             ///< "/sys/devices/…/infiniband/NAME", without any root
  std::optional<std::uint32_t> numa_node;
  std::vector<CharacterDevice> character_devices;  ///< by name
  std::vector<Port> ports;                         ///< by number

  /// The port with that number, or nullptr.
  [[nodiscard]] RDMABOOT_API const Port* find_port(PortNumber number) const;
};

/// Everything at one moment.
struct Snapshot {
  std::vector<Device> devices;  ///< in the natural order of their names: mlx5_2 before mlx5_10
  /// False if devices came and went faster than they could be read, several times over: then the
  /// devices here were there at the end, but one that came last may be missing.
  bool consistent = true;
  /// What could not be read, and why: the data it concerns is empty. No permission, an attribute
  /// that is too long, text that is not what the kernel writes.
  std::vector<core::Error> notes;

  /// The device of that name, or nullptr.
  [[nodiscard]] RDMABOOT_API const Device* find(std::string_view name) const;
};

/// What take_snapshot() reads, and how much of it.
struct SnapshotOptions {
  /// Directory that holds sys/ of a recorded machine; empty is this machine. Links in a recorded
  /// tree cannot lead out of it, and only its files are read: netlink and verbs are for the living.
  std::string root;
  bool netlink = true;  ///< ask RDMA netlink: device index, protocol, netdevs, who gave the name
  /// Ask libibverbs, if it is installed: MTUs, and the GID table in one call instead of three
  /// files an entry. This opens each device, so a waiting or frequent caller switches it off.
  bool verbs = true;
  bool gids = true;
  bool pkeys = true;
  /// P_Keys of a port that are enough: the rest of a table (adapters have 128 entries, a file each)
  /// is not read. Whether there is one at all is known with 1.
  std::size_t most_pkeys = SIZE_MAX;
};

/// Enumerates the RDMA devices. Blocks for the time of reading sysfs (and, on this machine, at most
/// two seconds a reading for netlink); starts no thread, needs no privilege. May be called from
/// several threads at once. A machine without RDMA gives an empty snapshot. The list of devices is
/// read again at the end, and if it changed meanwhile all is read again, at most five times.
/// Errors: there is no readable sys/ below the root.
[[nodiscard]] RDMABOOT_API core::Result<Snapshot> take_snapshot(
    const SnapshotOptions& options = {});

}  // namespace rdmaboot::device
