// SPDX-License-Identifier: BSD-2-Clause
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"
#include "rdmaboot/result.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::core {
namespace {

using rdmaboot::test::TemporaryDirectory;

TEST(Error, MessageNamesAttemptObjectReasonAndExpectation) {
  EXPECT_EQ(fail("open", "/x", ENOENT, "expected a file").value().message(),
            "open /x: No such file or directory (expected a file)");
  EXPECT_EQ(fail("parse", "line 3", 0, "expected a name").value().message(),
            "parse line 3: expected a name");
}

TEST(Printable, ControlCharactersNeverReachATerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m")
      << "C1 control sequence introducer";
  EXPECT_EQ(printable("K\xc3\xb6ln"), "K\xc3\xb6ln");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong form";
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

TEST(ParseNumber, LeftoverCharactersAndOverflowAreRefused) {
  EXPECT_EQ(parse_number<int>("42"), 42);
  EXPECT_EQ(parse_number<unsigned>("ff", 16), 255U);
  EXPECT_FALSE(parse_number<int>("42x"));
  EXPECT_FALSE(parse_number<int>(""));
  EXPECT_FALSE(parse_number<unsigned char>("256"));
}

TEST(UnitName, FollowsSystemdEscape) {
  EXPECT_EQ(unit_name_from_path("/sys/devices/virtual/infiniband/rxe0", ".device"),
            "sys-devices-virtual-infiniband-rxe0.device");
  EXPECT_EQ(unit_name_from_path("/sys/a-b/0000:01:00.0", ".device"),
            "sys-a\\x2db-0000:01:00.0.device");
  EXPECT_EQ(unit_name_from_path("/.hidden", ".device"), "\\x2ehidden.device");
}

TEST(ReadFile, TooLargeIsAnErrorThatNamesTheLimit) {
  const TemporaryDirectory dir;
  dir.write("big", std::string(100, 'x'));
  EXPECT_EQ(read_file(dir.path("big"), 100).value().size(), 100U);
  const auto refused = read_file(dir.path("big"), 99);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error_number, EFBIG);
  EXPECT_NE(refused.error().message().find("99 bytes"), std::string::npos);
}

TEST(ReadFile, AFifoInThePlaceOfAFileDoesNotHang) {
  const TemporaryDirectory dir;
  ASSERT_EQ(::mkfifo(dir.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_file(dir.path("fifo")).value(), "");
}

TEST(ReplaceFile, LeavesNoTemporaryFileBehind) {
  const TemporaryDirectory dir;
  ASSERT_TRUE(replace_file(dir.path("f"), "one"));
  ASSERT_TRUE(replace_file(dir.path("f"), "two"));
  EXPECT_EQ(read_file(dir.path("f")).value(), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path("")), {}), 1);
  EXPECT_FALSE(replace_file(dir.path("missing/f"), "x"));
}

TEST(FindConfig, HigherLayerWinsAndDropInsAreAddedInOrderOfName) {
  const TemporaryDirectory dir;
  const ConfigLayers layers = ConfigLayers::rdma("modules", dir.path(""));
  dir.write("usr/lib/rdma/modules/rdma.conf", "vendor");
  dir.write("etc/rdma/modules/rdma.conf", "admin");
  dir.write("usr/lib/rdma/modules/rdma.conf.d/20-b.conf", "");
  dir.write("etc/rdma/modules/rdma.conf.d/10-a.conf", "");
  dir.write("run/rdma/modules/rdma.conf.d/20-b.conf", "");
  dir.write("etc/rdma/modules/rdma.conf.d/readme", "");
  const ConfigFiles found = find_config(layers, "rdma.conf");
  ASSERT_EQ(found.paths.size(), 3U);
  EXPECT_TRUE(found.paths[0].ends_with("etc/rdma/modules/rdma.conf"));
  EXPECT_TRUE(found.paths[1].ends_with("etc/rdma/modules/rdma.conf.d/10-a.conf"));
  EXPECT_TRUE(found.paths[2].ends_with("run/rdma/modules/rdma.conf.d/20-b.conf"));
}

TEST(FindConfig, ALinkToDevNullMasks) {
  const TemporaryDirectory dir;
  const ConfigLayers layers = ConfigLayers::rdma("modules", dir.path(""));
  dir.write("usr/lib/rdma/modules/rdma.conf", "vendor");
  dir.write("usr/lib/rdma/modules/rdma.conf.d/20-b.conf", "");
  dir.write("usr/lib/rdma/modules/rdma.conf.d/30-c.conf", "");
  dir.link("/dev/null", "etc/rdma/modules/rdma.conf.d/20-b.conf");
  EXPECT_EQ(find_config(layers, "rdma.conf").paths.size(), 2U);
  dir.link("/dev/null", "etc/rdma/modules/rdma.conf");
  const ConfigFiles masked = find_config(layers, "rdma.conf");
  EXPECT_TRUE(masked.masked);
  EXPECT_TRUE(masked.paths.empty());
}

TEST(ParseIni, WrongLinesAreNamedAndGoodOnesKept) {
  const IniFile ini = parse_ini("# comment\nTop=1\n[Link]\nName = rxe0 \n[broken\nx\nNetDev=eth0\n",
                                "/etc/rdma/l.conf");
  ASSERT_EQ(ini.entries.size(), 3U);
  EXPECT_EQ(ini.entries[1].section, "Link");
  EXPECT_EQ(ini.entries[1].key, "Name");
  EXPECT_EQ(ini.entries[1].value, "rxe0");
  EXPECT_EQ(ini.entries[2].section, "") << "a broken header must not put keys in the old section";
  ASSERT_EQ(ini.errors.size(), 2U);
  EXPECT_EQ(ini.errors[0].message(), "parse line 5 of /etc/rdma/l.conf: expected [Section]");
}

}  // namespace
}  // namespace rdmaboot::core
