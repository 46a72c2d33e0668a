// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
#include "engine/admission.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace rdmaboot::engine;
using rdmaboot::core::Error;

Nid nid(const char* text) {
  return *parse_nid(text);
}

event::Rejected refused(wire::RejectReason why, std::uint16_t version = 0x12,
                        std::optional<wire::RejectLimits> limits = std::nullopt) {
  event::Rejected refusal;
  refusal.reason = 28;
  wire::Reject record;
  record.version = version;
  record.why = why;
  record.limits = limits;
  const auto bytes = wire::encode_reject(record);
  std::copy(bytes.begin(), bytes.end(), refusal.private_data.bytes.begin());
  refusal.private_data.length = 148;
  return refusal;
}

wire::RejectLimits limits(std::uint16_t depth, std::uint16_t fragments, std::uint64_t stamp = 7) {
  wire::RejectLimits limits;
  limits.incarnation = stamp;
  limits.limits.queue_depth = depth;
  limits.limits.max_fragments = fragments;
  return limits;
}

// ---- Whom to admit

TEST(Admission, AnEmptyListAdmitsEverybody) {
  EXPECT_TRUE(is_allowed(nid("10.0.0.1@o2ib"), {}));
}

TEST(Admission, APrefixAdmitsItsAddressesOnItsNetworkOnly) {
  const AllowedPeers entry[] = {*parse_allowed_peers("10.0.1.0/24@o2ib2")};
  EXPECT_TRUE(is_allowed(nid("10.0.1.77@o2ib2"), entry));
  EXPECT_FALSE(is_allowed(nid("10.0.2.77@o2ib2"), entry));
  EXPECT_FALSE(is_allowed(nid("10.0.1.77@o2ib"), entry));
}

TEST(Admission, APrefixOfNoBitsIsTheWholeNetwork) {
  const AllowedPeers entry[] = {*parse_allowed_peers("0.0.0.0/0")};
  EXPECT_TRUE(is_allowed(nid("192.168.1.1"), entry));
}

TEST(Admission, TextThatIsNoPrefixIsRefused) {
  for (const char* text :
       {"", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/a", "10.0.0.1/8x@o2ib", "/8"}) {
    EXPECT_FALSE(parse_allowed_peers(text)) << text;
  }
}

// ---- Races: the examples of section 10, seen on a kernel

TEST(Race, TheHashIsTheByteSwappedAddress) {
  const Nid self = nid("10.0.0.1@o2ib");
  EXPECT_TRUE(refuses_race(self, nid("10.0.1.0@o2ib"), TieBreak::kHash, 0));
  EXPECT_FALSE(refuses_race(self, nid("10.0.0.2@o2ib"), TieBreak::kHash, 0));
}

TEST(Race, TheOldRuleComparesNumbers) {
  const Nid self = nid("10.0.0.1@o2ib");
  EXPECT_FALSE(refuses_race(self, nid("10.0.1.0@o2ib"), TieBreak::kNumeric, 0));
  EXPECT_TRUE(refuses_race(self, nid("10.0.0.0@o2ib"), TieBreak::kNumeric, 0));
}

TEST(Race, ExactlyOneSideRefusesUnderEitherRule) {
  for (const TieBreak rule : {TieBreak::kHash, TieBreak::kNumeric}) {
    for (std::uint32_t other = 2; other < 600; other += 7) {
      const Nid a = Nid::o2ib(0x0a000001);
      const Nid b = Nid::o2ib(0x0a000000 + other);
      EXPECT_NE(refuses_race(a, b, rule, 0), refuses_race(b, a, rule, 0));
    }
  }
}

TEST(Race, AfterTwentyRefusalsTheOtherSideWins) {
  const Nid self = nid("10.0.0.2@o2ib");
  EXPECT_TRUE(refuses_race(self, nid("10.0.0.1@o2ib"), TieBreak::kHash, 19));
  EXPECT_FALSE(refuses_race(self, nid("10.0.0.1@o2ib"), TieBreak::kHash, 20));
}

// ---- Refusals

TEST(Refusal, RaceWaitsForThePeersOwnConnection) {
  EXPECT_EQ(judge_refusal(refused(wire::RejectReason::kRace), {}, Versions::kBoth).what,
            AfterRefusal::kRetryLater);
}

TEST(Refusal, StaleRetriesWithTheIncarnationOfTheRecord) {
  const Verdict verdict = judge_refusal(
      refused(wire::RejectReason::kStale, 0x12, limits(8, 257, 4711)), {}, Versions::kBoth);
  EXPECT_EQ(verdict.what, AfterRefusal::kRetry);
  EXPECT_EQ(verdict.next.peer_incarnation, 4711U);
}

TEST(Refusal, StaleOfVersion1ClaimsToKnowNoIncarnation) {
  Attempt asked;
  asked.peer_incarnation = 12;
  const Verdict verdict =
      judge_refusal(refused(wire::RejectReason::kStale, 0x11), asked, Versions::kBoth);
  EXPECT_EQ(verdict.what, AfterRefusal::kRetry);
  EXPECT_EQ(verdict.next.peer_incarnation, 0U);
}

TEST(Refusal, QueueDepthIsLoweredToTheAdvertisedOne) {
  Attempt asked;
  asked.queue_depth = 32;
  const Verdict verdict = judge_refusal(
      refused(wire::RejectReason::kQueueDepth, 0x12, limits(8, 257)), asked, Versions::kBoth);
  EXPECT_EQ(verdict.what, AfterRefusal::kRetry);
  EXPECT_EQ(verdict.next.queue_depth, 8);
}

TEST(Refusal, AnAdvertisedDepthThatIsNotSmallerIsNotFollowed) {
  for (const std::uint16_t advertised : std::initializer_list<std::uint16_t>{8, 9, 0}) {
    EXPECT_EQ(judge_refusal(refused(wire::RejectReason::kQueueDepth, 0x12, limits(advertised, 257)),
                            {}, Versions::kBoth)
                  .what,
              AfterRefusal::kGiveUp);
  }
}

TEST(Refusal, FragmentsAreLoweredToTheAdvertisedOnes) {
  const Verdict verdict = judge_refusal(
      refused(wire::RejectReason::kFragments, 0x12, limits(8, 32)), {}, Versions::kBoth);
  EXPECT_EQ(verdict.what, AfterRefusal::kRetry);
  EXPECT_EQ(verdict.next.max_fragments, 32);
}

TEST(Refusal, FatalOfVersion1FallsBackToIt) {
  const Verdict verdict =
      judge_refusal(refused(wire::RejectReason::kFatal, 0x11), {}, Versions::kBoth);
  EXPECT_EQ(verdict.what, AfterRefusal::kRetry);
  EXPECT_EQ(verdict.next.version, wire::Version::k1);
  EXPECT_EQ(verdict.next.queue_depth, 8);
}

TEST(Refusal, Version1IsNotSpokenWhenOnly2Is) {
  EXPECT_EQ(judge_refusal(refused(wire::RejectReason::kFatal, 0x11), {}, Versions::kOnly2).what,
            AfterRefusal::kGiveUp);
}

TEST(Refusal, FatalNoResourcesAndEarlyAreFinal) {
  for (const auto why : {wire::RejectReason::kFatal, wire::RejectReason::kNoResources,
                         wire::RejectReason::kEarly, static_cast<wire::RejectReason>(77)}) {
    EXPECT_EQ(judge_refusal(refused(why), {}, Versions::kBoth).what, AfterRefusal::kGiveUp);
  }
}

TEST(Refusal, WhereNobodyListensNothingIsRetried) {
  event::Rejected nobody;
  nobody.reason = 8;
  event::Rejected zeros;  // another address of that device has the listener
  zeros.reason = 28;
  zeros.private_data.length = 148;
  for (const auto& refusal : {nobody, zeros}) {
    const Verdict verdict = judge_refusal(refusal, {}, Versions::kBoth);
    EXPECT_EQ(verdict.what, AfterRefusal::kGiveUp);
    EXPECT_EQ(verdict.reason, CloseReason::kNobodyListens);
  }
}

TEST(Refusal, AStaleConnectionOfThePeersManagerIsTriedAgain) {
  event::Rejected stale;
  stale.reason = 10;
  EXPECT_EQ(judge_refusal(stale, {}, Versions::kBoth).what, AfterRefusal::kRetryLater);
}

// ---- Back-off

TEST(BackOff, DoublesUpToItsBoundAndNeverBelowHalfOfIt) {
  Settings settings;
  Jitter jitter(1);
  EXPECT_EQ(back_off(0, settings, jitter), Duration{0});
  for (unsigned failures = 1; failures < 100; ++failures) {
    const auto whole = std::min(settings.reconnect_longest,
                                settings.reconnect_first * (1 << std::min(failures - 1, 20U)));
    const Duration wait = back_off(failures, settings, jitter);
    EXPECT_LE(wait, whole);
    EXPECT_GE(wait, whole / 2);
  }
}

TEST(BackOff, PeersThatFailTogetherComeBackApart) {
  Settings settings;
  Jitter one(1);
  Jitter two(2);
  EXPECT_NE(back_off(5, settings, one), back_off(5, settings, two));
}

// ---- Queues and settings

TEST(Queues, TheLongestChainFitsTheSendQueue) {
  Settings settings;
  for (const std::uint16_t depth : std::initializer_list<std::uint16_t>{2, 8, 255}) {
    const QueueLimits queue = queue_limits(depth, 257, wire::Version::k2, settings, {});
    EXPECT_GE(queue.send_requests, 257U + kRequestsBesideWrites);
    EXPECT_EQ(queue.completions, queue.send_requests + queue.receive_requests);
    EXPECT_EQ(queue.receive_requests, 2U * depth + 2);
  }
}

TEST(SettingsCheck, TheErrorNamesTheSetting) {
  Settings settings;
  settings.nid = nid("10.0.0.1@o2ib");
  settings.incarnation = 1;
  ASSERT_TRUE(check(settings));
  settings.peer_credits = 256;
  ASSERT_FALSE(check(settings));
  EXPECT_EQ(check(settings).error().object, "peer_credits");
  settings.peer_credits = 8;
  settings.incarnation = 0;
  EXPECT_EQ(check(settings).error().object, "incarnation");
}

}  // namespace
