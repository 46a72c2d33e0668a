// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which device has which format: rdma-ndd.conf with its drop-ins, and the environment.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "device/description_format.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::device {

/// More sections than this, in all files together, are not taken.
inline constexpr std::size_t kMostDescriptionRules = 1024;
/// Longest pattern (bytes): twice the longest device name (IB_DEVICE_NAME_MAX is 64).
inline constexpr std::size_t kDescriptionPatternLimit = 128;
/// So many wrong lines are named one by one.
inline constexpr std::size_t kMostDescriptionErrors = 20;

/// The format of some devices.
struct DescriptionRule {
  enum class By { kDevice, kBoard };
  By by = By::kDevice;
  std::string pattern;  ///< as glob(7), matched against the device's name or its board id
  DescriptionFormat format;
};

/// All formats of a host.
struct DescriptionConfig {
  DescriptionFormat general = DescriptionFormat::parse(kDefaultDescriptionFormat).value();
  std::vector<DescriptionRule> rules;

  /// The format of a device: of the last [Device] section that matches, otherwise of the last
  /// [Board] section that does, otherwise the general one. A device without a board id (software
  /// devices) matches no board.
  [[nodiscard]] const DescriptionFormat& format_for(const std::string& device,
                                                    const std::string& board_id) const;
};

/// Adds what one file says to `config`. Total: any bytes are accepted. A wrong line adds an Error
/// that names `file`, the line and what was expected; the good lines count.
void parse_description_config(std::string_view text, std::string_view file,
                              DescriptionConfig& config, std::vector<core::Error>& errors);

/// What was read, and what could not be.
struct DescriptionReading {
  DescriptionConfig config;
  std::vector<core::Error>
      errors;  ///< at most kMostDescriptionErrors, and one that says how many more
};

/// Reads the files below `root` ("" is this machine), then the environment.
/// @param environment value of RDMA_NDD_ND_FORMAT, nullptr if it is not set: the general format in
///        place of that of the files. Sections for devices and boards are more specific and stay.
[[nodiscard]] DescriptionReading read_description_config(const std::string& root,
                                                         const char* environment);

}  // namespace rdmaboot::device
