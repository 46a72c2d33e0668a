// SPDX-License-Identifier: BSD-2-Clause
#include "device/hardware_table.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::device {
namespace {

std::string read_source(const std::string& path) {
  auto text = core::read_file(RDMABOOT_SOURCE_DIR "/" + path);
  EXPECT_TRUE(text) << text.error().message();
  return text.value_or("");
}

std::set<std::string> modules_of(const std::string& kernel) {
  std::set<std::string> names;
  const std::string text = read_source("tests/data/kernel-modules/" + kernel + ".txt");
  for (const std::string_view line : core::split(text, "\n")) {
    if (!line.starts_with('#')) {
      names.emplace(line);
    }
  }
  return names;
}

std::string_view between(std::string_view text, std::string_view from, std::string_view to) {
  const std::size_t start = text.find(from);
  if (start == std::string_view::npos) {
    return {};
  }
  text.remove_prefix(start + from.size());
  return text.substr(0, text.find(to));
}

using Loads = std::set<std::pair<std::string, std::string>>;

/// (match and driver, module) of each line of the rules that loads something.
Loads loads_in_rules() {
  Loads loads;
  const std::string rules = read_source("udev-rules/90-rdma-hw-modules.rules");
  for (const std::string_view line : core::split(rules, "\n")) {
    if (line.starts_with('#') || line.find("kmod load") == std::string_view::npos) {
      continue;
    }
    const bool net = line.starts_with("ENV{ID_NET_DRIVER}==");
    const std::string driver(between(line, "==\"", "\""));
    loads.emplace((net ? "net " : "pci ") + driver, between(line, "kmod load ", "\""));
  }
  return loads;
}

TEST(HardwareTable, RulesLoadExactlyWhatNobodyElseLoads) {
  Loads wanted;
  for (const HardwareRow& row : hardware_table()) {
    if (row.binding == Binding::kExplicitLoad) {
      wanted.emplace((row.match == MatchOn::kNet ? "net " : "pci ") + std::string(row.nic_driver),
                     row.rdma_module);
    }
  }
  EXPECT_EQ(loads_in_rules(), wanted);
  EXPECT_GE(wanted.size(), 7U);
}

TEST(HardwareTable, EachModuleIsInDebiansKernelsOrMarkedAsAbsent) {
  const std::set<std::string> debian12 = modules_of("debian12-6.1");
  const std::set<std::string> debian13 = modules_of("debian13-6.12");
  for (const HardwareRow& row : hardware_table()) {
    const std::string name(row.rdma_module);
    EXPECT_EQ(debian12.contains(name), row.in_debian12) << name << " in 6.1";
    EXPECT_EQ(debian13.contains(name), row.in_debian13) << name << " in 6.12";
  }
}

TEST(HardwareTable, EveryHardwareDriverOfDebiansKernelsHasARow) {
  // What lies below drivers/infiniband and drives no hardware: the core, its users, software
  // devices.
  const std::set<std::string> no_hardware = {
      "ib_cm",  "ib_core",  "ib_umad",  "ib_uverbs", "iw_cm",    "rdma_cm", "rdma_ucm",
      "rdmavt", "rdma_rxe", "ib_ipoib", "ib_iser",   "ib_isert", "ib_srp",  "ib_srpt"};
  std::set<std::string> known;
  for (const HardwareRow& row : hardware_table()) {
    known.emplace(row.nic_driver);
    known.emplace(row.rdma_module);
  }
  for (const char* kernel : {"debian12-6.1", "debian13-6.12"}) {
    for (const std::string& module : modules_of(kernel)) {
      EXPECT_TRUE(known.contains(module) || no_hardware.contains(module)) << module << kernel;
    }
  }
}

TEST(HardwareTable, EachRowIsThereOnceAndSaysWhereItIsFrom) {
  std::set<std::pair<std::string_view, std::string_view>> rows;
  for (const HardwareRow& row : hardware_table()) {
    EXPECT_TRUE(rows.emplace(row.nic_driver, row.rdma_module).second) << row.nic_driver;
    EXPECT_TRUE(row.source.starts_with("drivers/infiniband/hw/")) << row.nic_driver;
    EXPECT_FALSE(row.kernels.empty()) << row.nic_driver;
    EXPECT_EQ(row.rdma_module.find('-'), std::string_view::npos) << row.rdma_module;
  }
}

TEST(HardwareTable, SoftwareDevicesAreNeverLoadedUnasked) {
  for (const HardwareRow& row : hardware_table()) {
    EXPECT_NE(row.rdma_module, "rdma_rxe");
    EXPECT_NE(row.rdma_module, "siw");
  }
}

}  // namespace
}  // namespace rdmaboot::device
