// SPDX-License-Identifier: BSD-2-Clause
#include "os/kernel_command_line.hpp"

#include <gtest/gtest.h>

namespace rdmaboot::os {
namespace {

TEST(KernelCommandLine, NothingSaidMeansLoadWithDefaults) {
  const KernelParameters got = parse_kernel_command_line("root=/dev/vda ro quiet\n");
  EXPECT_TRUE(got.load);
  EXPECT_FALSE(got.jobs);
  EXPECT_FALSE(got.deadline_seconds);
  EXPECT_TRUE(got.blacklist.empty());
  EXPECT_EQ(got.ignored, "");
}

TEST(KernelCommandLine, KillSwitchInEachSpellingOfTheKernel) {
  for (const char* const value : {"0", "n", "N", "no", "off", "false"}) {
    EXPECT_FALSE(parse_kernel_command_line(std::string("a rdma_boot.load=") + value).load) << value;
  }
  EXPECT_FALSE(parse_kernel_command_line("rdma-boot.load=0").load)
      << "'-' and '_' are the same in a parameter's name";
  for (const char* const value : {"1", "y", "on", "true"}) {
    EXPECT_TRUE(parse_kernel_command_line(std::string("rdma_boot.load=") + value).load) << value;
  }
  EXPECT_TRUE(parse_kernel_command_line("rdma_boot.load=0 rdma_boot.load=1").load)
      << "the last one wins";
}

TEST(KernelCommandLine, NumbersOutOfRangeAreIgnoredAndTold) {
  const KernelParameters good = parse_kernel_command_line("rdma_boot.jobs=1 rdma_boot.deadline=5");
  EXPECT_EQ(good.jobs, 1U);
  EXPECT_EQ(good.deadline_seconds, 5U);
  const KernelParameters bad =
      parse_kernel_command_line("rdma_boot.jobs=0 rdma_boot.deadline=999999999999");
  EXPECT_FALSE(bad.jobs);
  EXPECT_FALSE(bad.deadline_seconds);
  EXPECT_EQ(bad.ignored, "rdma_boot.deadline=999999999999");
  EXPECT_EQ(parse_kernel_command_line("rdma_boot.load=perhaps").ignored, "rdma_boot.load=perhaps");
}

TEST(KernelCommandLine, QuotesAsTheKernelReadsThem) {
  EXPECT_FALSE(parse_kernel_command_line("\"rdma_boot.load=0\"").load);
  EXPECT_EQ(parse_kernel_command_line("module_blacklist=\"a,b c\"").blacklist,
            (std::set<std::string, std::less<>>{"a", "b c"}));
  EXPECT_TRUE(parse_kernel_command_line("x=\"rdma_boot.load=0 y\"").load)
      << "inside quotes it is part of another value";
  EXPECT_TRUE(parse_kernel_command_line("\"unclosed rdma_boot.load=0").load);
}

TEST(KernelCommandLine, BlacklistIsTheLastOneAndExact) {
  const KernelParameters got =
      parse_kernel_command_line("module_blacklist=x module_blacklist=ib_iser,,rds");
  EXPECT_EQ(got.blacklist, (std::set<std::string, std::less<>>{"ib_iser", "rds"}));
}

TEST(KernelCommandLine, ArgumentsOfInitAreNotForUs) {
  EXPECT_TRUE(parse_kernel_command_line("quiet -- rdma_boot.load=0").load);
}

}  // namespace
}  // namespace rdmaboot::os
