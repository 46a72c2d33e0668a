// SPDX-License-Identifier: BSD-2-Clause
#include "os/udev_rules.hpp"

#include <gtest/gtest.h>

#include "temporary_directory.hpp"

namespace rdmaboot::os {
namespace {

TEST(UdevRules, DevicesBecomeUnitsOnlyWhereUdevRunsAndTheRuleIsInEffect) {
  const test::TemporaryDirectory root;
  EXPECT_FALSE(devices_become_units(root.path(""))) << "no udevd";
  root.write("run/udev/control", "");
  EXPECT_FALSE(devices_become_units(root.path(""))) << "no rule: an initrd without it";
  root.write("lib/udev/rules.d/90-rdma-ulp-modules.rules", "");
  EXPECT_TRUE(devices_become_units(root.path("")));
  root.link("/dev/null", "etc/udev/rules.d/90-rdma-ulp-modules.rules");
  EXPECT_FALSE(devices_become_units(root.path(""))) << "masked by the admin";
}

}  // namespace
}  // namespace rdmaboot::os
