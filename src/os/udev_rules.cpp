// SPDX-License-Identifier: BSD-2-Clause
#include "os/udev_rules.hpp"

#include <unistd.h>

#include "core/config.hpp"

namespace rdmaboot::os {

bool devices_become_units(const std::string& root) {
  // Of a running udevd.
  if (::access((root + "/run/udev/control").c_str(), F_OK) != 0) {
    return false;
  }
  // Where udev looks for rules: the first file of a name counts, and a link to /dev/null masks.
  core::ConfigLayers layers;
  for (const char* const directory :
       {"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
        "/usr/lib/udev/rules.d", "/lib/udev/rules.d"}) {
    layers.directories.push_back(root + directory);
  }
  const core::ConfigFiles rule = core::find_config(layers, "90-rdma-ulp-modules.rules");
  return !rule.masked && !rule.paths.empty();
}

}  // namespace rdmaboot::os
