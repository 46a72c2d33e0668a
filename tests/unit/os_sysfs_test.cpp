// SPDX-License-Identifier: BSD-2-Clause
#include "os/sysfs.hpp"

#include <cerrno>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "temporary_directory.hpp"

namespace rdmaboot::os {
namespace {

using test::TemporaryDirectory;

Directory open_directory(const TemporaryDirectory& dir, const std::string& path) {
  return Tree::open(dir.path("")).value().directory(path).value();
}

TEST(Attribute, LosesTheEndOfItsLineAndNothingElse) {
  const TemporaryDirectory dir;
  dir.write("d/one", "a b \n");
  dir.write("d/two", "a\n\n");
  dir.write("d/bare", "a");
  dir.write("d/empty", "");
  const Directory d = open_directory(dir, "/d");
  EXPECT_EQ(d.attribute("one").value(), "a b ");
  EXPECT_EQ(d.attribute("two").value(), "a\n");
  EXPECT_EQ(d.attribute("bare").value(), "a");
  EXPECT_EQ(d.attribute("empty").value(), "");
}

TEST(Attribute, OfAMegabyteIsRefused) {
  const TemporaryDirectory dir;
  dir.write("d/big", std::string(1U << 20U, 'x'));
  dir.write("d/page", std::string(kAttributeLimit, 'x'));
  const Directory d = open_directory(dir, "/d");
  EXPECT_EQ(d.attribute("page").value().size(), kAttributeLimit);
  const auto refused = d.attribute("big");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error_number, EFBIG);
}

TEST(Attribute, ThatIsALinkIsNotFollowed) {
  const TemporaryDirectory dir;
  dir.write("secret", "s");
  dir.make_directory("d");
  dir.link("../secret", "d/state");
  EXPECT_EQ(open_directory(dir, "/d").attribute("state").error().error_number, ELOOP);
}

TEST(Attribute, FifoInItsPlaceDoesNotHang) {
  const TemporaryDirectory dir;
  dir.make_directory("d");
  ASSERT_EQ(::mkfifo(dir.path("d/state").c_str(), 0600), 0);
  EXPECT_EQ(open_directory(dir, "/d").attribute("state").value(), "");
}

TEST(Entries, AreSortedAndWithoutTheDirectoryItself) {
  const TemporaryDirectory dir;
  dir.write("d/b", "");
  dir.write("d/a", "");
  dir.make_directory("d/c");
  EXPECT_EQ(open_directory(dir, "/d").entries().value(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Entries, BeyondTheLimitAreAnErrorNotACut) {
  const TemporaryDirectory dir;
  for (std::size_t i = 0; i <= kDirectoryLimit; ++i) {
    dir.write("d/" + std::to_string(i), "");
  }
  EXPECT_EQ(open_directory(dir, "/d").entries().error().error_number, EOVERFLOW);
}

TEST(RecordedTree, HasNoWayOutThroughLinks) {
  const TemporaryDirectory outside;
  outside.write("state", "4: ACTIVE");
  const TemporaryDirectory dir;
  dir.make_directory("sys");
  dir.link(outside.path(""), "sys/absolute");
  dir.link("../../../../../../../.." + outside.path(""), "sys/climbing");
  dir.link("loop", "sys/loop");
  const Tree tree = Tree::open(dir.path("")).value();
  EXPECT_EQ(tree.directory("/sys/absolute").error().error_number, ENOENT);
  EXPECT_EQ(tree.directory("/sys/climbing").error().error_number, ENOENT);
  EXPECT_EQ(tree.directory("/sys/loop").error().error_number, ELOOP);
  EXPECT_TRUE(tree.directory("/sys"));
}

TEST(RecordedTree, LinksInsideLeadWhereTheyLedOnItsMachine) {
  const TemporaryDirectory dir;
  dir.write("sys/devices/x/state", "yes");
  dir.link("/sys/devices/x", "sys/absolute");
  dir.link("../devices/x", "sys/class/relative");
  EXPECT_EQ(open_directory(dir, "/sys/absolute").attribute("state").value(), "yes");
  EXPECT_EQ(open_directory(dir, "/sys/class/relative").attribute("state").value(), "yes");
}

TEST(RecordedTree, SubdirectoryThatIsALinkIsNotEntered) {
  const TemporaryDirectory dir;
  dir.make_directory("sys/real");
  dir.link("real", "sys/link");
  EXPECT_TRUE(open_directory(dir, "/sys").subdirectory("real"));
  EXPECT_FALSE(open_directory(dir, "/sys").subdirectory("link"));
}

TEST(LiveTree, IsTheOneWithoutRoot) {
  EXPECT_TRUE(Tree::open("").value().is_live());
  EXPECT_TRUE(Tree::open("/").value().is_live());
  const TemporaryDirectory dir;
  EXPECT_FALSE(Tree::open(dir.path("")).value().is_live());
  EXPECT_EQ(Tree::open(dir.path("nothing")).error().error_number, ENOENT);
}

TEST(Identity, DiffersBetweenDirectoriesThatExistTogether) {
  const TemporaryDirectory dir;
  dir.make_directory("a");
  dir.make_directory("b");
  EXPECT_NE(open_directory(dir, "/a").identity(), open_directory(dir, "/b").identity());
  EXPECT_EQ(open_directory(dir, "/a").identity(), open_directory(dir, "/a").identity());
}

TEST(ResolveLink, FollowsNamesAndStopsAtTheTop) {
  EXPECT_EQ(resolve_link("/sys/class/net", "../../devices/x"), "/sys/devices/x");
  EXPECT_EQ(resolve_link("/sys/class/net", "/abs/./olute/"), "/abs/olute");
  EXPECT_EQ(resolve_link("/a", "../../../.."), "/");
  EXPECT_EQ(resolve_link("/a/b", ""), "/a/b");
  EXPECT_EQ(base_name("/a/b"), "b");
  EXPECT_EQ(base_name("b"), "b");
  EXPECT_EQ(base_name("/"), "");
}

}  // namespace
}  // namespace rdmaboot::os
