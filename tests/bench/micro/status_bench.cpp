// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views
//
// `rdmactl status --root DIR` for a large machine: 200 devices with 8 ports each, as files in
// memory like sysfs, from the first directory to the last line of text.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "device/host_facts.hpp"
#include "device/snapshot.hpp"
#include "rdmactl/status.hpp"
#include "rdmactl/status_json.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::rdmactl {
namespace {

constexpr int kDevices = 200;
constexpr int kPorts = 8;
constexpr int kGids = 4;

/// An adapter of InfiniBand in a PCI slot of its own, as the recording mlx5-ib has one.
void add_device(const test::TemporaryDirectory& tree, int number, int pkeys) {
  char slot[32];
  std::snprintf(slot, sizeof slot, "0000:%02x:%02x.0", 1 + number / 32, number % 32);
  const std::string name = "mlx5_" + std::to_string(number);
  const std::string pci = std::string("sys/devices/pci0000:00/") + slot;
  const std::string device = pci + "/infiniband/" + name;
  tree.write(pci + "/vendor", "0x15b3\n");
  tree.write(pci + "/numa_node", "0\n");
  tree.link("../../../bus/pci", pci + "/subsystem");
  tree.link(std::string("../../devices/pci0000:00/") + slot + "/infiniband/" + name,
            "sys/class/infiniband/" + name);
  tree.link(std::string("../../../") + slot, device + "/device");
  tree.write(device + "/node_type", "1: CA\n");
  tree.write(device + "/node_desc", "node17 " + name + "\n");
  tree.write(device + "/fw_ver", "20.31.1014\n");
  tree.write(device + "/hca_type", "MT4123\n");
  char guid[32];
  std::snprintf(guid, sizeof guid, "b859:9f03:0005:%04x\n", number);
  tree.write(device + "/node_guid", guid);
  tree.write(device + "/sys_image_guid", guid);
  const std::string uverbs = pci + "/infiniband_verbs/uverbs" + std::to_string(number);
  tree.write(uverbs + "/ibdev", name + "\n");
  tree.write(uverbs + "/dev", "231:" + std::to_string(192 + number) + "\n");
  tree.link("../../devices/pci0000:00/" + std::string(slot) + "/infiniband_verbs/uverbs" +
                std::to_string(number),
            "sys/class/infiniband_verbs/uverbs" + std::to_string(number));
  tree.write("dev/infiniband/uverbs" + std::to_string(number), "");
  for (int port = 1; port <= kPorts; ++port) {
    const std::string at = device + "/ports/" + std::to_string(port);
    const std::map<std::string, std::string> values = {{"state", "4: ACTIVE"},
                                                       {"phys_state", "5: LinkUp"},
                                                       {"link_layer", "InfiniBand"},
                                                       {"rate", "200 Gb/sec (4X HDR)"},
                                                       {"lid", "0x1a"},
                                                       {"lid_mask_count", "0"},
                                                       {"sm_lid", "0x1"},
                                                       {"sm_sl", "0"},
                                                       {"cap_mask", "0x2651e848"}};
    for (const auto& [file, value] : values) {
      tree.write(at + "/" + file, value + "\n");
    }
    for (int gid = 0; gid < kGids; ++gid) {
      tree.write(at + "/gids/" + std::to_string(gid),
                 gid == 0 ? "fe80:0000:0000:0000:" + std::string(guid)
                          : "0000:0000:0000:0000:0000:0000:0000:0000\n");
      tree.write(at + "/gid_attrs/types/" + std::to_string(gid), "IB/RoCE v1\n");
    }
    for (int pkey = 0; pkey < pkeys; ++pkey) {
      tree.write(at + "/pkeys/" + std::to_string(pkey), pkey == 0 ? "0xffff\n" : "0x0000\n");
    }
  }
}

std::unique_ptr<test::TemporaryDirectory> make_tree(int pkeys) {
  const std::filesystem::path memory = "/dev/shm";
  auto tree = std::make_unique<test::TemporaryDirectory>(
      std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path());
  for (int number = 0; number < kDevices; ++number) {
    add_device(*tree, number, pkeys);
  }
  return tree;
}

/// What the verb does but for reading its command line and writing its text.
void status(benchmark::State& state, bool json) {
  const auto tree = make_tree(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    device::SnapshotOptions wanted;
    wanted.root = tree->path("");
    wanted.most_pkeys = json ? SIZE_MAX : 1;  // as the verb
    const auto snapshot = device::take_snapshot(wanted);
    if (!snapshot || snapshot->devices.size() != kDevices) {
      state.SkipWithError("not every device was found");
      return;
    }
    const auto ports =
        judge_ports(*snapshot, device::HostFactReader::read_recorded(*snapshot, wanted.root));
    const std::string text =
        json ? status_json(*snapshot, ports).dump(2) : status_text(ports, {80, true});
    if (ports.size() != std::size_t{kDevices} * kPorts || text.size() < 10'000) {
      state.SkipWithError("not every port is shown");
    }
    benchmark::DoNotOptimize(text.data());
  }
}

// The argument: entries of a port's P_Key table. Adapters have 128.
BENCHMARK_CAPTURE(status, text, false)->Arg(4)->Arg(128)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(status, json, true)->Arg(4)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rdmaboot::rdmactl
