// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-completion
//
// What is offered after TAB for each kind of name, on a machine that is a directory.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "rdmactl/completion.hpp"
#include "recorded_tree.hpp"

namespace rdmaboot::rdmactl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Completion : public testing::Test {
 protected:
  Completion() {
    CLI::App* const status = program_.add_subcommand("status");
    status->add_option("DEVICE", word_);
    status->add_flag("--json");
    status->add_option("--root", word_)->type_name("DIR");
    CLI::App* const ping = program_.add_subcommand("ping");
    ping->add_option("PEER", word_);
    ping->add_option("--on", word_)->type_name("PORT");
    CLI::App* const analyze = program_.add_subcommand("analyze");
    analyze->add_subcommand("blame");
    analyze->add_subcommand("critical-chain")->add_option("UNIT", word_);
    program_.add_subcommand("modules")->add_option("LIST", word_);
    program_.add_subcommand("wait")->prefix_command();
  }
  std::vector<std::string> offered(const std::vector<std::string>& words) {
    return complete(program_, words, tree_.path(""));
  }

  CLI::App program_;
  std::string word_;
  const test::RecordedTree tree_{"mlx5-ib"};
};

TEST_F(Completion, VerbsAndOptionsAreThoseOfTheProgram) {
  EXPECT_THAT(offered({"st"}), ElementsAre("status"));
  EXPECT_THAT(offered({"analyze", ""}), ElementsAre("blame", "critical-chain"));
  EXPECT_THAT(offered({"status", "--"}), ElementsAre("--help", "--json", "--root"));
  EXPECT_THAT(offered({}), IsEmpty());
}

TEST_F(Completion, DevicesAndPortsAreThoseOfTheMachine) {
  EXPECT_THAT(offered({"status", ""}), ElementsAre("mlx5_0"));
  EXPECT_THAT(offered({"status", "--json", "m"}), ElementsAre("mlx5_0"));
  EXPECT_THAT(offered({"status", "mlx5_0", ""}), IsEmpty()) << "one is enough";
  EXPECT_THAT(offered({"ping", "--on", ""}), ElementsAre("mlx5_0:1"));
  EXPECT_THAT(offered({"status", "--root", ""}), IsEmpty()) << "a directory, which shells know";
}

TEST_F(Completion, UnitsAreOursAndThoseOfTheAdministrator) {
  tree_.write("usr/lib/systemd/system/rdma-hw.target", "");
  tree_.write("usr/lib/systemd/system/ssh.service", "");
  tree_.write("usr/lib/systemd/system/iwpmd.service", "");
  tree_.write("etc/systemd/system/rdma-wait-online@mlx5_0:1.service", "");
  tree_.write("etc/systemd/system/rdma-hw.target.d/mine.conf", "");
  EXPECT_THAT(offered({"analyze", "critical-chain", ""}),
              ElementsAre("iwpmd.service", "rdma-hw.target", "rdma-wait-online@mlx5_0:1.service"));
}

TEST_F(Completion, PeersAreTheHostsThatHaveANameHere) {
  tree_.write("etc/hosts",
              "127.0.0.1 localhost\n::1 ip6-localhost\n10.0.0.1 store1 store1.lab # the first\n"
              "10.0.0.2\n#10.0.0.3 gone\n");
  EXPECT_THAT(offered({"ping", ""}), ElementsAre("store1", "store1.lab"));
  EXPECT_THAT(offered({"wait", "--peer", "store1."}), ElementsAre("store1.lab"));
}

TEST_F(Completion, ListsOfModulesAreThoseOfAllLayers) {
  tree_.write("etc/rdma/modules/mine.conf", "");
  tree_.write("usr/lib/rdma/modules/rdma.conf", "");
  tree_.write("usr/lib/rdma/modules/README", "");
  EXPECT_THAT(offered({"modules", ""}), ElementsAre("mine", "rdma"));
}

TEST_F(Completion, AVerbOfAnotherProgramHasItsWordsAndOptions) {
  EXPECT_THAT(offered({"wait", "m"}), ElementsAre("mlx5_0", "mlx5_0:1"));
  EXPECT_THAT(offered({"wait", "--level", "p"}), ElementsAre("path", "port"));
  EXPECT_THAT(offered({"wait", "--level", "path", "al"}), ElementsAre("all"));
  EXPECT_THAT(offered({"wait", "--timeout", ""}), IsEmpty());
  EXPECT_THAT(offered({"wait", "--p"}), ElementsAre("--peer"));
}

TEST_F(Completion, ANameThatAShellCouldActOnIsNotOffered) {
  tree_.make_directory("sys/class/infiniband/$(reboot)");
  tree_.make_directory("sys/class/infiniband/a b");
  tree_.make_directory("sys/class/infiniband/-rf");
  tree_.make_directory("sys/class/infiniband/\x1b[2J");
  EXPECT_THAT(offered({"status", ""}), ElementsAre("mlx5_0"));
}

}  // namespace
}  // namespace rdmaboot::rdmactl
