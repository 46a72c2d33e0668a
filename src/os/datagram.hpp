// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// One datagram to a UNIX socket: how service manager and journal are spoken to (sd_notify(3), and
// systemd's document "Native Journal Protocol").

#include <string_view>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Sends `content`; waits for room as any blocking send does.
/// @param address an absolute path, or '@' and an abstract name
/// Errors: EAFNOSUPPORT for another form of address; ENAMETOOLONG; errno of socket or send.
[[nodiscard]] core::Result<void> send_datagram(std::string_view address, std::string_view content);

}  // namespace rdmaboot::os
