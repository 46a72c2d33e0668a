// SPDX-License-Identifier: BSD-2-Clause
// A whole recorded sysfs with hostile contents. The input is cut at each byte 0xff; the parts are,
// in this order, the targets of three links, the names of a port and of a GID entry, and what is in
// each attribute.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "device/sysfs_reader.hpp"
#include "rdmaboot/device.hpp"
#include "temporary_directory.hpp"

namespace {

using namespace rdmaboot;

constexpr const char* kDevice = "sys/devices/pci0000:00/0000:00:01.0/infiniband/dev0/";

constexpr auto kAttributes = std::to_array<const char*>({"node_type",
                                                         "node_guid",
                                                         "sys_image_guid",
                                                         "node_desc",
                                                         "fw_ver",
                                                         "hca_type",
                                                         "board_id",
                                                         "parent",
                                                         "ports/1/state",
                                                         "ports/1/phys_state",
                                                         "ports/1/link_layer",
                                                         "ports/1/rate",
                                                         "ports/1/lid",
                                                         "ports/1/lid_mask_count",
                                                         "ports/1/sm_lid",
                                                         "ports/1/cap_mask",
                                                         "ports/1/gids/0",
                                                         "ports/1/gid_attrs/types/0",
                                                         "ports/1/gid_attrs/ndevs/0",
                                                         "ports/1/pkeys/0"});
constexpr auto kElsewhere = std::to_array<const char*>(
    {"sys/class/infiniband_verbs/uverbs0/ibdev", "sys/class/infiniband_verbs/uverbs0/dev",
     "sys/class/infiniband_mad/umad0/ibdev", "sys/class/infiniband_mad/umad0/port",
     "sys/devices/pci0000:00/0000:00:01.0/numa_node",
     "sys/devices/pci0000:00/0000:00:01.0/net/eth0/type",
     "sys/devices/pci0000:00/0000:00:01.0/net/eth0/dev_port", "sys/class/net/eth0/ifindex"});

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// A name that a file can have.
std::string file_name(std::string_view text) {
  std::string name(text.substr(0, 64));
  std::erase_if(name, [](char c) { return c == '/' || c == '\0'; });
  return name.empty() || name == "." || name == ".." ? "x" : name;
}

/// One tree for all inputs, of which only what differs from the last input is written again: making
/// it anew would be most of the time.
class Tree {
 public:
  Tree() : directory_(memory()) {
    directory_.make_directory(kDevice);
    directory_.link("../../devices/pci0000:00/0000:00:01.0/infiniband/dev0",
                    "sys/class/infiniband/dev0");
  }

  [[nodiscard]] std::string root() const { return directory_.path(""); }

  void fill(std::string_view input) {
    const auto next = [&input] {
      const std::size_t cut = input.find('\xff');
      const std::string_view part = input.substr(0, cut);
      input = cut == std::string_view::npos ? std::string_view() : input.substr(cut + 1);
      return part;
    };
    link(next(), "sys/class/infiniband/dev1");
    link(next(), "sys/devices/pci0000:00/0000:00:01.0/infiniband/dev0/device");
    link(next(), "sys/devices/pci0000:00/0000:00:01.0/driver");
    if (const std::string port = file_name(next()); port != port_) {
      // The names that the attributes below use are never taken away.
      remove_unless(port_, {"1", "2"}, "ports/");
      directory_.make_directory(kDevice + ("ports/" + port));
      port_ = port;
    }
    if (const std::string gid = file_name(next()); gid != gid_) {
      remove_unless(gid_, {}, "ports/2/gids/");
      directory_.write(kDevice + ("ports/2/gids/" + gid), "fe80::1\n");
      gid_ = gid;
    }
    for (const char* const attribute : kAttributes) {
      write(std::string(kDevice) + attribute, next());
    }
    for (const char* const attribute : kElsewhere) {
      write(attribute, next());
    }
  }

 private:
  static std::filesystem::path memory() {
    const std::filesystem::path shared = "/dev/shm";
    return ::access(shared.c_str(), W_OK) == 0 ? shared : std::filesystem::temp_directory_path();
  }

  void remove_unless(const std::string& name, const std::vector<std::string>& kept,
                     const char* where) const {
    if (!name.empty() && std::find(kept.begin(), kept.end(), name) == kept.end()) {
      std::filesystem::remove_all(directory_.path(std::string(kDevice) + where + name));
    }
  }

  void link(std::string_view target, const std::string& path) {
    std::string text(target.substr(0, 200));
    std::erase(text, '\0');
    if (text.empty()) {
      text = ".";
    }
    std::string& last = contents_[path];
    if (last != text) {
      std::filesystem::remove(directory_.path(path));
      directory_.link(text, path);
      last = text;
    }
  }

  void write(const std::string& path, std::string_view content) {
    const auto [last, is_new] = contents_.try_emplace(path);
    if (is_new || last->second != content) {
      directory_.write(path, content);
      last->second = content;
    }
  }

  test::TemporaryDirectory directory_;
  std::map<std::string, std::string> contents_;
  std::string port_;
  std::string gid_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tree tree;
  tree.fill(std::string_view(static_cast<const char*>(static_cast<const void*>(data)), size));
  device::SnapshotOptions options;
  options.root = tree.root();
  const auto snapshot = device::take_snapshot(options);
  require(snapshot.has_value());
  require(snapshot->consistent);
  for (const device::Device& device : snapshot->devices) {
    require(device.sysfs_path.starts_with('/'));
    require(device.pci_address.empty() || device::is_pci_address(device.pci_address));
    for (const device::Port& port : device.ports) {
      require(port.number.value != 0);
      require(!port.lid_mask || *port.lid_mask < 8);
      for (const device::Netdev& netdev : port.netdevs) {
        require(device::is_netdev_name(netdev.name));
      }
      for (const device::GidEntry& entry : port.gids) {
        require(!entry.gid.is_zero());
      }
    }
  }
  for (const auto& note : snapshot->notes) {
    require(!note.attempt.empty());
  }
  return 0;
}
