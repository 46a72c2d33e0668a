// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/facts.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "core/file.hpp"
#include "core/text.hpp"
#include "device/declared_link.hpp"
#include "device/hardware_table.hpp"

namespace rdmaboot::coldplug {
namespace {

namespace fs = std::filesystem;

/// The names in a directory, sorted; none where it is not there.
std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    if (names.size() >= kMaxEntries) {
      break;
    }
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// "mlx5_core.rdma.0" -> "mlx5_core.rdma"; empty unless it is a function for an RDMA driver. The
/// middle part is what the drivers of Linux 5.11 to 6.18 call theirs (auxiliary_device.name in
/// mlx5_core, mlx4_core, ice, i40e, bnxt_en, mana, ionic; idpf's is "8086.rdma.core").
std::string rdma_function_of(std::string_view auxiliary) {
  const auto id = auxiliary.rfind('.');
  if (id == std::string_view::npos || !core::parse_number<unsigned>(auxiliary.substr(id + 1))) {
    return {};
  }
  const std::string_view match = auxiliary.substr(0, id);
  constexpr std::string_view kKinds[] = {".rdma.", ".iwarp.", ".roce.", ".ib."};
  const bool wanted = std::any_of(std::begin(kKinds), std::end(kKinds), [&](std::string_view kind) {
    return auxiliary.substr(0, id + 1).find(kind) != std::string_view::npos;
  });
  return wanted ? std::string(match) : std::string();
}

/// Whether a driver is through with a function. The kernel sets the link to the driver before it
/// calls probe; the driver's link to its module comes after its first probes, which run inside the
/// module's init function (bus_add_driver() in drivers/base/bus.c).
bool is_through(const std::string& function) {
  std::error_code error;
  const std::string module = function + "/driver/module";
  if (!fs::exists(module, error)) {
    return false;
  }
  const auto state = core::read_file(module + "/initstate");
  return !state || core::trim(*state) == "live";
}

void read_auxiliary_functions(const std::string& root, const Outside& outside, Facts& facts) {
  const std::string bus = root + "/sys/bus/auxiliary/devices";
  for (const std::string& name : names_in(bus)) {
    const std::string match = rdma_function_of(name);
    if (match.empty()) {
      continue;
    }
    const std::string alias = "auxiliary:" + match;
    facts.functions.push_back(
        {name, alias, is_through(bus + "/" + name) ? Driver::kDone : outside.module_state(alias)});
  }
}

void read_pci_functions(const std::string& root, const Outside& outside, Facts& facts) {
  for (const device::HardwareRow& entry : device::hardware_table()) {
    if (entry.binding != device::Binding::kExplicitLoad) {
      continue;
    }
    const std::string directory = root + "/sys/bus/pci/drivers/" + std::string(entry.nic_driver);
    for (const std::string& name : names_in(directory)) {
      if (name.find(':') == std::string::npos) {
        continue;  // bind, unbind, module: not an address
      }
      const std::string module(entry.rdma_module);
      facts.functions.push_back({name, module, outside.module_state(module)});
    }
  }
}

void read_declared_links(const std::string& root, const Outside& outside, Reading& reading) {
  device::DeclaredLinks declared = device::read_declared_links(root);
  std::move(declared.errors.begin(), declared.errors.end(), std::back_inserter(reading.errors));
  const std::vector<std::string> refused =
      names_in(root + std::string(device::kRefusedLinksDirectory));
  for (const device::DeclaredLink& link : declared.links) {
    // rdma-link has tried, or cannot make it without the module: it will not come.
    if (link.wait_at_boot && !std::binary_search(refused.begin(), refused.end(), link.name) &&
        outside.module_state(std::string(device::module_of(link.type))) != Driver::kNeverComes) {
      reading.facts.links.push_back({link.name, link.file});
    }
  }
}

void read_devices(const std::string& root, const Outside& outside, Facts& facts) {
  const std::string directory = root + "/sys/class/infiniband";
  std::vector<std::string> units;
  for (const std::string& name : names_in(directory)) {
    std::error_code error;
    const fs::path real = fs::canonical(directory + "/" + name, error);
    if (error) {
      continue;  // gone since the directory was read
    }
    units.push_back(core::unit_name_from_path(real.string().substr(root.size()), ".device"));
    facts.devices.push_back({name, false});
  }
  if (units.empty()) {
    return;
  }
  const std::vector<bool> active = outside.active_units(units);
  for (std::size_t i = 0; i < facts.devices.size() && i < active.size(); ++i) {
    facts.devices[i].known_to_systemd = active[i];
  }
}

}  // namespace

Reading read_facts(const std::string& root, const Outside& outside) {
  Reading reading;
  read_auxiliary_functions(root, outside, reading.facts);
  read_pci_functions(root, outside, reading.facts);
  read_declared_links(root, outside, reading);
  read_devices(root, outside, reading.facts);
  return reading;
}

}  // namespace rdmaboot::coldplug
