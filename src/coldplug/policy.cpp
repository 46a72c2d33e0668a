// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/policy.hpp"

#include <algorithm>

namespace rdmaboot::coldplug {

std::vector<std::string> still_to_come(const Facts& facts) {
  std::vector<std::string> missing;
  for (const RdmaFunction& function : facts.functions) {
    if (function.driver == Driver::kOnTheWay) {
      missing.push_back("driver " + function.module + " has not taken " + function.name + " yet");
    }
  }
  for (const DeclaredLink& link : facts.links) {
    const bool there = std::any_of(facts.devices.begin(), facts.devices.end(),
                                   [&](const PresentDevice& d) { return d.name == link.name; });
    if (!there) {
      missing.push_back("link " + link.name + " is declared in " + link.file +
                        " and not there yet");
    }
  }
  for (const PresentDevice& device : facts.devices) {
    // Only when PID 1 knows the device has it queued the loaders of its protocol, which then hold
    // sysinit.target by themselves.
    if (!device.known_to_systemd) {
      missing.push_back("udev has not finished with device " + device.name + " yet");
    }
  }
  return missing;
}

}  // namespace rdmaboot::coldplug
