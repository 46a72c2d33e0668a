// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-shell
#include "load-modules/lists.hpp"

#include <algorithm>
#include <cerrno>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "temporary_directory.hpp"

namespace rdmaboot::load_modules {
namespace {

using test::TemporaryDirectory;

std::vector<std::string> names_of(const GatheredLists& lists) {
  std::vector<std::string> names;
  for (const Request& request : lists.requests) {
    names.push_back(request.name);
  }
  return names;
}

GatheredLists gather(const TemporaryDirectory& root, std::vector<std::string> names) {
  return gather_lists(names, root.path(""));
}

TEST(Lists, AdminsListReplacesTheVendorsAndDropInsAdd) {
  const TemporaryDirectory root;
  root.write("usr/lib/rdma/modules/rdma.conf", "vendor\n");
  root.write("etc/rdma/modules/rdma.conf", "admin\n");
  root.write("usr/lib/rdma/modules/rdma.conf.d/50-more.conf", "more\n");
  const GatheredLists lists = gather(root, {"rdma"});
  EXPECT_EQ(names_of(lists), (std::vector<std::string>{"admin", "more"}));
  EXPECT_EQ(lists.requests[0].origin, root.path("etc/rdma/modules/rdma.conf:1"));
  EXPECT_TRUE(lists.errors.empty());
}

TEST(Lists, SeveralListsAreOneRun) {
  const TemporaryDirectory root;
  root.write("etc/rdma/modules/rdma.conf", "a\n");
  root.write("etc/rdma/modules/roce.conf", "b\n");
  EXPECT_EQ(names_of(gather(root, {"rdma", "roce"})), (std::vector<std::string>{"a", "b"}));
}

TEST(Lists, MaskedListIsNeitherReadNorMissing) {
  const TemporaryDirectory root;
  root.write("usr/lib/rdma/modules/rdma.conf", "vendor\n");
  root.link("/dev/null", "etc/rdma/modules/rdma.conf");
  const GatheredLists lists = gather(root, {"rdma"});
  EXPECT_TRUE(lists.requests.empty());
  EXPECT_TRUE(lists.errors.empty());
  EXPECT_EQ(lists.masked, (std::vector<std::string>{"rdma"}));
}

TEST(Lists, ListThatIsNowhereIsAnErrorThatNamesThePlaces) {
  const TemporaryDirectory root;
  root.write("etc/rdma/modules/good.conf", "a\n");
  const GatheredLists lists = gather(root, {"nosuch", "good"});
  EXPECT_EQ(names_of(lists), (std::vector<std::string>{"a"}));
  ASSERT_EQ(lists.errors.size(), 1U);
  EXPECT_EQ(lists.errors[0].error_number, ENOENT);
  for (const char* const place : {"/etc/", "/run/", "/usr/lib/"}) {
    EXPECT_NE(lists.errors[0].message().find(root.path("") + place + "rdma/modules/nosuch.conf"),
              std::string::npos);
  }
}

TEST(Lists, EmptyListIsNoError) {
  const TemporaryDirectory root;
  root.write("etc/rdma/modules/roce.conf", "# nothing\n");
  const GatheredLists lists = gather(root, {"roce"});
  EXPECT_TRUE(lists.requests.empty());
  EXPECT_TRUE(lists.errors.empty());
}

TEST(Lists, ListThatIncludesItselfIsAnErrorAndTheOthersAreRead) {
  const TemporaryDirectory root;
  root.link("rdma.conf", "etc/rdma/modules/rdma.conf");
  root.write("etc/rdma/modules/good.conf", "a\n");
  const GatheredLists lists = gather(root, {"rdma", "good"});
  EXPECT_EQ(names_of(lists), (std::vector<std::string>{"a"}));
  ASSERT_EQ(lists.errors.size(), 1U);
  EXPECT_EQ(lists.errors[0].error_number, ELOOP);
}

TEST(Lists, DanglingLinkIsAnErrorEvenIfALowerLayerHasTheList) {
  const TemporaryDirectory root;
  root.link("gone.conf", "etc/rdma/modules/rdma.conf");
  root.write("usr/lib/rdma/modules/rdma.conf", "vendor\n");
  const GatheredLists lists = gather(root, {"rdma"});
  EXPECT_EQ(names_of(lists), (std::vector<std::string>{"vendor"}));
  ASSERT_EQ(lists.errors.size(), 1U);
  EXPECT_NE(lists.errors[0].message().find("broken link"), std::string::npos);
}

TEST(Lists, UnreadableListIsAnErrorAndItsDropInsAreRead) {
  const TemporaryDirectory root;
  root.make_directory("etc/rdma/modules/rdma.conf");
  root.write("etc/rdma/modules/rdma.conf.d/10-a.conf", "a\n");
  const GatheredLists lists = gather(root, {"rdma"});
  EXPECT_EQ(names_of(lists), (std::vector<std::string>{"a"}));
  ASSERT_EQ(lists.errors.size(), 1U);
  EXPECT_EQ(lists.errors[0].error_number, EISDIR);
}

TEST(Lists, ListOf10MegabytesIsRefusedWithItsLimit) {
  const TemporaryDirectory root;
  root.write("etc/rdma/modules/rdma.conf", std::string(10'000'000, 'x'));
  const GatheredLists lists = gather(root, {"rdma"});
  EXPECT_TRUE(lists.requests.empty());
  ASSERT_EQ(lists.errors.size(), 1U);
  EXPECT_EQ(lists.errors[0].error_number, EFBIG);
}

TEST(Lists, FifoInThePlaceOfAListDoesNotHang) {
  const TemporaryDirectory root;
  root.make_directory("etc/rdma/modules");
  ASSERT_EQ(::mkfifo(root.path("etc/rdma/modules/rdma.conf").c_str(), 0600), 0);
  EXPECT_TRUE(gather(root, {"rdma"}).requests.empty());
}

}  // namespace
}  // namespace rdmaboot::load_modules
