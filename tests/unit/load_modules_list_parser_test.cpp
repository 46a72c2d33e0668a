// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
#include "load-modules/list_parser.hpp"

#include <string>

#include <gtest/gtest.h>

namespace rdmaboot::load_modules {
namespace {

TEST(ListParser, NamesCommentsAndBlankLinesAsModulesLoadD) {
  const ModuleList list =
      parse_list("# comment\n\n; other comment\nib_iser\n  rdma_ucm \t\r\nib-uverbs", "x.conf");
  ASSERT_EQ(list.requests.size(), 3U);
  EXPECT_EQ(list.requests[0].name, "ib_iser");
  EXPECT_EQ(list.requests[0].origin, "x.conf:4");
  EXPECT_EQ(list.requests[1].name, "rdma_ucm");
  EXPECT_EQ(list.requests[2].name, "ib_uverbs") << "the kernel spells names with underscores";
  EXPECT_EQ(list.requests[2].origin, "x.conf:6");
  EXPECT_TRUE(list.errors.empty());
}

TEST(ListParser, DebiansOwnListIsReadUnchanged) {
  const ModuleList list = parse_list(
      "# These modules are loaded by the system if any RDMA devices is installed\n# iSCSI over "
      "RDMA client support\nib_iser\n\n# iSCSI over RDMA target support\n#ib_isert\n",
      "rdma.conf");
  ASSERT_EQ(list.requests.size(), 1U);
  EXPECT_EQ(list.requests[0].name, "ib_iser");
}

TEST(ListParser, WrongNamesAreReportedWithFileAndLineAndTheRestIsUsed) {
  const ModuleList list = parse_list("a\n/lib/evil.ko\n..\nb\nx y\n\x01z\n\xff\xfe\n", "l.conf");
  ASSERT_EQ(list.requests.size(), 2U);
  EXPECT_EQ(list.requests[1].name, "b");
  ASSERT_EQ(list.errors.size(), 5U);
  EXPECT_EQ(list.errors[0].message(),
            "l.conf:2: use module name \"/lib/evil.ko\": expected a module name, not a path");
  EXPECT_NE(list.errors[1].message().find("l.conf:3"), std::string::npos);
  EXPECT_NE(list.errors[1].message().find("\"..\""), std::string::npos);
  EXPECT_EQ(list.errors[3].message().find('\x01'), std::string::npos)
      << "a control byte must not reach a terminal";
}

TEST(ListParser, NameOf4KiBIsRefusedButA200ByteAliasIsNot) {
  const ModuleList list =
      parse_list(std::string(4096, 'm') + "\n" + std::string(200, 'a') + "\n", "l.conf");
  ASSERT_EQ(list.requests.size(), 1U);
  EXPECT_EQ(list.requests[0].name.size(), 200U);
  ASSERT_EQ(list.errors.size(), 1U);
  EXPECT_NE(list.errors[0].message().find("at most 255 bytes"), std::string::npos);
  EXPECT_LT(list.errors[0].message().size(), 300U) << "the name itself is not repeated in full";
}

TEST(ListParser, DashesInsideBracketsOfAnAliasAreKept) {
  EXPECT_EQ(normalise_name("pci:v[0-9]x-y").value(), "pci:v[0-9]x_y");
}

TEST(ListParser, BinaryFileGivesBoundedErrorsAndNoCrash) {
  std::string binary;
  for (int i = 0; i < 100'000; ++i) {
    binary += static_cast<char>(i * 7919 % 251);
  }
  const ModuleList list = parse_list(binary, "binary.conf");
  EXPECT_LE(list.errors.size(), kMostErrors + 1);
  EXPECT_NE(list.errors.back().message().find("more wrong lines"), std::string::npos);
}

TEST(ListParser, MoreThanTheAllowedNamesAreCutWithAMessage) {
  std::string text;
  for (std::size_t i = 0; i < kMostNames + 5; ++i) {
    text += "m" + std::to_string(i) + "\n";
  }
  const ModuleList list = parse_list(text, "long.conf");
  EXPECT_EQ(list.requests.size(), kMostNames);
  ASSERT_EQ(list.errors.size(), 1U);
  EXPECT_NE(list.errors[0].message().find("at most 10000 names"), std::string::npos);
}

}  // namespace
}  // namespace rdmaboot::load_modules
