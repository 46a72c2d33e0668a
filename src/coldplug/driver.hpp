// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// How far the driver of an RDMA function has come, by the module index and the deny lists.

#include <set>
#include <string>

#include "coldplug/policy.hpp"
#include "os/module_index.hpp"

namespace rdmaboot::coldplug {

/// The state of the module that `name_or_alias` stands for. Of several, one that is live counts
/// first, then one that can still come. A module counts as never coming when this kernel has none
/// of it, when the index has an error for it, or when it is denied: by `blacklist` or an `install`
/// command that does nothing, in modprobe.d, or by `kernel_blacklist` (module_blacklist=).
[[nodiscard]] Driver driver_state(os::ModuleIndex& index,
                                  const std::set<std::string, std::less<>>& kernel_blacklist,
                                  const std::string& name_or_alias);

}  // namespace rdmaboot::coldplug
