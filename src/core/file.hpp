// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Bounded reading and atomic writing of small files.

#include <cstddef>
#include <string>
#include <string_view>

#include "rdmaboot/result.hpp"

namespace rdmaboot::core {

/// A configuration file larger than this is refused (bytes). The largest ones that people write by
/// hand are a few KiB.
inline constexpr std::size_t kConfigLimit = 1U << 20U;

/// Reads a whole regular file, sysfs attribute or procfs file.
/// @param limit bytes; a larger file is an error with EFBIG that names the limit
/// Errors: errno of open or read; EISDIR for a directory. Never blocks on a FIFO.
[[nodiscard]] Result<std::string> read_file(const std::string& path,
                                            std::size_t limit = kConfigLimit);

/// Replaces `path` with `content` in one step (a temporary file in the same directory, renamed
/// over it), so that a reader sees the old text or the new, never a part.
/// Errors: errno of the step that failed; the temporary file is removed.
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view content);

}  // namespace rdmaboot::core
