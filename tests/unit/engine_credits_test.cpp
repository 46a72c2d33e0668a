// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// The rules of one side's ledger, one by one; how two sides fare with them under any schedule is in
// tests/property.
#include "engine/credits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rdmaboot::engine {
namespace {

using wire::Field;
using wire::Type;
using wire::Version;

CreditLedger of_depth(std::uint16_t depth) {
  return CreditLedger({.depth = depth});
}

CreditLedger version_1() {
  return CreditLedger({.version = Version::k1});
}

/// A message that pays came and its buffer is posted again.
void owe(CreditLedger& ledger, unsigned count) {
  for (; count > 0; --count) {
    ASSERT_TRUE(ledger.received(Type::kImmediate, 0));
    ledger.reposted(Type::kImmediate);
  }
}

void spend(CreditLedger& ledger, unsigned count) {
  for (; count > 0; --count) {
    ASSERT_TRUE(ledger.may_post(Toll::kCredit));
    static_cast<void>(ledger.post(Toll::kCredit));
    ledger.completed(Toll::kCredit);
  }
}

TEST(Credits, AMessageThatPaysStopsAtTheLastCredit) {
  CreditLedger ledger = of_depth(2);
  spend(ledger, 2);
  EXPECT_FALSE(ledger.may_post(Toll::kCredit));
  EXPECT_TRUE(ledger.may_post(Toll::kFree));
  ASSERT_TRUE(ledger.received(Type::kNoop, 1));
  ledger.reposted(Type::kNoop);
  EXPECT_TRUE(ledger.may_post(Toll::kCredit));
}

TEST(Credits, OfVersionOneTheLastIsForANoop) {
  CreditLedger ledger = version_1();
  spend(ledger, 7);
  EXPECT_FALSE(ledger.may_post(Toll::kCredit));
  EXPECT_TRUE(ledger.may_post(Toll::kNoop));
}

TEST(Credits, EveryHeaderGivesBackAllThatIsOwed) {
  CreditLedger ledger = of_depth(8);
  owe(ledger, 3);
  EXPECT_EQ(ledger.post(Toll::kFree), 3);
  EXPECT_EQ(ledger.owed(), 0);
  EXPECT_EQ(ledger.post(Toll::kCredit), 0);
}

TEST(Credits, AFailedPostLeavesTheLedgerAsItWas) {
  for (const Toll toll : {Toll::kCredit, Toll::kFree, Toll::kNoop}) {
    CreditLedger ledger = of_depth(8);
    owe(ledger, 5);
    ledger.undo_post(toll, ledger.post(toll));
    EXPECT_EQ(ledger.owed(), 5);
    EXPECT_EQ(ledger.credits(), 8);
    EXPECT_EQ(ledger.peer_credits(), 3);
    EXPECT_EQ(ledger.posted(), 0U);
    EXPECT_EQ(ledger.noops_posted(), 0U);
  }
}

TEST(Credits, MoreBackThanWereTakenIsRefused) {
  CreditLedger ledger = of_depth(8);
  spend(ledger, 2);
  const auto refused = ledger.received(Type::kGetDone, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (wire::DecodeError{Field::kCredits, 9, 8}));
  EXPECT_TRUE(ledger.received(Type::kGetDone, 2));
}

TEST(Credits, AnOverflowHiddenInNoopsIsRefused) {
  CreditLedger ledger = of_depth(8);
  spend(ledger, 2);
  ASSERT_TRUE(ledger.received(Type::kNoop, 2));
  EXPECT_FALSE(ledger.received(Type::kNoop, 1));
}

TEST(Credits, APeerThatSendsWithoutACreditIsRefused) {
  CreditLedger ledger = of_depth(2);
  ASSERT_TRUE(ledger.received(Type::kImmediate, 0));
  ASSERT_TRUE(ledger.received(Type::kPutRequest, 0));
  EXPECT_EQ(ledger.received(Type::kGetRequest, 0).error().field, Field::kNoCredit);
  EXPECT_TRUE(ledger.received(Type::kPutDone, 0));
  EXPECT_TRUE(ledger.received(Type::kNoop, 0));
  // It may again once it was given one: not when it is owed, but when it is sent.
  ledger.reposted(Type::kImmediate);
  EXPECT_FALSE(ledger.received(Type::kImmediate, 0));
  EXPECT_EQ(ledger.post(Toll::kFree), 1);
  EXPECT_TRUE(ledger.received(Type::kImmediate, 0));
}

TEST(Credits, AnAcknowledgedPutKeepsItsCreditUntilItIsDone) {
  CreditLedger ledger = of_depth(8);
  ASSERT_TRUE(ledger.received(Type::kPutRequest, 0));
  ledger.reposted(Type::kPutRequest, true);
  EXPECT_EQ(ledger.owed(), 0);
  ASSERT_TRUE(ledger.received(Type::kPutDone, 0));
  ledger.reposted(Type::kPutDone);
  EXPECT_EQ(ledger.owed(), 1);
}

TEST(Credits, ARefusedPutGivesItsCreditBackAtOnce) {
  CreditLedger ledger = of_depth(8);
  ASSERT_TRUE(ledger.received(Type::kPutRequest, 0));
  ledger.reposted(Type::kPutRequest);
  EXPECT_EQ(ledger.owed(), 1);
}

TEST(Credits, NoMoreExchangesAreOpenThanTheDepth) {
  CreditLedger ledger = of_depth(2);
  ledger.open_exchange();
  ledger.open_exchange();
  EXPECT_FALSE(ledger.may_open_exchange());
  for (const Type answer : {Type::kPutAck, Type::kPutNak, Type::kGetDone}) {
    ledger.reposted(answer);
    EXPECT_TRUE(ledger.may_open_exchange()) << to_string(answer);
    ledger.open_exchange();
  }
  ledger.cancel_exchange();
  EXPECT_TRUE(ledger.may_open_exchange());
}

TEST(Credits, AnswersNobodyAskedForMakeNoExchange) {
  CreditLedger ledger = of_depth(2);
  ledger.reposted(Type::kGetDone);
  ledger.reposted(Type::kPutDone);
  EXPECT_EQ(ledger.reserved(), 2);
  EXPECT_EQ(ledger.owed(), 0);
}

// ---- NOOPs -------------------------------------------------------------------------------------

TEST(CreditsNoop, IsDueAtTheHighWaterMark) {
  CreditLedger ledger = of_depth(8);
  ASSERT_EQ(ledger.high_water(), 5);
  owe(ledger, 4);
  EXPECT_FALSE(ledger.noop_due({}, false));
  owe(ledger, 1);
  EXPECT_TRUE(ledger.noop_due({}, false));
}

TEST(CreditsNoop, IsDueForAKeepaliveWithNothingOwed) {
  EXPECT_TRUE(of_depth(8).noop_due({}, true));
  EXPECT_TRUE(version_1().noop_due({}, true));
}

TEST(CreditsNoop, IsNotDueWhileSomethingElseCanCarryTheCredits) {
  CreditLedger ledger = of_depth(4);
  owe(ledger, 4);
  EXPECT_FALSE(ledger.noop_due({.answers = true}, false));
  EXPECT_FALSE(ledger.noop_due({.paying = true}, false));
  spend(ledger, 4);
  owe(ledger, 4);
  EXPECT_TRUE(ledger.noop_due({.paying = true}, false));
}

TEST(CreditsNoop, AtMostTwoArePostedAtATime) {
  CreditLedger ledger = of_depth(8);
  static_cast<void>(ledger.post(Toll::kNoop));
  static_cast<void>(ledger.post(Toll::kNoop));
  EXPECT_FALSE(ledger.noop_due({}, true));
  ledger.completed(Toll::kNoop);
  EXPECT_TRUE(ledger.noop_due({}, true));
}

TEST(CreditsNoop, CostsNothingAndEarnsNothing) {
  CreditLedger ledger = of_depth(8);
  static_cast<void>(ledger.post(Toll::kNoop));
  EXPECT_EQ(ledger.credits(), 8);
  ASSERT_TRUE(ledger.received(Type::kNoop, 0));
  ledger.reposted(Type::kNoop);
  EXPECT_EQ(ledger.owed(), 0);
}

TEST(CreditsNoop, WhatItBringsCountsOnceItsReceiveIsPostedAgain) {
  CreditLedger ledger = of_depth(8);
  spend(ledger, 8);
  ASSERT_TRUE(ledger.received(Type::kNoop, 8));
  EXPECT_EQ(ledger.held_credits(), 8);
  EXPECT_FALSE(ledger.may_post(Toll::kCredit));
  ledger.reposted(Type::kNoop);
  EXPECT_EQ(ledger.credits(), 8);
  EXPECT_EQ(ledger.held_credits(), 0);
}

// What went wrong with a mark of half the depth: a keepalive, and behind it two NOOPs with half of
// the credits each, are three for two receives.
TEST(CreditsNoop, BehindAKeepaliveOnlyOneMoreCanBeInThePeersReceives) {
  for (std::uint16_t depth = 1; depth <= wire::kMaxDepth; ++depth) {
    CreditLedger ledger = of_depth(depth);
    ASSERT_TRUE(ledger.noop_due({}, true));
    static_cast<void>(ledger.post(Toll::kNoop));  // the peer holds it from here on
    ledger.completed(Toll::kNoop);
    unsigned noops = 1;
    // The peer spends all that it has, but not what came with a NOOP.
    for (unsigned sent = 0; sent < depth; ++sent) {
      owe(ledger, 1);
      if (ledger.noop_due({}, false)) {
        static_cast<void>(ledger.post(Toll::kNoop));
        ledger.completed(Toll::kNoop);
        ++noops;
      }
    }
    EXPECT_LE(noops, 2U) << depth;
  }
}

TEST(CreditsNoop, OfVersionOneCostsACreditAndEarnsOne) {
  CreditLedger ledger = version_1();
  static_cast<void>(ledger.post(Toll::kNoop));
  EXPECT_EQ(ledger.credits(), 7);
  ASSERT_TRUE(ledger.received(Type::kNoop, 1));
  EXPECT_EQ(ledger.credits(), 8);
  ledger.reposted(Type::kNoop);
  EXPECT_EQ(ledger.owed(), 1);
}

TEST(CreditsNoop, OfVersionOneTakesTheLastCreditOnlyToGiveSomeBack) {
  CreditLedger ledger = version_1();
  spend(ledger, 7);
  EXPECT_FALSE(ledger.noop_due({.paying = true}, true));
  owe(ledger, 1);
  EXPECT_TRUE(ledger.noop_due({.paying = true}, true));
}

// ---- Marks and depths --------------------------------------------------------------------------

// Defect D3 of the kernel: at a depth of 1 its mark is 0, and it sends NOOPs without end.
TEST(CreditsMark, IsAtLeastOneAndAboveHalfOfTheDepth) {
  for (std::uint16_t depth = 1; depth <= wire::kMaxDepth; ++depth) {
    for (const std::uint16_t configured : std::initializer_list<std::uint16_t>{8, 9, 255}) {
      const CreditLedger ledger({.depth = depth, .configured_depth = configured});
      EXPECT_GE(ledger.high_water(), 1);
      EXPECT_LE(ledger.high_water(), depth);
      EXPECT_GT(2 * ledger.high_water(), depth);
    }
  }
  EXPECT_FALSE(of_depth(1).noop_due({}, false));
}

TEST(CreditsMark, FollowsTheDepthThatWasAgreedOn) {
  const CreditLedger ledger({.depth = 16, .configured_high_water = 24, .configured_depth = 32});
  EXPECT_EQ(ledger.high_water(), 12);
}

TEST(CreditsMark, IsClampedBetweenHalfAndOneBelowTheConfiguredDepth) {
  EXPECT_EQ(
      CreditLedger({.depth = 5, .configured_high_water = 1, .configured_depth = 8}).high_water(),
      3);
  EXPECT_EQ(CreditLedger({.configured_high_water = 1}).high_water(), 5) << "never just the half";
  EXPECT_EQ(CreditLedger({.configured_high_water = 99}).high_water(), 7);
  EXPECT_EQ(version_1().high_water(), 7);
}

// Defect D4 of the kernel: it forgets the receives beyond the lowered depth.
TEST(CreditsDepth, CanBeLoweredBeforeAnythingWasSaid) {
  CreditLedger ledger = of_depth(8);
  ASSERT_TRUE(ledger.lower_depth(4));
  EXPECT_EQ(ledger.credits(), 4);
  EXPECT_EQ(ledger.reserved(), 4);
  EXPECT_EQ(ledger.peer_credits(), 4);
  EXPECT_EQ(ledger.high_water(), 3);
  EXPECT_FALSE(ledger.lower_depth(5));
  EXPECT_FALSE(ledger.lower_depth(0));
  spend(ledger, 1);
  EXPECT_FALSE(ledger.lower_depth(3));
}

TEST(CreditsDepth, TakesTwoReceivesAMessageAndTwoForNoops) {
  EXPECT_EQ(receives_of(Version::k2, 8), 18U);
  EXPECT_EQ(receives_of(Version::k1, 8), 16U);
}

TEST(CreditsSends, AreBoundedWhateverTheirKind) {
  CreditLedger ledger({.concurrent_sends = 4});
  for (int sent = 0; sent < 4; ++sent) {
    static_cast<void>(ledger.post(Toll::kFree));
  }
  for (const Toll toll : {Toll::kCredit, Toll::kFree, Toll::kNoop}) {
    EXPECT_FALSE(ledger.may_post(toll));
  }
  ledger.completed(Toll::kFree);
  EXPECT_TRUE(ledger.may_post(Toll::kCredit));
}

TEST(CreditsSends, AreClampedAsTheKernelDoes) {
  EXPECT_EQ(CreditLedger({}).concurrent_sends(), 8);
  EXPECT_EQ(CreditLedger({.concurrent_sends = 1}).concurrent_sends(), 4);
  EXPECT_EQ(CreditLedger({.concurrent_sends = 99}).concurrent_sends(), 16);
  EXPECT_EQ(CreditLedger({.version = Version::k1, .configured_depth = 64}).concurrent_sends(), 16);
}

TEST(CreditsRest, IsReachedAgainAfterAnExchange) {
  CreditLedger ledger = of_depth(8);
  EXPECT_TRUE(ledger.at_rest());
  ledger.open_exchange();
  spend(ledger, 1);
  EXPECT_FALSE(ledger.at_rest());
  ASSERT_TRUE(ledger.received(Type::kGetDone, 1));
  ledger.reposted(Type::kGetDone);
  EXPECT_TRUE(ledger.at_rest());
}

}  // namespace
}  // namespace rdmaboot::engine
