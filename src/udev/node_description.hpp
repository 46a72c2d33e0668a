// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The node description that udev gives a new device before rdma-ndd runs. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "device/description_config.hpp"
#include "udev/id_properties.hpp"

namespace rdmaboot::udev {

/// What a description is made of.
struct DescriptionFacts {
  std::string hostname;                ///< as the kernel has it
  std::string device;                  ///< name of the device
  std::optional<std::uint32_t> index;  ///< nothing where netlink did not tell
  std::string board_id;                ///< empty where the driver has none
};

/// The name of the property. udev neither keeps properties with a dot in front nor shows them to
/// anybody but its rules.
inline constexpr std::string_view kDescriptionProperty = ".RDMA_NODE_DESCRIPTION";

/// The property with the description that `config` gives the device, its value in quotation marks
/// for IMPORT{program}. Nothing where the description is better left to the daemon: the host has no
/// name yet, or the text has bytes in it that udev might not hand on as they are (anything but
/// printable ASCII, quotation marks and backslashes).
[[nodiscard]] std::optional<Property> description_property(const device::DescriptionConfig& config,
                                                           const DescriptionFacts& facts);

}  // namespace rdmaboot::udev
