// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-shell
//
// The program from its command line to its exit status, on trees that the test writes: everything
// but the loading itself.
#include "load-modules/run.hpp"

#include <array>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "core/file.hpp"
#include "module_tree.hpp"

namespace rdmaboot::load_modules {
namespace {

using test::ModuleTree;

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

/// Sends a descriptor of this process into a file for as long as it lives.
class Redirection {
 public:
  Redirection(int fd, const std::string& path) : fd_(fd), saved_(::dup(fd)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file, fd);
    ::close(file);
  }
  Redirection(const Redirection&) = delete;
  Redirection& operator=(const Redirection&) = delete;
  ~Redirection() {
    ::dup2(saved_, fd_);
    ::close(saved_);
  }

 private:
  int fd_;
  int saved_;
};

Ran run(std::vector<std::string> words) {
  const test::TemporaryDirectory output;
  words.insert(words.begin(), "rdma-load-modules");
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  Ran ran;
  {
    const Redirection out(STDOUT_FILENO, output.path("out"));
    const Redirection err(STDERR_FILENO, output.path("err"));
    ran.status = run_program({arguments.data(), arguments.size() - 1});
  }
  ran.out = core::read_file(output.path("out")).value();
  ran.err = core::read_file(output.path("err")).value();
  return ran;
}

Ran plan(const test::TemporaryDirectory& root, std::vector<std::string> more) {
  std::vector<std::string> words = {"--dry-run",   "--jobs=2", "--root",
                                    root.path(""), "--kernel", ModuleTree::kRelease};
  words.insert(words.end(), more.begin(), more.end());
  return run(words);
}

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() {
    tree_.module("ib_core");
    tree_.module("ib_uverbs", {"ib_core"});
    tree_.module("sunrpc");
    tree_.module("rpcrdma", {"sunrpc", "ib_core"});
    tree_.alias("xprtrdma", "rpcrdma");
  }
  ModuleTree tree_;
};

TEST_F(ProgramTest, PlanOfAListAsTextJsonAndDot) {
  const auto& root = tree_.finish();
  root.write("etc/rdma/modules/rdma.conf", "# x\nxprtrdma\nib-uverbs\nopa_vnic\n");
  const Ran text = plan(root, {});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_NE(text.out.find("# 4 modules to load with 2 workers"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("- opa_vnic: missing"), std::string::npos) << text.out;
  const auto json = nlohmann::json::parse(plan(root, {"--format=json"}).out);
  EXPECT_EQ(json["modules"].size(), 5U);
  EXPECT_EQ(plan(root, {"--format=dot"}).out.substr(0, 15), "digraph modules");
}

TEST_F(ProgramTest, NameOfAListMayHaveADashAndMayBeEscapedForSystemd) {
  const auto& root = tree_.finish();
  root.write("etc/rdma/modules/my-list.conf", "sunrpc\n");
  EXPECT_NE(plan(root, {"my-list"}).out.find("sunrpc"), std::string::npos);
  EXPECT_NE(plan(root, {"my\\x2dlist"}).out.find("sunrpc"), std::string::npos);
  EXPECT_EQ(plan(root, {"my\\x2flist"}).status, 1) << "no list of that name";
}

TEST_F(ProgramTest, VerbsAreFirstInThePlan) {
  const auto& root = tree_.finish();
  root.write("etc/rdma/modules/rdma.conf", "xprtrdma\nib_uverbs\n");
  const std::string out = plan(root, {"--jobs=1"}).out;
  EXPECT_LT(out.find(" ib_uverbs"), out.find(" sunrpc")) << out;
}

TEST_F(ProgramTest, CutModulesDepIsAClearMessage) {
  const auto& root = tree_.finish();
  root.write("etc/rdma/modules/rdma.conf", "ib_uverbs\n");
  root.write(ModuleTree::directory() + "/modules.dep.bin", "\xb0\x07\xf4\x57");
  const Ran ran = plan(root, {});
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.err.find("modules.dep.bin"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("depmod -a"), std::string::npos) << ran.err;
}

TEST_F(ProgramTest, MissingListFailsButTheOtherIsPlanned) {
  const auto& root = tree_.finish();
  root.write("etc/rdma/modules/rdma.conf", "ib_uverbs\n");
  const Ran ran = plan(root, {"nosuch"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.err.find("nosuch.conf"), std::string::npos) << ran.err;
}

TEST_F(ProgramTest, EmptyAndMaskedListsSucceedWithoutAModuleTree) {
  const test::TemporaryDirectory root;
  root.write("etc/rdma/modules/roce.conf", "# nothing\n");
  root.link("/dev/null", "etc/rdma/modules/opa.conf");
  const Ran ran = plan(root, {"roce", "opa"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("list opa is masked"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("roce"), std::string::npos) << ran.err;
}

TEST_F(ProgramTest, WrongLinesAreToldAndTheRestIsPlanned) {
  const auto& root = tree_.finish();
  root.write("etc/rdma/modules/rdma.conf",
             "../evil\n/lib/x.ko\n" + std::string(4096, 'm') + "\nib_uverbs\n");
  const Ran ran = plan(root, {});
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.out.find("ib_uverbs"), std::string::npos);
  EXPECT_NE(ran.err.find("rdma.conf:1"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("rdma.conf:3"), std::string::npos) << ran.err;
}

TEST_F(ProgramTest, ModulesCanBeNamedWithoutAList) {
  const Ran ran = plan(tree_.finish(), {"--module", "ib-uverbs"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_NE(ran.out.find("ib_uverbs"), std::string::npos);
}

TEST_F(ProgramTest, CycleIsTold) {
  tree_.module("a", {"b"});
  tree_.module("b", {"a"});
  const Ran ran = plan(tree_.finish(), {"--module=a"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.out.find("! modules need each other"), std::string::npos) << ran.out;
}

TEST_F(ProgramTest, EarlierTimesAreReadFromTheTree) {
  const auto& root = tree_.finish();
  root.write("var/lib/rdma-boot/module-times", "ib_core 5000\nib_uverbs 7000\ngarbage\n");
  const Ran ran = plan(root, {"--module=ib_uverbs"});
  EXPECT_NE(ran.out.find("expected 12.0 ms"), std::string::npos) << ran.out;
}

TEST_F(ProgramTest, HelpAndVersionAndWrongOptions) {
  EXPECT_EQ(run({"--help"}).status, 0);
  EXPECT_NE(run({"--help"}).out.find("rdma_boot.load=0"), std::string::npos);
  EXPECT_EQ(run({"--version"}).out.substr(0, 18), "rdma-load-modules ");
  const Ran wrong = run({"--bogus"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.err.find("--bogus"), std::string::npos);
}

}  // namespace
}  // namespace rdmaboot::load_modules
