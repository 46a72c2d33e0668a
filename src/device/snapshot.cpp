// SPDX-License-Identifier: BSD-2-Clause
#include "device/snapshot.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/clock.hpp"
#include "device/sysfs_reader.hpp"
#include "os/sysfs.hpp"

namespace rdmaboot::device {
namespace {

using core::Error;
using core::Result;

/// For all questions to RDMA netlink of one reading. A kernel answers in microseconds; one that
/// does not is stuck, and then sysfs has to do.
constexpr std::chrono::milliseconds kNetlinkBudget{1000};

/// An entry of the device class, as it was when the list was read.
struct Listed {
  std::string name;
  std::uint64_t identity = 0;
  auto operator<=>(const Listed&) const = default;
};

struct Listing {
  std::vector<Listed> devices;
  std::vector<os::Directory> directories;  ///< opened, in the same order
  std::vector<std::string> links;          ///< what the class entries point to
};

Result<Listing> list_devices(const os::Tree& tree) {
  Listing listing;
  const auto members = tree.directory(kRdmaClass);
  if (!members) {
    if (members.error().error_number == ENOENT) {
      return listing;  // ib_core is not loaded: a machine without RDMA
    }
    return tl::make_unexpected(members.error());
  }
  const auto names = members->entries();
  if (!names) {
    return tl::make_unexpected(names.error());
  }
  for (const std::string& name : *names) {
    auto directory = tree.directory(std::string(kRdmaClass) + "/" + name);
    if (!directory) {
      continue;  // gone since, or a file in the place of a device
    }
    listing.devices.push_back({name, directory->identity()});
    listing.directories.push_back(std::move(*directory));
    listing.links.push_back(members->link(name).value_or(std::string()));
  }
  return listing;
}

void append(std::vector<Error>& notes, const std::vector<Error>& more) {
  notes.insert(notes.end(), more.begin(), more.end());
}

std::vector<os::VerbsQuestion> questions_about(const std::vector<Device>& devices) {
  std::vector<os::VerbsQuestion> questions;
  for (const Device& device : devices) {
    os::VerbsQuestion question;
    question.device = device.name;
    for (const Port& port : device.ports) {
      question.ports.push_back(port.number.value);
    }
    questions.push_back(std::move(question));
  }
  return questions;
}

/// iWARP has a GID table of one entry, made from the MAC, which the kernel labels RoCE v1.
void clear_gid_types_of_iwarp(Device& device) {
  for (Port& port : device.ports) {
    if (port.protocol != Protocol::kIwarp) {
      continue;
    }
    for (GidEntry& entry : port.gids) {
      entry.type = GidType::kUnknown;
    }
  }
}

Snapshot read_once(const os::Tree& tree, const Listing& listing, const SnapshotOptions& options,
                   const SnapshotSeams& seams) {
  Snapshot snapshot;
  SysfsReader reader(tree, snapshot.notes);
  // Verbs can tell the GIDs in one call; sysfs is read for those that it does not tell.
  const SysfsReader::Tables tables{.gids = options.gids && !seams.verbs,
                                   .pkeys = options.pkeys,
                                   .most_pkeys = options.most_pkeys};
  auto nodes = reader.read_character_devices();
  for (std::size_t i = 0; i < listing.devices.size(); ++i) {
    Device device = reader.read_device(listing.directories[i], listing.devices[i].name,
                                       listing.links[i], tables);
    device.character_devices = std::move(nodes[device.name]);
    std::sort(device.character_devices.begin(), device.character_devices.end(),
              [](const CharacterDevice& a, const CharacterDevice& b) { return a.name < b.name; });
    snapshot.devices.push_back(std::move(device));
  }
  NetlinkFacts facts;
  if (seams.netlink && !snapshot.devices.empty()) {
    facts = seams.netlink();
    append(snapshot.notes, facts.errors);
    add_netlink(snapshot.devices, facts);
  }
  add_protocols(snapshot.devices, facts);
  std::vector<std::string> with_gids;
  if (seams.verbs && !snapshot.devices.empty()) {
    const os::VerbsFacts verbs = seams.verbs(questions_about(snapshot.devices), options.gids);
    append(snapshot.notes, verbs.errors);
    with_gids = add_verbs(snapshot.devices, verbs);
  }
  for (Device& device : snapshot.devices) {
    const bool has_gids =
        std::find(with_gids.begin(), with_gids.end(), device.name) != with_gids.end();
    if (options.gids && !tables.gids && !has_gids) {
      reader.read_gids(device);
    }
    clear_gid_types_of_iwarp(device);
    reader.read_netdevs(device);
  }
  return snapshot;
}

/// Drops what vanished or was replaced while it was read. `devices` was read from `before`.
void keep_those_still_there(std::vector<Device>& devices, const std::vector<Listed>& before,
                            const std::vector<Listed>& after) {
  std::vector<Device> kept;
  kept.reserve(devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (std::find(after.begin(), after.end(), before[i]) != after.end()) {
      kept.push_back(std::move(devices[i]));
    }
  }
  devices = std::move(kept);
}

}  // namespace

NetlinkFacts ask_netlink() {
  NetlinkFacts facts;
  const core::MonotonicClock clock;
  const auto deadline = clock.now() + kNetlinkBudget;
  auto channel = os::open_rdma_netlink_channel();
  if (!channel) {
    facts.errors.push_back(std::move(channel).error());
    return facts;
  }
  os::RdmaNetlink netlink(std::move(*channel), clock, kNetlinkBudget);
  auto devices = netlink.devices();
  if (!devices) {
    facts.errors.push_back(std::move(devices).error());
    return facts;
  }
  for (os::NetlinkDevice& device : *devices) {
    NetlinkFact fact;
    if (clock.now() >= deadline) {
      facts.errors.push_back(
          core::fail("ask RDMA netlink for the ports of", device.name, ETIMEDOUT).value());
    } else if (auto ports = netlink.ports(device.index)) {
      fact.ports = std::move(*ports);
    } else {
      facts.errors.push_back(std::move(ports).error());
    }
    fact.device = std::move(device);
    facts.devices.push_back(std::move(fact));
  }
  return facts;
}

const Port* Device::find_port(PortNumber number) const {
  const auto found = std::find_if(ports.begin(), ports.end(),
                                  [number](const Port& port) { return port.number == number; });
  return found == ports.end() ? nullptr : &*found;
}

const Device* Snapshot::find(std::string_view name) const {
  const auto found = std::find_if(devices.begin(), devices.end(),
                                  [name](const Device& device) { return device.name == name; });
  return found == devices.end() ? nullptr : &*found;
}

Result<Snapshot> take_snapshot(const SnapshotOptions& options, const SnapshotSeams& seams) {
  const auto tree = os::Tree::open(options.root);
  if (!tree) {
    return tl::make_unexpected(tree.error());
  }
  if (const auto sysfs = tree->directory("/sys"); !sysfs) {
    return tl::make_unexpected(sysfs.error());
  }
  auto listing = list_devices(*tree);
  for (int reading = 1; listing; ++reading) {
    Snapshot snapshot = read_once(*tree, *listing, options, seams);
    if (seams.after_reading) {
      seams.after_reading();
    }
    auto after = list_devices(*tree);
    if (!after) {
      return tl::make_unexpected(after.error());
    }
    snapshot.consistent = after->devices == listing->devices;
    if (snapshot.consistent || reading == kMaxReadings) {
      keep_those_still_there(snapshot.devices, listing->devices, after->devices);
      std::sort(snapshot.devices.begin(), snapshot.devices.end(),
                [](const Device& a, const Device& b) {
                  return ::strverscmp(a.name.c_str(), b.name.c_str()) < 0;
                });
      return snapshot;
    }
    listing = std::move(after);
  }
  return tl::make_unexpected(listing.error());
}

Result<Snapshot> take_snapshot(const SnapshotOptions& options) {
  SnapshotSeams seams;
  const bool is_live = options.root.empty() || options.root == "/";
  if (is_live && options.netlink) {
    seams.netlink = ask_netlink;
  }
  if (is_live && options.verbs) {
    seams.verbs = os::query_verbs;
  }
  return take_snapshot(options, seams);
}

}  // namespace rdmaboot::device
