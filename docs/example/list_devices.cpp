// SPDX-License-Identifier: BSD-2-Clause
// Lists the RDMA ports of this machine, then waits for one change.
//   c++ -std=c++20 list_devices.cpp $(pkg-config --cflags --libs rdmaboot) -o list_devices
//   ./list_devices [MILLISECONDS [DIRECTORY WITH A RECORDED sys/]]
#include <cstdlib>
#include <iostream>

#include <poll.h>
#include <rdmaboot/device.hpp>
#include <rdmaboot/monitor.hpp>

using namespace rdmaboot::device;

int main(int argc, char** argv) {
  const int timeout = argc > 1 ? static_cast<int>(std::strtol(argv[1], nullptr, 10)) : 0;
  SnapshotOptions options;
  options.root = argc > 2 ? argv[2] : "";

  // Subscribe first: what happens while the list is made is then seen as well.
  auto monitor = Monitor::open();
  const auto snapshot = take_snapshot(options);
  if (!monitor || !snapshot) {
    std::cerr << (monitor ? snapshot.error() : monitor.error()).message() << '\n';
    return EXIT_FAILURE;
  }
  for (const Device& device : snapshot->devices) {
    for (const Port& port : device.ports) {
      std::cout << device.name << ':' << port.number.value << ' ' << protocol_name(port.protocol)
                << ' ' << (port.state ? name_of(*port.state) : "unknown");
      for (const GidEntry& entry : port.gids) {
        std::cout << ' ' << entry.gid.to_string();
      }
      std::cout << '\n';
    }
  }
  pollfd input{monitor->fd(), POLLIN, 0};
  if (::poll(&input, 1, timeout) > 0) {
    if (const auto change = monitor->next(); change && *change) {
      std::cout << (*change)->subsystem << ' ' << (*change)->name << ' ' << name_of((*change)->kind)
                << '\n';
    }
  }
}
