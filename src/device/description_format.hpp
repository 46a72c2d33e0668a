// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// From a format such as "%h %d" to the text of a node description. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::device {

/// Length of a NodeDescription (bytes): InfiniBand architecture specification, volume 1, 14.2.5.2;
/// IB_DEVICE_NODE_DESC_MAX in the kernel. Not terminated when it is full.
inline constexpr std::size_t kDescriptionLimit = 64;
/// Longest format that is taken (bytes). What it expands to is cut at kDescriptionLimit.
inline constexpr std::size_t kDescriptionFormatLimit = 128;
/// The format of a host where nobody chose one, as rdma-core's.
inline constexpr std::string_view kDefaultDescriptionFormat = "%h %d";

/// What the directives of a format stand for.
struct DescriptionValues {
  std::string_view hostname;           ///< as the kernel has it, perhaps with a domain
  std::string_view device;             ///< "mlx5_0"
  std::optional<std::uint32_t> index;  ///< nothing where the kernel does not tell
};

/// A format that was checked.
class DescriptionFormat {
 public:
  /// %h host name up to the first dot, %H full host name, %d device, %i device index, %% a percent
  /// sign.
  /// Errors: an unknown directive or a lone % with its position (bytes, from 1), a control
  /// character, nothing at all, more than kDescriptionFormatLimit bytes.
  [[nodiscard]] static core::Result<DescriptionFormat> parse(std::string_view text);

  /// The description: at most kDescriptionLimit bytes, cut between characters of UTF-8; every
  /// control character and every byte that is not part of UTF-8 text is a '?'. An unknown index is
  /// "?". Total.
  [[nodiscard]] std::string expand(const DescriptionValues& values) const;

  /// As it was given.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  explicit DescriptionFormat(std::string text) : text_(std::move(text)) {}

  std::string text_;
};

}  // namespace rdmaboot::device
