// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The name of the host, for a process that may have one of its own.

#include <string>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// The host name that PID 1 has. The units of udevd (since systemd 241) and of other services have
/// ProtectHostname=: what they and their children see as the host name is that of the moment when
/// they started, for ever. To read it the calling thread joins the UTS name space of PID 1, and
/// stays there: only for programs that do nothing else with it.
/// Errors: errno of open or setns (EPERM or EACCES without CAP_SYS_ADMIN), or of gethostname.
[[nodiscard]] core::Result<std::string> join_hostname_of_init();

}  // namespace rdmaboot::os
