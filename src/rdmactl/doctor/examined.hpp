// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// All that `rdmactl doctor` judges by: plain data about one machine at one moment, gathered by
// gather.hpp from its files and by live.hpp from its kernel. The checks are functions of this.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "device/readiness.hpp"
#include "os/kernel_command_line.hpp"
#include "rdmaboot/device.hpp"
#include "rdmactl/doctor/live.hpp"
#include "rdmactl/doctor/unit_file.hpp"

namespace rdmaboot::rdmactl::doctor {

/// A file that is looked for in several directories, of which the first one counts.
struct Layered {
  std::vector<std::string> paths;  ///< where it is, highest priority first
  bool masked = false;             ///< the first is empty, or a link to /dev/null
  std::string text;                ///< of the first that is not masked
};

/// A module that a list names.
struct ListedModule {
  std::string name;    ///< with underscores
  std::string origin;  ///< "/etc/rdma/modules/rdma.conf:7"
};

struct NetdevFacts {
  std::optional<std::uint32_t> mtu;  ///< bytes
  bool up = false;                   ///< IFF_UP: an admin or a manager wants it up
};

/// A file and when it was changed last (seconds since 1970).
struct FileTime {
  std::string path;
  std::int64_t changed = 0;
};

/// The limit of locked memory that users and services get (bytes); the highest value is "no limit".
struct MemoryLocks {
  static constexpr std::uint64_t kUnlimited = UINT64_MAX;
  /// What kernels from 5.16 on and systemd give where nobody says anything.
  static constexpr std::uint64_t kDefault = 8ULL << 20U;
  std::uint64_t users = kDefault;     ///< highest of limits.conf for anybody but root
  std::string users_origin;           ///< where that is said; empty: nowhere
  std::uint64_t services = kDefault;  ///< DefaultLimitMEMLOCK= of systemd
};

struct Examined {
  device::Snapshot devices;
  device::HostFacts facts;  ///< of the devices' nodes and netdevs
  LiveFacts live;

  std::string kernel_release;
  std::string hostname;
  os::KernelParameters parameters;
  /// Options of the kernel's configuration ("CONFIG_INFINIBAND" is 'y' or 'm'); empty if the
  /// configuration is nowhere to be found.
  std::map<std::string, char, std::less<>> kernel_options;
  std::string kernel_options_file;
  bool has_module_tree = false;                ///< an index for the running kernel is there
  std::set<std::string, std::less<>> modules;  ///< names and plain aliases that it has
  std::set<std::string, std::less<>> loaded;   ///< in the kernel now
  std::map<std::string, std::string, std::less<>> denied;  ///< module to who says so
  std::vector<ListedModule> listed;                  ///< of the lists that this host's devices want
  std::set<std::string, std::less<>> bound_drivers;  ///< PCI drivers of the hardware table in use

  std::map<std::string, Layered, std::less<>> rules;  ///< ours, by file name
  /// Rules of an admin that choose names of RDMA devices.
  std::vector<std::string> naming_rules;
  /// Ours, those that have to do with RDMA by their name, and those that name one of these.
  std::map<std::string, UnitFile, std::less<>> units;
  std::set<std::string, std::less<>> unit_names;  ///< all there are
  std::set<std::string, std::less<>> enabled;     ///< of ours, started at boot
  std::vector<std::string> foreign;               ///< traces of another boot layer, for people

  MemoryLocks locks;
  std::map<std::string, NetdevFacts, std::less<>> netdevs;

  std::optional<FileTime> initramfs;  ///< only one that has RDMA in it
  std::vector<FileTime> initramfs_sources;
};

}  // namespace rdmaboot::rdmactl::doctor
