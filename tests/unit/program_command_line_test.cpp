// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-command-line
#include "program/command_line.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace rdmaboot::program {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Read {
  bool quiet = false;
  bool stay = true;
  std::string root;
  core::Result<std::vector<std::string>> words;
};

Read read(std::vector<std::string> line) {
  Read out;
  line.insert(line.begin(), "test");
  std::vector<char*> argv;
  for (std::string& word : line) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  const Option even = {"even", true, [](const char* value) -> core::Result<void> {
                         return std::string_view(value).size() % 2 == 0
                                    ? core::Result<void>()
                                    : core::fail("read option", value, 0, "expected an even one");
                       }};
  out.words =
      read_command_line(static_cast<int>(line.size()), argv.data(), "test", "the help\n",
                        {flag("quiet", out.quiet, true, 'q'), flag("foreground", out.stay, false),
                         text("root", out.root), even});
  return out;
}

TEST(CommandLine, OptionsAreTakenWhereverTheyStandAndWordsAreLeft) {
  const Read all = read({"one", "--quiet", "--root=/x", "--foreground", "two", "--", "--three"});
  ASSERT_TRUE(all.words) << all.words.error().message();
  EXPECT_TRUE(all.quiet);
  EXPECT_FALSE(all.stay);
  EXPECT_EQ(all.root, "/x");
  EXPECT_THAT(*all.words, ElementsAre("one", "two", "--three"));
  EXPECT_TRUE(read({"-q"}).quiet);
  EXPECT_EQ(read({"--root", "/y"}).root, "/y");
  EXPECT_TRUE(read({}).stay);
}

TEST(CommandLine, WhatIsNotUnderstoodIsNamed) {
  EXPECT_THAT(read({"--nonsense"}).words.error().message(), HasSubstr("--nonsense"));
  EXPECT_THAT(read({"-x"}).words.error().message(), HasSubstr("-x"));
  EXPECT_THAT(read({"--root"}).words.error().message(), HasSubstr("--root"));
  EXPECT_THAT(read({"--quiet=1"}).words.error().message(), HasSubstr("--quiet"));
  EXPECT_THAT(read({"--even=abc"}).words.error().message(), HasSubstr("expected an even one"));
  EXPECT_THAT(expect_no_words({"a", "b"}).error().message(), HasSubstr("a: expected options only"));
  EXPECT_TRUE(expect_no_words({}));
}

TEST(CommandLineDeathTest, HelpAndVersionEndTheProgramWell) {
  EXPECT_EXIT(
      {
        ::dup2(STDERR_FILENO, STDOUT_FILENO);
        read({"--help"});
      },
      ::testing::ExitedWithCode(0), "the help");
  EXPECT_EXIT(
      {
        ::dup2(STDERR_FILENO, STDOUT_FILENO);
        read({"-h"});
      },
      ::testing::ExitedWithCode(0), "the help");
  EXPECT_EXIT(
      {
        ::dup2(STDERR_FILENO, STDOUT_FILENO);
        read({"--version"});
      },
      ::testing::ExitedWithCode(0), "test [0-9]");
}

}  // namespace
}  // namespace rdmaboot::program
