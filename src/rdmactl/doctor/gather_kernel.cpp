// SPDX-License-Identifier: BSD-2-Clause
// The running kernel: its options, its modules, and what keeps modules out.
#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "device/hardware_table.hpp"
#include "os/module_index.hpp"
#include "rdmactl/doctor/gather.hpp"
#include "rdmactl/doctor/ours.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string line_of(Tree& tree, const std::string& path) {
  const auto text = tree.read(path);
  return text ? std::string(core::trim(*text)) : std::string{};
}

std::string with_underscores(std::string_view name) {
  std::string spelt(name);
  std::replace(spelt.begin(), spelt.end(), '-', '_');
  return spelt;
}

/// "ib_core" for "kernel/drivers/infiniband/core/ib_core.ko.xz".
std::string module_of_path(std::string_view path) {
  path.remove_prefix(std::min(path.size(), path.rfind('/') + 1));
  return with_underscores(path.substr(0, path.find(".ko")));
}

/// A line without its comment, and without blanks at its ends.
std::string_view content_of(std::string_view line) {
  return core::trim(line.substr(0, line.find_first_of("#;")));
}

/// Calls `take` with each line and its number.
template <typename Take>
void each_line(std::string_view text, Take take) {
  unsigned number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    take(text.substr(0, end), ++number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void read_index(Tree& tree, const std::string& home, Examined& examined) {
  if (const auto index = tree.read(home + "/modules.dep")) {
    examined.has_module_tree = true;
    each_line(*index, [&](std::string_view line, unsigned) {
      examined.modules.insert(module_of_path(line.substr(0, line.find(':'))));
    });
  }
  if (const auto builtin = tree.read(home + "/modules.builtin")) {
    each_line(*builtin, [&](std::string_view line, unsigned) {
      examined.modules.insert(module_of_path(core::trim(line)));
    });
  }
  // "alias xprtrdma rpcrdma": those that are no patterns.
  if (const auto aliases = tree.read(home + "/modules.alias")) {
    each_line(*aliases, [&](std::string_view line, unsigned) {
      const auto words = core::split(line, kBlanks);
      if (words.size() == 3 && words[0] == "alias" &&
          words[1].find_first_of("*?[:") == std::string_view::npos &&
          examined.modules.contains(words[2])) {
        examined.modules.insert(with_underscores(words[1]));
      }
    });
  }
}

/// Directories of a kind of configuration, each file name once, by the first that has it.
std::map<std::string, std::string> layered(Tree& tree, std::span<const char* const> directories,
                                           std::string_view suffix) {
  std::map<std::string, std::string> files;
  for (const char* const directory : directories) {
    for (const std::string& name : tree.list(directory)) {
      if (name.ends_with(suffix)) {
        files.try_emplace(name, std::string(directory) + "/" + name);
      }
    }
  }
  return files;
}

void read_denials(Tree& tree, Examined& examined) {
  constexpr auto kDirectories =
      std::to_array<const char*>({"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d",
                                  "/usr/lib/modprobe.d", "/lib/modprobe.d"});
  for (const auto& file : layered(tree, kDirectories, ".conf")) {
    const std::string& path = file.second;
    const auto text = tree.read(path);
    each_line(text.value_or(std::string{}), [&](std::string_view line, unsigned number) {
      const auto words = core::split(line, kBlanks);
      constexpr std::size_t kCommand = 2;
      const bool denies = (words.size() > 1 && words[0] == "blacklist") ||
                          (words.size() > kCommand && words[0] == "install" &&
                           os::is_denial(core::trim(line.substr(
                               static_cast<std::size_t>(words[kCommand].data() - line.data())))));
      if (denies) {
        examined.denied.try_emplace(
            with_underscores(words[1]),
            path + ":" + std::to_string(number) + ": " + std::string(core::trim(line)));
      }
    });
  }
  constexpr std::string_view kModprobe = "modprobe.blacklist=";
  const std::string command_line = line_of(tree, "/proc/cmdline");
  for (std::string_view word : core::split(command_line, " ")) {
    if (word.starts_with(kModprobe)) {
      for (const std::string_view module : core::split(word.substr(kModprobe.size()), ",")) {
        examined.denied.try_emplace(with_underscores(module),
                                    "kernel command line: " + std::string(word));
      }
    }
  }
  for (const std::string& module : examined.parameters.blacklist) {
    examined.denied.try_emplace(module, "kernel command line: module_blacklist=");
  }
}

bool speaks(const Examined& examined, device::Protocol protocol) {
  const auto& devices = examined.devices.devices;
  return std::any_of(devices.begin(), devices.end(), [protocol](const device::Device& device) {
    return device.protocol == protocol ||
           std::any_of(device.ports.begin(), device.ports.end(),
                       [protocol](const auto& port) { return port.protocol == protocol; });
  });
}

void read_list(Tree& tree, const std::string& path, Examined& examined) {
  const auto text = tree.read(path);
  each_line(text.value_or(std::string{}), [&](std::string_view line, unsigned number) {
    if (const std::string_view name = content_of(line); !name.empty()) {
      examined.listed.push_back({with_underscores(name), path + ":" + std::to_string(number)});
    }
  });
}

/// A list with its drop-ins (rdma-modules.d(5)).
void read_layers(Tree& tree, const std::string& name, Examined& examined) {
  const std::string file = name + ".conf";
  std::vector<std::string> homes{"/etc/rdma/modules/", "/run/rdma/modules/",
                                 "/usr/lib/rdma/modules/"};
  for (const std::string& home : homes) {
    if (is_mask(tree.link(home + file))) {
      return;
    }
    if (tree.exists(home + file)) {
      read_list(tree, home + file, examined);
      break;
    }
  }
  std::vector<std::string> drop_in_homes;
  drop_in_homes.reserve(homes.size());
  for (const std::string& home : homes) {
    drop_in_homes.push_back(home + file + ".d");
  }
  std::vector<const char*> pointers;
  pointers.reserve(drop_in_homes.size());
  for (const std::string& home : drop_in_homes) {
    pointers.push_back(home.c_str());
  }
  for (const auto& [drop_in, path] : layered(tree, pointers, ".conf")) {
    read_list(tree, path, examined);
  }
}

}  // namespace

void gather_kernel(Tree& tree, Examined& examined) {
  examined.kernel_release = line_of(tree, "/proc/sys/kernel/osrelease");
  examined.hostname = line_of(tree, "/proc/sys/kernel/hostname");
  examined.parameters = os::parse_kernel_command_line(line_of(tree, "/proc/cmdline"));
  const std::string& release = examined.kernel_release;
  if (release.empty() || release.find('/') != std::string::npos) {
    return;
  }
  for (const std::string& path : {"/boot/config-" + release, "/lib/modules/" + release + "/config",
                                  "/usr/lib/modules/" + release + "/config"}) {
    const auto text = tree.read(path);
    if (!text) {
      continue;
    }
    examined.kernel_options_file = path;
    each_line(*text, [&](std::string_view line, unsigned) {
      const std::size_t equals = line.find('=');
      if (line.starts_with("CONFIG_") && equals != std::string_view::npos &&
          equals + 1 < line.size()) {
        examined.kernel_options.emplace(line.substr(0, equals), line[equals + 1]);
      }
    });
    return;
  }
}

void gather_modules(Tree& tree, Examined& examined) {
  if (!examined.kernel_release.empty() && examined.kernel_release.find('/') == std::string::npos) {
    read_index(tree, "/lib/modules/" + examined.kernel_release, examined);
  }
  read_denials(tree, examined);
  read_layers(tree, "rdma", examined);
  constexpr auto kLists = std::to_array<std::pair<device::Protocol, const char*>>(
      {{device::Protocol::kInfiniBand, "infiniband"},
       {device::Protocol::kOpa, "opa"},
       {device::Protocol::kRoce, "roce"},
       {device::Protocol::kIwarp, "iwarp"},
       {device::Protocol::kIwarp, "iwpmd"}});
  for (const auto& [protocol, list] : kLists) {
    if (speaks(examined, protocol)) {
      read_layers(tree, list, examined);
    }
  }
  for (const device::HardwareRow& row : device::hardware_table()) {
    const std::string home = "/sys/bus/pci/drivers/" + std::string(row.nic_driver);
    for (const std::string& name : tree.list(home)) {
      if (name.find(':') != std::string::npos && tree.link(home + "/" + name)) {
        examined.bound_drivers.emplace(row.nic_driver);
        break;
      }
    }
  }
  const auto look = [&](const std::string& name) {
    if (name.find('/') == std::string::npos && tree.exists("/sys/module/" + name)) {
      examined.loaded.insert(name);
    }
  };
  std::for_each(kCoreModules.begin(), kCoreModules.end(),
                [&](std::string_view name) { look(std::string(name)); });
  for (const ListedModule& listed : examined.listed) {
    look(listed.name);
  }
  for (const device::HardwareRow& row : device::hardware_table()) {
    look(std::string(row.rdma_module));
  }
}

}  // namespace rdmaboot::rdmactl::doctor
