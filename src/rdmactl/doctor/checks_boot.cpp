// SPDX-License-Identifier: BSD-2-Clause
// Kernel, modules, rules, initramfs.
#include <algorithm>

#include "device/hardware_table.hpp"
#include "rdmactl/doctor/checks.hpp"
#include "rdmactl/doctor/ours.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

bool has(const Examined& examined, std::string_view module) {
  return examined.modules.contains(module) || examined.loaded.contains(module);
}

bool is_core(std::string_view module) {
  return std::find(kCoreModules.begin(), kCoreModules.end(), module) != kCoreModules.end();
}

/// The RDMA modules of adapters whose first driver is at work here.
std::vector<const device::HardwareRow*> hardware(const Examined& examined) {
  std::vector<const device::HardwareRow*> rows;
  for (const device::HardwareRow& row : device::hardware_table()) {
    if (examined.bound_drivers.contains(row.nic_driver)) {
      rows.push_back(&row);
    }
  }
  return rows;
}

}  // namespace

Findings check_kernel_options(const Examined& examined) {
  Findings findings;
  if (examined.kernel_options.empty()) {
    return findings;
  }
  for (const KernelOption& option : kKernelOptions) {
    const auto found = examined.kernel_options.find(option.name);
    if (found == examined.kernel_options.end() || (found->second != 'y' && found->second != 'm')) {
      findings.push_back({std::string(option.name),
                          examined.kernel_options_file + ": " + std::string(option.name) +
                              " is not set. It is needed for " + std::string(option.purpose) + ".",
                          "Boot a kernel that has it; the distribution's own kernels do."});
    }
  }
  return findings;
}

Findings check_modules_missing(const Examined& examined) {
  Findings findings;
  const std::string& release = examined.kernel_release;
  if (release.empty()) {
    return findings;
  }
  if (!examined.has_module_tree) {
    findings.push_back(
        {release, "There is no module index in /lib/modules/" + release + ", the kernel that runs.",
         "Boot the kernel that is installed, or install the modules of this one "
         "and run depmod."});
    return findings;
  }
  for (const std::string_view module : kCoreModules) {
    if (!has(examined, module)) {
      findings.push_back({std::string(module), "Kernel " + release + " has no such module.",
                          "Install the package with the rest of this kernel's modules."});
    }
  }
  for (const ListedModule& listed : examined.listed) {
    if (!is_core(listed.name) && !has(examined, listed.name)) {
      findings.push_back(
          {listed.name,
           listed.origin + " asks for it, and kernel " + release + " has no such module.",
           "Take the line out of the list, or install the module."});
    }
  }
  return findings;
}

Findings check_driver_module(const Examined& examined) {
  Findings findings;
  if (!examined.has_module_tree) {
    return findings;
  }
  for (const device::HardwareRow* const row : hardware(examined)) {
    if (!has(examined, row->rdma_module)) {
      findings.push_back({std::string(row->rdma_module),
                          "An adapter is driven by " + std::string(row->nic_driver) +
                              "; its RDMA half is in " + std::string(row->rdma_module) +
                              ", which kernel " + examined.kernel_release + " does not have.",
                          "If the adapter shall do RDMA, boot a kernel with that module (" +
                              std::string(row->kernels) + ")."});
    }
  }
  return findings;
}

Findings check_module_denied(const Examined& examined) {
  Findings findings;
  std::set<std::string, std::less<>> wanted(kCoreModules.begin(), kCoreModules.end());
  for (const ListedModule& listed : examined.listed) {
    wanted.insert(listed.name);
  }
  for (const device::HardwareRow* const row : hardware(examined)) {
    wanted.emplace(row->rdma_module);
  }
  for (const auto& [module, origin] : examined.denied) {
    if (wanted.contains(module)) {
      findings.push_back({module, origin,
                          "Take the line out (and make the initramfs anew if it holds it too), "
                          "or take the module out of the list in /etc/rdma/modules."});
    }
  }
  return findings;
}

Findings check_loading_disabled(const Examined& examined) {
  Findings findings;
  if (!examined.parameters.load) {
    findings.push_back({"rdma_boot.load", "The kernel command line has rdma_boot.load=0.",
                        "Take it out of the boot loader's configuration and boot again."});
  }
  return findings;
}

Findings check_rules_missing(const Examined& examined) {
  Findings findings;
  for (const auto& [name, rules] : examined.rules) {
    if (rules.paths.empty()) {
      findings.push_back(
          {name, "It is in none of udev's directories.", "Install the package rdma-boot again."});
    }
  }
  return findings;
}

Findings check_rules_overridden(const Examined& examined) {
  Findings findings;
  for (const auto& [name, rules] : examined.rules) {
    // The first is not the package's: somebody put one in its place.
    const bool replaced = rules.paths.size() > 1 || rules.masked;
    if (name == kNamingRules || !replaced || rules.paths.front().starts_with("/usr/lib") ||
        rules.paths.front().starts_with("/lib")) {
      continue;
    }
    findings.push_back(
        {name,
         rules.paths.front() +
             (rules.masked ? " masks it." : " is used in place of the package's."),
         "Remove that file and run udevadm control --reload. Rules of your own belong into a file "
         "with another name."});
  }
  return findings;
}

Findings check_initramfs_stale(const Examined& examined) {
  Findings findings;
  if (!examined.initramfs) {
    return findings;
  }
  for (const FileTime& source : examined.initramfs_sources) {
    if (source.changed > examined.initramfs->changed) {
      findings.push_back({examined.initramfs->path, source.path + " has changed since it was made.",
                          "Make it anew: update-initramfs -u, or dracut -f."});
    }
  }
  return findings;
}

}  // namespace rdmaboot::rdmactl::doctor
