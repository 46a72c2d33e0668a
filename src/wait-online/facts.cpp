// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/facts.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "device/sysfs_reader.hpp"
#include "os/netdev_addresses.hpp"

namespace rdmaboot::wait_online {
namespace {

using device::HostFacts;
using device::Level;

/// P_Keys of a port that a glance looks at: one that is valid is enough, and the first ones are.
constexpr int kGlancedPKeys = 8;

/// The names in a directory, in its order; none if it cannot be read.
std::string names_in(const std::string& directory) {
  std::string text;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    text += at->path().filename().string() + "\n";
  }
  return text;
}

}  // namespace

std::string FactReader::nodes_in(const std::string& directory) {
  std::string text;
  const std::string names = names_in(directory);
  for (const std::string_view name : core::split(names, "\n")) {
    struct stat status {};
    if (::stat((directory + "/" + std::string(name)).c_str(), &status) == 0) {
      text.append(name).append(" ").append(std::to_string(status.st_ino)).append(" ");
      text += std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec);
    }
  }
  return text;
}

namespace {

/// The nodes that a port may need: not issm, which must not be opened.
std::vector<std::string> nodes_of(const device::Snapshot& snapshot) {
  std::vector<std::string> paths;
  for (const device::Device& device : snapshot.devices) {
    for (const device::CharacterDevice& node : device.character_devices) {
      if (node.kind != device::CharacterDeviceKind::kIssm) {
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

device::SnapshotOptions FactReader::snapshot_options(const Wanted& wanted,
                                                     const std::string& root) {
  device::SnapshotOptions options;
  options.root = root;
  options.verbs = false;
  options.pkeys = wanted.demand.level >= Level::kAddress;
  // GIDs also name the netdevs that lie over the port's own one, such as VLANs. A table may have a
  // thousand entries, and without verbs each is three files: not read without need.
  options.gids = options.pkeys || std::any_of(wanted.targets.begin(), wanted.targets.end(),
                                              [](const Target& target) {
                                                return target.kind == Target::Kind::kNetdev;
                                              });
  return options;
}

std::optional<std::string> FactReader::glance(
    const Wanted& wanted, const Evaluation& evaluation,
    const std::function<std::optional<std::string>(const std::string& device)>& gids) {
  const device::SnapshotOptions needed = snapshot_options(wanted, {});
  const std::string home = device::kRdmaClass;
  std::string text = names_in(home);
  if (wanted.demand.level >= Level::kChardev) {
    text += nodes_in("/dev/infiniband");
  }
  std::set<std::string> devices;
  for (const Line& line : evaluation.lines) {
    if (line.device.empty() || !line.port) {
      continue;
    }
    devices.insert(line.device);
    const std::string port =
        home + "/" + line.device + "/ports/" + std::to_string(line.port->value) + "/";
    for (const char* const name : {"state", "phys_state", "lid"}) {
      text += core::read_file(port + name).value_or(std::string("?"));
    }
    for (int i = 0; needed.pkeys && i < kGlancedPKeys; ++i) {
      text += core::read_file(port + "pkeys/" + std::to_string(i)).value_or(std::string("?"));
    }
  }
  if (!needed.gids) {
    return text;
  }
  text += names_in("/sys/class/net");
  for (const os::NetdevAddress& address :
       os::netdev_addresses().value_or(std::vector<os::NetdevAddress>())) {
    text += address.netdev;
    text.append(address.bytes.begin(), address.bytes.end());
  }
  for (const std::string& device : devices) {
    const auto table = gids(device);
    if (!table) {
      return std::nullopt;
    }
    text += *table;
  }
  return text;
}

HostFacts FactReader::read(const device::Snapshot& snapshot, Level level,
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
      facts.netdev_addresses[address.netdev].push_back(device::Gid{address.bytes});
    }
  }
  return facts;
}

HostFacts FactReader::read_recorded(const device::Snapshot& snapshot, const std::string& root) {
  HostFacts facts;
  for (const std::string& path : nodes_of(snapshot)) {
    facts.nodes[path] = ::access((root + path).c_str(), F_OK) == 0 ? 0 : errno;
  }
  return facts;
}

int FactReader::try_node(const std::string& path) {
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

}  // namespace rdmaboot::wait_online
