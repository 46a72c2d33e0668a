// SPDX-License-Identifier: BSD-2-Clause
// A whole recorded sysfs with hostile contents. The input is cut at each byte 0xff; the parts are,
// in this order, the targets of three links, the names of a port and of a GID entry, and what is in
// each attribute.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

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

void make_link(const test::TemporaryDirectory& tree, std::string_view target, const char* path) {
  std::string text(target.substr(0, 200));
  std::erase(text, '\0');
  tree.link(text.empty() ? "." : text, path);
}

void build(const test::TemporaryDirectory& tree, std::string_view input) {
  const auto next = [&input] {
    const std::size_t cut = input.find('\xff');
    const std::string_view part = input.substr(0, cut);
    input = cut == std::string_view::npos ? std::string_view() : input.substr(cut + 1);
    return part;
  };
  tree.make_directory(kDevice);
  tree.link("../../devices/pci0000:00/0000:00:01.0/infiniband/dev0", "sys/class/infiniband/dev0");
  make_link(tree, next(), "sys/class/infiniband/dev1");
  make_link(tree, next(), "sys/devices/pci0000:00/0000:00:01.0/infiniband/dev0/device");
  make_link(tree, next(), "sys/devices/pci0000:00/0000:00:01.0/driver");
  tree.make_directory(kDevice + ("ports/" + file_name(next())));
  tree.write(kDevice + ("ports/2/gids/" + file_name(next())), "fe80::1\n");
  for (const char* const attribute : kAttributes) {
    tree.write(std::string(kDevice) + attribute, next());
  }
  for (const char* const attribute : kElsewhere) {
    tree.write(attribute, next());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool in_memory = ::access("/dev/shm", W_OK) == 0;
  const test::TemporaryDirectory tree(in_memory ? std::filesystem::path("/dev/shm")
                                                : std::filesystem::temp_directory_path());
  build(tree, std::string_view(static_cast<const char*>(static_cast<const void*>(data)), size));
  device::SnapshotOptions options;
  options.root = tree.path("");
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
