// SPDX-License-Identifier: BSD-2-Clause
#include "device/host_facts.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/unique_handle.hpp"
#include "os/netdev_addresses.hpp"

namespace rdmaboot::device {
namespace {

/// The nodes that a port may need: not issm, which must not be opened.
std::vector<std::string> nodes_of(const Snapshot& snapshot) {
  std::vector<std::string> paths;
  for (const Device& device : snapshot.devices) {
    for (const CharacterDevice& node : device.character_devices) {
      if (node.kind != CharacterDeviceKind::kIssm) {
        paths.push_back(node.node);
      }
    }
  }
  if (!paths.empty()) {
    paths.emplace_back(HostFacts::kConnectionManagerNode);
  }
  return paths;
}

}  // namespace

HostFacts HostFactReader::read(const Snapshot& snapshot, Level level,
                               std::vector<core::Error>& errors) {
  HostFacts facts;
  if (level >= Level::kChardev) {
    for (const std::string& path : nodes_of(snapshot)) {
      facts.nodes[path] = try_node(path);
    }
  }
  if (level >= Level::kAddress) {
    auto addresses = os::netdev_addresses();
    if (!addresses) {
      errors.push_back(std::move(addresses).error());
      return facts;
    }
    for (const os::NetdevAddress& address : *addresses) {
      facts.netdev_addresses[address.netdev].push_back(Gid{address.bytes});
    }
  }
  return facts;
}

HostFacts HostFactReader::read_recorded(const Snapshot& snapshot, const std::string& root) {
  HostFacts facts;
  for (const std::string& path : nodes_of(snapshot)) {
    facts.nodes[path] = ::access((root + path).c_str(), F_OK) == 0 ? 0 : errno;
  }
  return facts;
}

int HostFactReader::try_node(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    opened_.erase(path);
    return errno;
  }
  const Identity identity{status.st_ino, status.st_rdev};
  const auto known = opened_.find(path);
  if (known != opened_.end() && known->second == identity) {
    return 0;
  }
  const core::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    opened_.erase(path);
    return error;
  }
  opened_[path] = identity;
  return 0;
}

}  // namespace rdmaboot::device
