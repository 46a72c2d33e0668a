// SPDX-License-Identifier: BSD-2-Clause
#include "os/hostname.hpp"

#include <array>
#include <cerrno>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

namespace rdmaboot::os {
namespace {

TEST(Hostname, IsThatOfInitInANameSpaceOfOnesOwn) {
  core::Result<std::string> name;
  bool own = false;
  // A thread's name space ends with it.
  std::thread([&] {
    own = ::unshare(CLONE_NEWUTS) == 0 && ::sethostname("elsewhere", 9) == 0;
    name = join_hostname_of_init();
  }).join();
  if (!own || !name) {
    GTEST_SKIP() << "needs root: " << (name ? "unshare" : name.error().message());
  }
  std::array<char, 65> here{};
  ASSERT_EQ(::gethostname(here.data(), here.size()), 0);
  EXPECT_NE(*name, "elsewhere");
  EXPECT_EQ(*name, here.data()) << "unless the tests themselves run in another name space";
}

}  // namespace
}  // namespace rdmaboot::os
