// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A look at the host that costs less than a snapshot: has anything changed that readiness depends
// on?

#include <functional>
#include <optional>
#include <string>

#include "device/snapshot.hpp"
#include "wait-online/targets.hpp"

namespace rdmaboot::wait_online {

/// What of a snapshot is needed to judge what is wanted. No device is opened for it.
[[nodiscard]] device::SnapshotOptions snapshot_options(const Wanted& wanted,
                                                       const std::string& root);

/// What readiness depends on, at a fraction of the cost of a snapshot: the names of the devices,
/// their nodes, and of the ports that `evaluation` is about the state, physical state, LID and
/// P_Keys; from level address on (and for targets by netdev) the netdevs, their addresses and the
/// GIDs. To be compared, not understood. Any thread.
/// @param gids gives the GID table of a device as a text; called only where GIDs matter
/// @return nothing where that is not known (`gids` gave nothing): only a snapshot will do
[[nodiscard]] std::optional<std::string> glance(
    const Wanted& wanted, const Evaluation& evaluation,
    const std::function<std::optional<std::string>(const std::string& device)>& gids);

/// The files of a directory, each with what changes when it is another one or may be opened by
/// others. To be compared. Empty if it cannot be read. Any thread.
[[nodiscard]] std::string nodes_in(const std::string& directory);

}  // namespace rdmaboot::wait_online
