// SPDX-License-Identifier: BSD-2-Clause
// Everything that the library says, as text for the VM scenario library-live.
//   show_devices snapshot [sysfs|netlink|verbs]...   what to ask; all if nothing is given
//   show_devices watch MILLISECONDS kernel|udev [BYTES]   one line a change, until it is quiet so
//     long (-1: for ever); with a receive buffer of that size
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <poll.h>

#include "core/text.hpp"
#include "rdmaboot/device.hpp"
#include "rdmaboot/monitor.hpp"

namespace {

using namespace rdmaboot::device;
using rdmaboot::core::printable;

template <typename T>
std::string shown(const std::optional<T>& value) {
  return value ? std::to_string(*value) : "-";
}

void show(const Device& device) {
  std::cout << "device " << device.name << " index=" << shown(device.index)
            << " protocol=" << protocol_name(device.protocol)
            << " guid=" << (device.node_guid ? device.node_guid->to_string() : "-") << " desc='"
            << printable(device.node_description.value_or("")) << "' nodes=";
  for (const CharacterDevice& node : device.character_devices) {
    std::cout << node.node << ',';
  }
  std::cout << '\n';
  for (const Port& port : device.ports) {
    std::cout << "port " << device.name << ':' << port.number.value
              << " state=" << (port.state ? name_of(*port.state) : "-")
              << " mtu=" << shown(port.active_mtu) << '/' << shown(port.max_mtu) << " netdevs=";
    for (const Netdev& netdev : port.netdevs) {
      std::cout << netdev.name << '(' << shown(netdev.index) << "),";
    }
    std::cout << '\n';
    for (const GidEntry& entry : port.gids) {
      std::cout << "gid " << device.name << ':' << port.number.value << ' ' << entry.index << ' '
                << entry.gid.to_string() << ' ' << name_of(entry.type) << ' ' << entry.netdev
                << '\n';
    }
  }
}

int snapshot(int count, char** sources) {
  SnapshotOptions options;
  options.netlink = options.verbs = count == 0;
  for (int i = 0; i < count; ++i) {
    options.netlink |= std::string_view(sources[i]) == "netlink";
    options.verbs |= std::string_view(sources[i]) == "verbs";
  }
  const auto taken = take_snapshot(options);
  if (!taken) {
    std::cerr << taken.error().message() << '\n';
    return EXIT_FAILURE;
  }
  for (const Device& device : taken->devices) {
    show(device);
  }
  for (const auto& note : taken->notes) {
    std::cout << "note " << note.message() << '\n';
  }
  std::cout << "consistent=" << taken->consistent << '\n';
  return EXIT_SUCCESS;
}

int watch(int quiet, std::string_view source, const char* buffer) {
  MonitorOptions options;
  options.source =
      source == "kernel" ? MonitorOptions::Source::kKernel : MonitorOptions::Source::kUdev;
  if (buffer != nullptr) {
    options.receive_buffer = std::strtoul(buffer, nullptr, 10);
  }
  auto monitor = Monitor::open(options);
  if (!monitor) {
    std::cerr << monitor.error().message() << '\n';
    return EXIT_FAILURE;
  }
  std::cout << "watching" << std::endl;
  pollfd input{monitor->fd(), POLLIN, 0};
  while (::poll(&input, 1, quiet) > 0) {
    for (auto change = monitor->next(); change && *change; change = monitor->next()) {
      std::cout << (*change)->subsystem << ' ' << (*change)->name << ' ' << name_of((*change)->kind)
                << ' ' << (*change)->previous_path << std::endl;
    }
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "snapshot") {
    return snapshot(argc - 2, argv + 2);
  }
  if (verb == "watch" && argc >= 4) {
    return watch(static_cast<int>(std::strtol(argv[2], nullptr, 10)), argv[3],
                 argc > 4 ? argv[4] : nullptr);
  }
  std::cerr
      << "expected: show_devices snapshot [SOURCE...] | watch MILLISECONDS kernel|udev [BYTES]\n";
  return EXIT_FAILURE;
}
