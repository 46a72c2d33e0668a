// SPDX-License-Identifier: BSD-2-Clause
// rdma_id as udev starts it: its output, its exit status, and how long a worker waits for it.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorded_tree.hpp"

namespace rdmaboot {
namespace {

using test::RecordedTree;

struct Ended {
  int status = -1;
  std::string output;
};

/// Runs a shell command and keeps its standard output.
Ended run(const std::string& command) {
  Ended ended;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return ended;
  }
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    ended.output += static_cast<char>(c);
  }
  const int status = ::pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

std::string in_testbed(const std::string& recording, const std::string& arguments) {
  // For a build with AddressSanitizer, whose library does not like to be loaded after umockdev's.
  return "ASAN_OPTIONS=verify_asan_link_order=0 " UMOCKDEV_RUN " --device=" RDMABOOT_SOURCE_DIR
         "/tests/data/umockdev/" +
         recording + ".umockdev -- " RDMA_ID " " + arguments;
}

constexpr const char* kMlx5Lines =
    "ID_RDMA_INFINIBAND=1\n"
    "ID_RDMA_PROTOCOL=infiniband\n"
    "ID_RDMA_DRIVER=mlx5_core\n"
    "ID_RDMA_BOARD_ID=MT_0000000223\n"
    "ID_MODEL=MT4123\n";

TEST(RdmaIdProgram, PrintsPropertiesForANameADevpathAndTheEnvironment) {
  const std::string devpath = "/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0";
  for (const std::string& command :
       {in_testbed("mlx5-ib", "mlx5_0"), in_testbed("mlx5-ib", devpath),
        "DEVPATH=" + devpath + " " + in_testbed("mlx5-ib", "")}) {
    const Ended ended = run(command);
    EXPECT_EQ(ended.status, 0) << command;
    // What follows depends on this machine's name.
    EXPECT_THAT(ended.output, ::testing::StartsWith(kMlx5Lines)) << command;
  }
}

TEST(RdmaIdProgram, DeviceThatIsGoneGivesNothingAndFails) {
  const Ended ended = run(in_testbed("mlx5-ib", "mlx5_7 2>/dev/null"));
  EXPECT_NE(ended.status, 0);
  EXPECT_EQ(ended.output, "");
}

TEST(RdmaIdProgram, MalformedAttributeGivesNothingAndFails) {
  const RecordedTree tree({"siw"});
  tree.write("sys/devices/virtual/infiniband/siw0/node_type", "\x1b[31m\n");
  const Ended ended = run(RDMA_ID " --root=" + tree.path("") + " siw0 2>&1 >/dev/null");
  EXPECT_NE(ended.status, 0);
  EXPECT_NE(ended.output.find("node_type"), std::string::npos) << ended.output;
  EXPECT_EQ(run(RDMA_ID " --root=" + tree.path("") + " siw0 2>/dev/null").output, "");
}

TEST(RdmaIdProgram, OutputThatCannotBeWrittenIsAFailure) {
  const RecordedTree tree({"siw"});
  EXPECT_NE(run(RDMA_ID " --root=" + tree.path("") + " siw0 >/dev/full").status, 0);
}

TEST(RdmaIdProgram, WorkerWaitsLessThanFiveMilliseconds) {
#ifdef __SANITIZE_ADDRESS__
  constexpr std::chrono::milliseconds kBound{200};  // the sanitizer's own start-up
#else
  constexpr std::chrono::milliseconds kBound{5};
#endif
  const RecordedTree tree({"mlx5-ib"});
  std::string root = "--root=" + tree.path("");
  std::string device = "mlx5_0";
  std::string program = RDMA_ID;
  char* const arguments[] = {program.data(), root.data(), device.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ASSERT_EQ(::posix_spawn_file_actions_init(&actions), 0);
  ASSERT_EQ(::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0), 0);
  // The best of many: what it costs by itself, not what else the machine is doing.
  auto best = std::chrono::steady_clock::duration::max();
  constexpr int kRuns = 200;
  for (int i = 0; i < kRuns; ++i) {
    const auto before = std::chrono::steady_clock::now();
    pid_t child = 0;
    ASSERT_EQ(::posix_spawn(&child, RDMA_ID, &actions, nullptr, arguments, environ), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    best = std::min(best, std::chrono::steady_clock::now() - before);
  }
  ::posix_spawn_file_actions_destroy(&actions);
  EXPECT_LT(best, kBound);
}

}  // namespace
}  // namespace rdmaboot
