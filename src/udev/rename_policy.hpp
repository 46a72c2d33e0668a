// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which name rdma_rename gives to a device: a pure function from what the kernel says about the
// device to a name, or to the reason why there is none. The grammar of the names is rdma-core's, so
// that the same hardware has the same name with either.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rdmaboot/protocol.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::udev {

/// Where a name comes from; the words on the command line and in udev rules are in brackets.
enum class NamePolicy {
  kKernel,    ///< as it is (NAME_KERNEL)
  kFallback,  ///< on-board number, else PCI address, else as it is (NAME_FALLBACK)
  kOnboard,   ///< the number that the firmware gives to a device on the mainboard (NAME_ONBOARD)
  kPci,       ///< the address of the PCI function (NAME_PCI)
  kGuid,      ///< the node GUID (NAME_GUID)
  kFixed,     ///< what the administrator says (NAME_FIXED NAME)
};

/// The policy of a word like "NAME_PCI"; nothing for any other word.
[[nodiscard]] std::optional<NamePolicy> parse_name_policy(std::string_view word);

/// The address of a PCI function: domain, bus, slot ("device" in PCI's own words) and function.
struct PciAddress {
  std::uint32_t domain = 0;  ///< above 0xffff behind Intel's VMD
  std::uint8_t bus = 0;
  std::uint8_t slot = 0;      ///< 5 bits
  std::uint8_t function = 0;  ///< 3 bits
  bool operator==(const PciAddress&) const = default;
};

/// Reads an address as sysfs writes it: "0000:c1:00.0". Total.
[[nodiscard]] std::optional<PciAddress> parse_pci_address(std::string_view text);

/// The number of a virtual function from the name of its link in the physical one ("virtfn12").
/// Total.
[[nodiscard]] std::optional<std::uint32_t> parse_virtual_function(std::string_view link);

/// An attribute that holds one decimal number (acpi_index, index, sfnum), spaces around it aside.
/// Total.
[[nodiscard]] std::optional<std::uint32_t> parse_attribute_number(std::string_view text);

/// A node_guid as sysfs writes it: "0c42:a103:005b:1fe6", most significant first. Total; any other
/// form gives nothing.
[[nodiscard]] std::optional<std::uint64_t> parse_node_guid(std::string_view text);

/// Whether the first bytes of a PCI function's configuration space say that its device has several
/// functions (bit 7 of the header type, PCI 3.0, 6.2.1). False if they are too few.
[[nodiscard]] bool is_multi_function(std::string_view configuration);

/// Where the adapter sits.
struct PciLocation {
  PciAddress address;  ///< of the physical function, also where the device is a virtual one
  bool multi_function = false;  ///< its device has, or may have, further functions
  /// Alternative routing-ID interpretation: slot and function are one number of 8 bits.
  bool ari = false;
  std::optional<std::uint32_t> virtual_function;  ///< number N of virtfnN
  std::optional<std::uint32_t> sub_function;      ///< user-chosen number ("sfnum") of a mlx5 one
};

/// What sysfs and netlink tell about one device.
struct NameFacts {
  std::string current;  ///< its name now
  /// Protocol of the first port, as rdma_id finds it.
  device::Protocol protocol = device::Protocol::kUnknown;
  bool user_named = false;                     ///< a user chose the name when the device was made
  std::optional<std::uint32_t> onboard_index;  ///< ACPI's, else SMBIOS's
  std::optional<PciLocation> pci;              ///< nothing for a device that is on no PCI bus
  std::optional<std::uint64_t> node_guid;      ///< nothing if sysfs has none that makes sense
};

/// Largest on-board number that is taken for one: 14 bits, as in systemd's names of network
/// interfaces (systemd.net-naming-scheme(7)). Firmware is known to put garbage there.
inline constexpr std::uint32_t kOnboardIndexLimit = 16383;

/// Checks a name that somebody chose: 1 to os::kDeviceNameLimit letters, digits, '-', '_' and '.',
/// the first one a letter or a digit. (Kernels take nearly anything: with "a/b" one can no longer
/// list /sys/class/infiniband; ':' separates a port's number in many tools; "%d" is counted up by
/// drivers.) Errors: EINVAL, ENAMETOOLONG.
[[nodiscard]] core::Result<void> check_device_name(std::string_view name);

/// The name that the device should have.
struct NameChoice {
  std::string name;    ///< may be the one it has
  std::string reason;  ///< for people, where the device is left alone; else empty
};

/// Chooses the name.
/// - kKernel and, unless the policy is kFixed, a device that a user named: its current one;
/// - kFallback never fails for want of facts: the current name then;
/// - `fixed_name` counts for kFixed only.
/// Errors: ENODATA if the policy has nothing to go by; as check_device_name() for a fixed name.
[[nodiscard]] core::Result<NameChoice> choose_name(const NameFacts& facts, NamePolicy policy,
                                                   std::string_view fixed_name = {});

}  // namespace rdmaboot::udev
