// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What `rdmactl status DEVICE` tells beside the ports: the hardware below, the modules, counters
// that matter, what the journal has of it. _text and _json are pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "os/systemd_journal.hpp"
#include "rdmaboot/device.hpp"
#include "rdmactl/status.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// Speed and width of a PCI link, as the kernel writes them ("16.0 GT/s PCIe", lanes).
struct PciLink {
  std::string speed;
  std::uint32_t width = 0;
  auto operator<=>(const PciLink&) const = default;
};

/// A counter of a port.
struct PortCounter {
  std::uint32_t port = 0;
  std::string name;  ///< "port_rcv_errors", "out_of_sequence"
  std::uint64_t value = 0;
  bool hardware = false;  ///< of hw_counters, which each driver has its own of
};

struct DeviceDetails {
  std::optional<PciLink> link;            ///< what the slot gives; none for a virtual device
  std::optional<PciLink> capable;         ///< what the device could
  std::string module;                     ///< of its driver; empty where sysfs does not say
  std::vector<std::string> users;         ///< modules that use that one (mlx5_ib uses mlx5_core)
  std::vector<PortCounter> errors;        ///< not zero, and of trouble, see is_trouble()
  std::vector<os::JournalEntry> journal;  ///< the last entries about it, oldest first
  std::vector<core::Error> notes;         ///< what could not be read
};

/// Whether a counter that is not zero tells of something wrong: errors, discards, drops, retries,
/// time-outs. Names are those of Documentation/ABI/stable/sysfs-class-infiniband and of drivers.
[[nodiscard]] bool is_trouble(std::string_view counter);

/// Every counter of every port that is a number, also those that are zero.
[[nodiscard]] std::vector<PortCounter> read_counters(const device::Device& device,
                                                     const std::string& root);

/// Reads them below `root` (empty: this machine). Total: what is not there stays empty.
[[nodiscard]] DeviceDetails read_details(const device::Device& device, const std::string& root);

/// Which entries of the journal are about a device: ours name it, the kernel's name it or the PCI
/// function below it.
[[nodiscard]] os::JournalQuery journal_about(const device::Device& device);

/// Lines "name: value", some over several lines.
/// @param ports of the device: what they lack is told in full
[[nodiscard]] std::string details_text(const device::Device& device,
                                       const std::vector<PortStatus>& ports,
                                       const DeviceDetails& details, const Terminal& terminal);

[[nodiscard]] nlohmann::json details_json(const DeviceDetails& details);

}  // namespace rdmaboot::rdmactl
