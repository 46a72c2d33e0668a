// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Devices and ports as sysfs shows them (Documentation/ABI/stable/sysfs-class-infiniband of the
// kernel). Reads only; what cannot be read becomes a note and an empty value.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/sysfs.hpp"
#include "rdmaboot/device.hpp"

namespace rdmaboot::device {

/// Where the kernel lists RDMA devices.
inline constexpr const char* kRdmaClass = "/sys/class/infiniband";

/// Reads devices of one tree. Not thread-safe: it gathers notes.
class SysfsReader {
 public:
  /// @param tree and notes outlive this object
  SysfsReader(const os::Tree& tree, std::vector<core::Error>& notes)
      : tree_(&tree), notes_(&notes) {}

  /// What to read of each port beside its own attributes.
  struct Tables {
    bool gids = true;
    bool pkeys = true;
    std::size_t most_pkeys = SIZE_MAX;
  };

  /// The device in `directory` (an entry of kRdmaClass) with its ports, without netdevs, character
  /// devices and protocols.
  /// @param link what the entry points to; empty if it is no link
  [[nodiscard]] Device read_device(const os::Directory& directory, std::string name,
                                   const std::string& link, Tables tables);

  /// The nodes of all devices, by the name of the device.
  [[nodiscard]] std::map<std::string, std::vector<CharacterDevice>> read_character_devices();

  /// Fills the GID table of each port, where read_device() was told not to.
  void read_gids(Device& device);
  /// Fills in the netdevs of each port: the port's own one first (which netlink may have told
  /// already), then those that its GIDs name.
  void read_netdevs(Device& device);

 private:
  enum class Missing { kIsNormal, kIsNoted };
  /// A netdev of the same parent device.
  struct Sibling {
    std::string name;
    LinkLayer layer = LinkLayer::kUnknown;
    std::uint32_t port = 0;
  };

  std::optional<std::string> text(const os::Directory& directory, const std::string& name,
                                  Missing missing);
  template <typename T>
  std::optional<T> parsed(const os::Directory& directory, const std::string& name,
                          core::Result<T> (*parse)(std::string_view));
  std::optional<os::Directory> directory_of(const std::string& path);
  std::optional<os::Directory> subdirectory_of(const os::Directory& directory,
                                               const std::string& name);
  std::vector<std::string> entries_of(const os::Directory& directory);
  std::vector<std::uint32_t> table_of(const os::Directory& directory);
  void read_parent(Device& device);
  void read_ports(Device& device, const os::Directory& directory, Tables tables);
  Port read_port(const os::Directory& directory, PortNumber number);
  void read_port_gids(const os::Directory& port_directory, Port& port);
  void read_character_class(CharacterDeviceKind kind, const std::string& class_path,
                            std::string_view prefix,
                            std::map<std::string, std::vector<CharacterDevice>>& by_device);
  void read_port_pkeys(const os::Directory& port_directory, std::size_t most, Port& port);
  std::vector<Sibling> siblings_of(const Device& device);
  void add_netdev(Port& port, const std::string& name);
  void note(core::Error error);

  const os::Tree* tree_;
  std::vector<core::Error>* notes_;
  std::map<std::string, std::optional<std::uint32_t>> netdev_indexes_;  ///< asked before
};

/// Whether `text` can be the address of a PCI function ("0000:03:00.0"; the domain may have more
/// digits).
[[nodiscard]] bool is_pci_address(std::string_view text);

/// Whether `text` can be the name of a network device: as dev_valid_name() of the kernel.
[[nodiscard]] bool is_netdev_name(std::string_view text);

}  // namespace rdmaboot::device
