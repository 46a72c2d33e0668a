// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which kernel driver's hardware has a second, RDMA half in another module, and who loads that.
// 90-rdma-hw-modules.rules is held equal to this table by a unit test.

#include <cstdint>
#include <span>
#include <string_view>

namespace rdmaboot::device {

/// How the RDMA module comes to its hardware.
enum class Binding : std::uint8_t {
  kAuxiliary,     ///< the NIC driver makes a device on the auxiliary bus; its modalias loads the
                  ///< module
  kExplicitLoad,  ///< at least one kernel from 6.1 on waits for somebody to load it: our rules do
  kSameDriver,    ///< the module has a PCI table of its own: hardware detection loads it
};

/// Where the rules see the hardware first.
enum class MatchOn : std::uint8_t {
  kNet,  ///< a network interface, by ID_NET_DRIVER (the name that ethtool -i shows)
  kPci,  ///< a PCI function, by its bound driver
};

/// One row. Names are as the kernel shows them, module names with '_'.
struct HardwareRow {
  std::string_view nic_driver;   ///< driver that is bound first
  std::string_view rdma_module;  ///< module that makes the RDMA device
  Binding binding = Binding::kSameDriver;
  MatchOn match = MatchOn::kPci;
  std::string_view kernels;  ///< since when, for people
  std::string_view source;   ///< file of the kernel that says so
  bool in_debian12 = false;  ///< rdma_module is in linux-image-6.1 (amd64)
  bool in_debian13 = false;  ///< rdma_module is in linux-image-6.12 (amd64)
};

/// All of them, kernels 6.1 to 7.0, sorted by driver and module.
[[nodiscard]] std::span<const HardwareRow> hardware_table();

}  // namespace rdmaboot::device
