// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a uevent means for us: pure.

#include <optional>

#include "os/udev_monitor.hpp"
#include "rdmaboot/monitor.hpp"

namespace rdmaboot::device {

/// The change that `received` stands for: an event, nothing, or an overrun out of ENOBUFS. Other
/// errors are passed on.
[[nodiscard]] core::Result<std::optional<Change>> change_from(
    core::Result<std::optional<os::Uevent>> received);

}  // namespace rdmaboot::device
