// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reads what the predicate of readiness needs beside a snapshot.

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "device/readiness.hpp"

namespace rdmaboot::device {

/// Reads facts again and again. Not thread-safe: it remembers which nodes have opened.
class HostFactReader {
 public:
  /// Opens the nodes of `snapshot`'s devices (each once, as long as it stays the same node) and
  /// lists addresses, as far as `level` asks for it. What cannot be read goes to `errors`; the
  /// facts are empty there.
  [[nodiscard]] HostFacts read(const Snapshot& snapshot, Level level,
                               std::vector<core::Error>& errors);

  /// The same for a recorded tree below `root`: a node opens when it is there, nobody has an
  /// address.
  [[nodiscard]] static HostFacts read_recorded(const Snapshot& snapshot, const std::string& root);

 private:
  struct Identity {
    ino_t inode = 0;
    dev_t number = 0;
    bool operator==(const Identity&) const = default;
  };
  int try_node(const std::string& path);

  std::map<std::string, Identity> opened_;
};

}  // namespace rdmaboot::device
