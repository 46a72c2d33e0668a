// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
#include <string>

#include <gtest/gtest.h>

#include "load-modules/module_times.hpp"

namespace rdmaboot::load_modules {
namespace {

TEST(ModuleTimes, WhatIsWrittenIsReadBack) {
  const ModuleTimes times = {{"ib_core", 1234}, {"rdma_cm", 0}};
  EXPECT_EQ(parse_module_times(format_module_times(times)), times);
}

TEST(ModuleTimes, GarbageIsDroppedLineByLine) {
  const ModuleTimes times =
      parse_module_times("a 1\nb\nc x\nd 2 3\n../e 4\nf -1\ng 99999999999999999999\nh-i 5\nj 6");
  EXPECT_EQ(times, (ModuleTimes{{"a", 1}, {"j", 6}}));
}

TEST(ModuleTimes, NumberOfEntriesIsBounded) {
  std::string text;
  for (std::size_t i = 0; i < kMostTimes + 100; ++i) {
    text += "m" + std::to_string(i) + " 1\n";
  }
  EXPECT_EQ(parse_module_times(text).size(), kMostTimes);
}

}  // namespace
}  // namespace rdmaboot::load_modules
