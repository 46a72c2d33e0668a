// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/glance.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include <sys/stat.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "device/sysfs_reader.hpp"
#include "os/netdev_addresses.hpp"

namespace rdmaboot::wait_online {
namespace {

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

std::string nodes_in(const std::string& directory) {
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

device::SnapshotOptions snapshot_options(const Wanted& wanted, const std::string& root) {
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

std::optional<std::string> glance(
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

}  // namespace rdmaboot::wait_online
