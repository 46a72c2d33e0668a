// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy rdmaboot-kmod
//
// libkmod over a tree that the test writes.
#include "os/kmod.hpp"

#include <cerrno>

#include <gtest/gtest.h>

#include "core/file.hpp"
#include "load-modules/expand.hpp"
#include "load_modules_fakes.hpp"
#include "module_tree.hpp"

namespace rdmaboot::os {
namespace {

using test::ModuleTree;

std::unique_ptr<ModuleIndex> open(const test::TemporaryDirectory& root) {
  return open_kmod({root.path(""), ModuleTree::kRelease}).value();
}

TEST(Kmod, NamesAliasesAndDependenciesComeFromTheIndexes) {
  ModuleTree tree;
  tree.module("ib_core");
  tree.module("sunrpc");
  tree.module("rpcrdma", {"sunrpc", "ib_core"}, 4096);
  tree.alias("xprtrdma", "rpcrdma");
  const auto index = open(tree.finish());
  EXPECT_EQ(index->resolve("xprtrdma").value(), (std::vector<std::string>{"rpcrdma"}));
  EXPECT_EQ(index->resolve("ib_core").value(), (std::vector<std::string>{"ib_core"}));
  EXPECT_TRUE(index->resolve("nothing").value().empty());
  const ModuleFacts facts = index->describe("rpcrdma").value();
  EXPECT_EQ(facts.hard.size(), 2U);
  EXPECT_TRUE(facts.path.ends_with("/lib/modules/6.1-test/kernel/rpcrdma.ko"));
  EXPECT_EQ(facts.file_size, 4096U);
  EXPECT_EQ(facts.state, ModuleState::kAbsent);
  EXPECT_EQ(index->describe("nothing").error().error_number, ENOENT);
}

TEST(Kmod, ModprobeDIsReadBelowTheRoot) {
  ModuleTree tree;
  tree.module("a");
  tree.module("b");
  tree.module("c");
  tree.modprobe_d(
      "options a debug=1 name=\"x y\"\nblacklist b\ninstall c /sbin/special $CMDLINE_OPTS\n"
      "softdep a pre: b post: c\nalias other-name a\n");
  const auto index = open(tree.finish());
  const ModuleFacts a = index->describe("a").value();
  EXPECT_EQ(a.options, "debug=1 name=\"x y\"");
  EXPECT_EQ(a.soft_before, (std::vector<std::string>{"b"}));
  EXPECT_EQ(a.soft_after, (std::vector<std::string>{"c"}));
  EXPECT_FALSE(a.deny_listed);
  EXPECT_TRUE(index->describe("b").value().deny_listed);
  EXPECT_EQ(index->describe("c").value().install_command, "/sbin/special $CMDLINE_OPTS");
  EXPECT_EQ(index->resolve("other_name").value(), (std::vector<std::string>{"a"}));
}

#ifdef RDMABOOT_HAVE_KMOD_WEAKDEPS
TEST(Kmod, WeakDependenciesAreRead) {
  ModuleTree tree;
  tree.module("a");
  tree.module("b");
  tree.modprobe_d("weakdep a b\n");
  EXPECT_EQ(open(tree.finish())->describe("a").value().weak, (std::vector<std::string>{"b"}));
}
#endif

TEST(Kmod, BuiltinModuleIsKnownAsSuch) {
  ModuleTree tree;
  tree.builtin("built_in");
  const auto index = open(tree.finish());
  EXPECT_EQ(index->resolve("built_in").value().size(), 1U);
  EXPECT_EQ(index->describe("built_in").value().state, ModuleState::kBuiltin);
}

TEST(Kmod, ModuleWhoseFileIsGoneIsMissing) {
  ModuleTree tree;
  tree.module("a");
  const auto& root = tree.finish();
  std::filesystem::remove(root.path(ModuleTree::directory() + "/kernel/a.ko"));
  EXPECT_EQ(open(root)->describe("a").error().error_number, ENOENT);
}

TEST(Kmod, KernelWithoutModulesIsAnErrorThatNamesTheDirectory) {
  const test::TemporaryDirectory root;
  const auto refused = open_kmod({root.path(""), "1.2.3"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error_number, ENOENT);
  EXPECT_NE(refused.error().message().find("/lib/modules/1.2.3"), std::string::npos);
}

TEST(Kmod, EveryTruncatedIndexIsRefusedOrHarmless) {
  for (const char* const file : {"/modules.dep.bin", "/modules.alias.bin"}) {
    ModuleTree tree;
    tree.module("ib_core");
    tree.module("rdma_cm", {"ib_core"});
    tree.alias("an_alias", "rdma_cm");
    const auto& root = tree.finish();
    const std::string whole = core::read_file(root.path(ModuleTree::directory() + file)).value();
    ASSERT_TRUE(open_kmod({root.path(""), ModuleTree::kRelease}));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      root.write(ModuleTree::directory() + file, whole.substr(0, size));
      const auto refused = open_kmod({root.path(""), ModuleTree::kRelease});
      ASSERT_FALSE(refused) << file << " cut to " << size << " of " << whole.size();
      EXPECT_NE(refused.error().message().find("depmod -a"), std::string::npos);
    }
  }
}

TEST(Kmod, MissingIndexesLeaveEverythingMissing) {
  const test::TemporaryDirectory root;
  root.make_directory(ModuleTree::directory());
  const auto index = open(root);
  EXPECT_TRUE(index->resolve("ib_core").value().empty());
}

TEST(Kmod, DependencyCycleInModulesDepIsPlannedAndTold) {
  ModuleTree tree;
  tree.module("a", {"b"});
  tree.module("b", {"a"});
  const auto index = open(tree.finish());
  load_modules::PlanInput input;
  input.requests = {{"a", "test"}};
  const load_modules::Graph graph = load_modules::expand(input, *index);
  EXPECT_EQ(graph.modules.size(), 2U);
  EXPECT_EQ(graph.cycles.size(), 1U);
}

TEST(IndexRoot, CompleteAndCutNodes) {
  using namespace std::string_view_literals;
  EXPECT_TRUE(index_root_is_whole(12, ""sv)) << "an empty index has an empty root";
  EXPECT_TRUE(index_root_is_whole(0x80000000, "ab\0"sv));
  EXPECT_FALSE(index_root_is_whole(0x80000000, "ab"sv));
  EXPECT_TRUE(index_root_is_whole(0x20000000, "ab12341234"sv));
  EXPECT_FALSE(index_root_is_whole(0x20000000, "ab1234123"sv));
  EXPECT_FALSE(index_root_is_whole(0x20000000, "ba12341234"sv)) << "first after last";
  EXPECT_TRUE(index_root_is_whole(0x40000000, "\0\0\0\1prioxy\0"sv));
  EXPECT_FALSE(index_root_is_whole(0x40000000, "\0\0\0\2prioxy\0"sv));
  EXPECT_FALSE(index_root_is_whole(0x40000000, "\xff\xff\xff\xff"sv));
}

TEST(ModuleStateOfSysfs, EveryStateIsTold) {
  const test::TemporaryDirectory sys;
  sys.write("module/live/initstate", "live\n");
  sys.write("module/coming/initstate", "coming\n");
  sys.write("module/going/initstate", "going\n");
  sys.write("module/odd/initstate", "");
  sys.make_directory("module/unnamed");
  EXPECT_EQ(module_state(sys.path(""), "live"), ModuleState::kLive);
  EXPECT_EQ(module_state(sys.path(""), "coming"), ModuleState::kComing);
  EXPECT_EQ(module_state(sys.path(""), "going"), ModuleState::kGoing);
  EXPECT_EQ(module_state(sys.path(""), "odd"), ModuleState::kGoing);
  EXPECT_EQ(module_state(sys.path(""), "unnamed"), ModuleState::kUnnamed);
  EXPECT_EQ(module_state(sys.path(""), "absent"), ModuleState::kAbsent);
  EXPECT_EQ(module_state("/nonexistent", "live"), ModuleState::kAbsent);
}

}  // namespace
}  // namespace rdmaboot::os
