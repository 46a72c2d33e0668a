// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reads what the predicate needs beside a snapshot.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "device/readiness.hpp"
#include "wait-online/targets.hpp"

namespace rdmaboot::wait_online {

/// Reads facts again and again. Not thread-safe: it remembers which nodes have opened.
class FactReader {
 public:
  /// What of a snapshot is needed to judge what is wanted. No device is opened for it.
  [[nodiscard]] static device::SnapshotOptions snapshot_options(const Wanted& wanted,
                                                                const std::string& root);

  /// What readiness depends on, at a fraction of the cost of a snapshot: the names of the devices,
  /// their nodes, and of the ports that `evaluation` is about the state, physical state, LID and
  /// P_Keys; from level address on (and for targets by netdev) the netdevs, their addresses and the
  /// GIDs. To be compared, not understood.
  /// @param gids gives the GID table of a device as a text; called only where GIDs matter
  /// @return nothing where that is not known (`gids` gave nothing): only a snapshot will do
  [[nodiscard]] static std::optional<std::string> glance(
      const Wanted& wanted, const Evaluation& evaluation,
      const std::function<std::optional<std::string>(const std::string& device)>& gids);

  /// The files of a directory, each with what changes when it is another one or may be opened by
  /// others. To be compared. Empty if it cannot be read.
  [[nodiscard]] static std::string nodes_in(const std::string& directory);

  /// Opens the nodes of `snapshot`'s devices (each once, as long as it stays the same node) and
  /// lists addresses, as far as `level` asks for it. What cannot be read goes to `errors`; the
  /// facts are empty there.
  [[nodiscard]] device::HostFacts read(const device::Snapshot& snapshot, device::Level level,
                                       std::vector<core::Error>& errors);

  /// The same for a recorded tree below `root`: a node opens when it is there, nobody has an
  /// address.
  [[nodiscard]] static device::HostFacts read_recorded(const device::Snapshot& snapshot,
                                                       const std::string& root);

 private:
  struct Identity {
    ino_t inode = 0;
    dev_t number = 0;
    bool operator==(const Identity&) const = default;
  };
  int try_node(const std::string& path);

  std::map<std::string, Identity> opened_;
};

}  // namespace rdmaboot::wait_online
