// SPDX-License-Identifier: BSD-2-Clause
// The example of the documentation as a program, and what the shared library offers and needs.
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "rdmaboot/device.hpp"
#include "recorded_tree.hpp"

namespace rdmaboot {
namespace {

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome result;
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return result;
  }
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) {
    result.output += buffer;
  }
  result.status = ::pclose(pipe);
  return result;
}

TEST(Example, ListsEveryPortWithProtocolStateAndGids) {
  const test::RecordedTree tree({"mlx4-mixed", "siw"});
  const Outcome shown = run(RDMABOOT_LIST_DEVICES " 0 " + tree.path(""));
  EXPECT_EQ(shown.status, 0);
  EXPECT_EQ(shown.output,
            "mlx4_0:1 infiniband ACTIVE fe80:0000:0000:0000:f452:1403:008b:db81\n"
            "mlx4_0:2 roce ACTIVE fe80:0000:0000:0000:f652:14ff:fe8b:db82 "
            "fe80:0000:0000:0000:f652:14ff:fe8b:db82\n"
            "siw0:1 iwarp ACTIVE 5254:00c0:fe12:0000:0000:0000:0000:0000\n");
}

TEST(Example, TreeWithoutSysfsIsOneClearMessage) {
  const test::TemporaryDirectory tree;
  const Outcome refused = run(RDMABOOT_LIST_DEVICES " 0 " + tree.path(""));
  EXPECT_NE(refused.status, 0);
  EXPECT_EQ(refused.output, "open " + tree.path("") + "/sys: No such file or directory\n");
}

TEST(ThisMachine, CanBeEnumeratedWhateverItHas) {
  const auto snapshot = device::take_snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_TRUE(snapshot->consistent);
}

}  // namespace
}  // namespace rdmaboot
