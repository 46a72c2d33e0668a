// SPDX-License-Identifier: BSD-2-Clause
// link: wait-online-policy
//
// Level path: who is asked when, what an answer means, and the process that asks.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <systemd/sd-event.h>

#include "core/unique_handle.hpp"
#include "temporary_directory.hpp"
#include "wait-online/path.hpp"
#include "wait-online/peer_question.hpp"

namespace rdmaboot::wait_online {
namespace {

using device::Readiness;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;
using core::Microseconds;

/// "PORT asks PEER"; empty if nobody asks now.
std::string asked(const PathProof& proof, Microseconds now) {
  const auto question = proof.next(now);
  return question ? question->port + " asks " + question->peer : std::string();
}

TEST(PathProof, NamesOfPeersAreChecked) {
  for (const char* const good : {"10.0.0.1", "10.0.0.1@o2ib", "10.0.0.1@o2ib7", "node-7.lab"}) {
    EXPECT_EQ(parse_peer(good).value(), good);
  }
  for (const char* const wrong : {"", "-v", "@o2ib", "a b", "a;b", "a\n", "\x1b[2J", "a/b"}) {
    EXPECT_FALSE(parse_peer(wrong)) << wrong;
  }
  EXPECT_FALSE(parse_peer(std::string(300, 'a')));
}

TEST(PathProof, APortThatIsUpAsksAtOnceAndOneThatIsNotAsksNobody) {
  PathProof proof({"p"});
  EXPECT_EQ(asked(proof, 0us), "");
  EXPECT_EQ(proof.next_due(), std::nullopt);
  proof.set_ports({"a:1"});
  EXPECT_EQ(asked(proof, 0us), "a:1 asks p");
  EXPECT_EQ(verdict_of(proof.paths(), "a:1").readiness, Readiness::kNotYet);
}

TEST(PathProof, AnAnswerIsTheProof) {
  PathProof proof({"p"});
  proof.set_ports({"a:1"});
  proof.answered({"a:1", "p"}, std::nullopt, 0us);
  EXPECT_EQ(verdict_of(proof.paths(), "a:1").readiness, Readiness::kReady);
  EXPECT_EQ(asked(proof, 1h), "") << "once is enough";
  EXPECT_EQ(proof.next_due(), std::nullopt);
}

TEST(PathProof, ThePeersAreAskedInTurnAndOneOfThemIsEnough) {
  PathProof proof({"p", "q"});
  proof.set_ports({"a:1"});
  proof.answered({"a:1", "p"}, "nobody listens", 10us);
  EXPECT_EQ(verdict_of(proof.paths(), "a:1").missing, "no path to p: nobody listens");
  EXPECT_EQ(asked(proof, 10us), "a:1 asks q") << "without a pause";
  proof.answered({"a:1", "q"}, std::nullopt, 20us);
  EXPECT_EQ(verdict_of(proof.paths(), "a:1").readiness, Readiness::kReady);
}

TEST(PathProof, ARoundInVainIsFollowedByAPauseThatGrowsToItsLimit) {
  PathProof proof({"p"});
  proof.set_ports({"a:1"});
  Microseconds now{0};
  Microseconds expected = kFirstPause;
  for (int round = 0; round < 10; ++round) {
    ASSERT_EQ(asked(proof, now), "a:1 asks p");
    proof.answered({"a:1", "p"}, "no", now);
    EXPECT_EQ(asked(proof, now + expected - 1us), "");
    EXPECT_EQ(proof.next_due(), now + expected);
    now += expected;
    expected = std::min(expected * 2, kLongestPause);
  }
  EXPECT_EQ(expected, kLongestPause);
}

TEST(PathProof, OnePortThatFailsDoesNotKeepAnotherFromAsking) {
  PathProof proof({"p"});
  proof.set_ports({"a:1", "b:1"});
  EXPECT_EQ(asked(proof, 0us), "a:1 asks p");
  proof.answered({"a:1", "p"}, "no", 5us);
  EXPECT_EQ(asked(proof, 5us), "b:1 asks p");
}

TEST(PathProof, APortThatWentDownHasToProveItsPathAgain) {
  PathProof proof({"p"});
  proof.set_ports({"a:1", "b:1", "a:1"});
  proof.answered({"a:1", "p"}, std::nullopt, 0us);
  proof.set_ports({"b:1"});
  proof.answered({"a:1", "p"}, std::nullopt, 0us);  // of before it went down
  proof.set_ports({"a:1", "b:1"});
  EXPECT_EQ(verdict_of(proof.paths(), "a:1").readiness, Readiness::kNotYet);
}

TEST(PeerQuestion, TheReasonIsThatOfThePing) {
  EXPECT_EQ(reason_of(0, "", "a warning"), std::nullopt);
  EXPECT_EQ(reason_of(2, R"j({"pings":[{"number":1,"why":"refused (nobody listens)"}]})j", ""),
            "refused (nobody listens)");
  EXPECT_EQ(reason_of(1, "", "rdmactl: a warning\nrdmactl: find a way to 10.0.0.1: no route\n"),
            "find a way to 10.0.0.1: no route");
  EXPECT_EQ(reason_of(1, "", ""), "rdmactl ended with status 1");
  EXPECT_EQ(reason_of(-1, "", ""), "the question did not end by itself");
}

TEST(PeerQuestion, WhateverIsSaidThereIsAReasonAndItIsPrintable) {
  for (const char* const output :
       {"", "{", "[]", "3", R"({"pings":3})", R"({"pings":[]})", R"({"pings":[3]})",
        R"({"pings":[{"why":3}]})", R"({"pings":[{"why":"\u001b[2J"}]})"}) {
    const auto reason = reason_of(2, output, "\x1b[2J");
    ASSERT_TRUE(reason) << output;
    EXPECT_NE(*reason, "");
    EXPECT_THAT(*reason, Not(HasSubstr("\x1b"))) << output;
  }
}

/// A loop, and a program in the place of rdmactl.
class Asking : public testing::Test {
 protected:
  Asking() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    sd_event* raw = nullptr;
    EXPECT_GE(sd_event_new(&raw), 0);
    loop_.reset(raw);
  }
  core::Result<std::unique_ptr<PeerQuestion>> ask(const std::string& script) {
    directory_.write("rdmactl", "#!/bin/sh\n" + script + "\n");
    const std::string program = directory_.path("rdmactl");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return PeerQuestion::ask(loop_.get(), program, {"a:1", "10.0.0.1@o2ib"},
                             [this](std::optional<std::string> why) {
                               why_ = std::move(why);
                               ended_ = true;
                               question_.reset();
                             });
  }
  void run() {
    for (int turns = 0; turns < 100 && !ended_; ++turns) {
      ASSERT_GE(sd_event_run(loop_.get(), 10'000'000), 0);
    }
    ASSERT_TRUE(ended_);
  }

  const test::TemporaryDirectory directory_;
  core::UniqueHandle<sd_event, sd_event_unref> loop_;
  std::unique_ptr<PeerQuestion> question_;
  bool ended_ = false;
  std::optional<std::string> why_ = "not asked";
};

TEST_F(Asking, OnePingIsAskedForFromThePort) {
  question_ = ask("echo \"rdmactl: $*\" >&2; exit 1").value();
  run();
  EXPECT_EQ(why_, "ping --json --count 1 --timeout 5 --on a:1 -- 10.0.0.1@o2ib");
}

TEST_F(Asking, AnAnswerIsNoReason) {
  question_ = ask("echo '{}'").value();
  run();
  EXPECT_EQ(why_, std::nullopt);
  EXPECT_EQ(question_, nullptr) << "it may end inside its own call";
}

TEST_F(Asking, WhatIsSaidByTheMegabyteIsCutAndDoesNotBlock) {
  question_ = ask("head -c 4000000 /dev/zero | tr '\\0' x >&2; exit 1").value();
  run();
  ASSERT_TRUE(why_);
  EXPECT_LE(why_->size(), 70'000U);
}

TEST_F(Asking, AProgramThatIsNotThereIsSaid) {
  const auto asked = PeerQuestion::ask(loop_.get(), directory_.path("nothing"), {"a:1", "p"},
                                       [](const std::optional<std::string>&) {});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().error_number, ENOENT);
}

TEST_F(Asking, WhoLosesInterestLeavesNoProcessBehind) {
  // The process holds the pipe: its end is the end of the process.
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const core::UniqueFd reading(ends[0]);
  core::UniqueFd writing(ends[1]);
  question_ = ask("exec sleep 1000").value();
  writing.reset();
  question_.reset();
  char byte = 0;
  EXPECT_EQ(::read(reading.get(), &byte, 1), 0);
  EXPECT_FALSE(ended_);
}

}  // namespace
}  // namespace rdmaboot::wait_online
