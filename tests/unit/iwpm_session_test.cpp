// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
#include <algorithm>
#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "iwpm/dump.hpp"
#include "iwpm/saved.hpp"
#include "iwpm/session.hpp"
#include "iwpm_session_fixture.hpp"
#include "json_schema.hpp"

namespace rdmaboot::iwpm {
namespace {

using namespace std::chrono_literals;
using core::Microseconds;
using test::at;
using test::attribute_of;
using test::decoded;
using test::FakeWorld;
using test::hex;
using test::KernelSays;
using test::Octets;
using test::operation_of;
using test::u16_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Start and version ------------------------------------------------------------------------------

TEST_F(SessionTest, ANewerVersionIsAMismatch) {
  say(KernelSays::hello(5));
  EXPECT_EQ(operation_of(world.kernel.back()), unsigned{RDMA_NL_IWPM_HANDLE_ERR});
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 17);
}

TEST_F(SessionTest, ARegistrationForAnotherLibraryIsAnError) {
  const auto registration = [](const char* library) {
    return KernelSays(2, RDMA_NL_IWPM_REG_PID, 5)
        .value(1, std::uint32_t{1})
        .text(2, "eth0")
        .text(3, "siw0")
        .text(4, library)
        .done();
  };
  say(registration("somebodyElse"));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 15);
  say(registration("iWarpPortMapperUser"));
  EXPECT_EQ(operation_of(world.kernel.back()), unsigned{RDMA_NL_IWPM_REG_PID});
}

TEST_F(SessionTest, MalformedMessagesAreToldAndUnknownClientsAreNot) {
  say(KernelSays(2, RDMA_NL_IWPM_ADD_MAPPING, 77).done());
  ASSERT_THAT(world.kernel, SizeIs(1));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 10);
  say(KernelSays(5, RDMA_NL_IWPM_ADD_MAPPING, 78).done());
  EXPECT_THAT(world.kernel, SizeIs(1));
  EXPECT_EQ(session->counters().messages_malformed, 2U);
}

// Mappings ---------------------------------------------------------------------------------------

TEST_F(SessionTest, AMappingHoldsItsPortUntilItIsRemoved) {
  const Address local = at("10.0.0.1", 7200);
  say(KernelSays::add(3, local, 0));
  EXPECT_THAT(world.held, SizeIs(1));
  const auto found = session->mappings().find_for_peer(local);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->second.mapped, at("10.0.0.1", 40000));
  say(KernelSays::remove(4, local));
  EXPECT_THAT(world.held, IsEmpty());
  EXPECT_THAT(session->mappings().all(), IsEmpty());
}

TEST_F(SessionTest, AnIdentityMappingTakesNoPort) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), kNoPortMap));
  EXPECT_THAT(world.held, IsEmpty());
  EXPECT_EQ(session->mappings().find_for_peer(at("10.0.0.1", 7200))->second.mapped.port, 7200);
}

TEST_F(SessionTest, ASecondWildcardOnlyAddsAReference) {
  const Address any = at("0.0.0.0", 7200);
  say(KernelSays::add(3, any, 0));
  say(KernelSays::add(4, any, 0));
  EXPECT_THAT(world.held, SizeIs(1));
  EXPECT_EQ(hex(attribute_of(world.kernel[0], 3)), hex(attribute_of(world.kernel[1], 3)));
  say(KernelSays::remove(5, any));
  EXPECT_THAT(world.held, SizeIs(1));
  say(KernelSays::remove(6, any));
  EXPECT_THAT(world.held, IsEmpty());
}

TEST_F(SessionTest, EveryOtherDuplicateIsAnError) {
  const auto code_of_add = [&](const Address& local) {
    say(KernelSays::add(9, local, 0));
    return operation_of(world.kernel.back()) == RDMA_NL_IWPM_HANDLE_ERR
               ? u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE)
               : 0;
  };
  EXPECT_EQ(code_of_add(at("10.0.0.1", 7200)), 0);
  EXPECT_EQ(code_of_add(at("10.0.0.1", 7200)), 12);
  EXPECT_EQ(code_of_add(at("0.0.0.0", 7200)), 12);
  EXPECT_EQ(code_of_add(at("10.0.0.2", 7200)), 0);
  EXPECT_EQ(code_of_add(at("::", 7200)), 0);
  EXPECT_EQ(code_of_add(at("fd00::1", 7200)), 12);
  EXPECT_EQ(code_of_add(at("fd00::1", 7201)), 0);
}

TEST_F(SessionTest, OnlyTheOwnerRemovesAMapping) {
  const Address local = at("10.0.0.1", 7200);
  say(KernelSays::add(3, local, 0));
  say(KernelSays::remove(4, local, kClientLegacy));
  say(KernelSays::remove(4, at("10.0.0.1", 7999)));
  EXPECT_THAT(session->mappings().all(), SizeIs(1));
  EXPECT_THAT(world.kernel, SizeIs(1)) << "an unknown mapping is no error";
}

TEST_F(SessionTest, WithoutAPortTheKernelIsToldSo) {
  world.reserve_error = EMFILE;
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 11);
  EXPECT_THAT(session->mappings().all(), IsEmpty());
  EXPECT_THAT(world.told, ElementsAre(HasSubstr("10.0.0.1:7200")));
}

TEST_F(SessionTest, ARestartTakesBackWhatTheKernelStillUses) {
  world.held.clear();
  Session restarted({}, clock, world, kOurPortId);
  restarted.greet();
  restarted.from_kernel(KernelSays::hello(4));
  const Address any = at("0.0.0.0", 7300);
  restarted.from_kernel(KernelSays::mapinfo(2, at("10.0.0.1", 7200), at("10.0.0.1", 41000), 0));
  restarted.from_kernel(KernelSays::mapinfo(3, any, any, kNoPortMap));
  restarted.from_kernel(KernelSays::mapinfo(4, any, any, kNoPortMap));
  restarted.from_kernel(KernelSays::mapinfo_count(5, 3));
  const Octets answer = world.kernel.back();
  EXPECT_EQ(hex(attribute_of(answer, 1)), "05000000");
  EXPECT_EQ(hex(attribute_of(answer, 2)), "03000000");
  EXPECT_EQ(hex(attribute_of(answer, 3)), "03000000");
  EXPECT_NE(restarted.kernel(), Kernel::kServed) << "ready only when all of it is there";
  restarted.from_kernel(KernelSays::finished(1));
  EXPECT_EQ(restarted.kernel(), Kernel::kServed);
  EXPECT_THAT(world.held, SizeIs(1));
  EXPECT_EQ(restarted.mappings().find_for_peer(at("10.0.0.9", 7300))->second.references, 2U);
}

TEST_F(SessionTest, APortThatSomebodyTookMeanwhileIsToldAndTheMappingStays) {
  world.reserve_error = EADDRINUSE;
  say(KernelSays::mapinfo(2, at("10.0.0.1", 7200), at("10.0.0.1", 41000), 0));
  EXPECT_THAT(world.told, ElementsAre(HasSubstr("41000")));
  EXPECT_NE(session->mappings().find_for_peer(at("10.0.0.1", 7200)), nullptr);
}

TEST_F(SessionTest, AnOverrunAsksForTheListAndDropsWhatIsNotInIt) {
  const Address kept = at("10.0.0.1", 7200);
  const Address lost = at("10.0.0.1", 7201);
  say(KernelSays::add(3, kept, 0));
  say(KernelSays::add(4, lost, 0));
  pass(20s);
  const Address young = at("10.0.0.1", 7202);
  say(KernelSays::add(5, young, 0));
  forget();
  session->kernel_overrun();
  pass(1s);
  ASSERT_THAT(world.kernel, SizeIs(1));
  EXPECT_EQ(operation_of(world.kernel[0]), unsigned{RDMA_NL_IWPM_MAPINFO});
  const std::uint32_t asked = decoded(world.kernel[0])->sequence;
  say(KernelSays::mapinfo(6, kept, at("10.0.0.1", 40000), 0));
  say(KernelSays::mapinfo_count(7, 1));
  world.kernel.pop_back();
  say(KernelSays::finished(asked));
  EXPECT_THAT(session->mappings().all(), SizeIs(2));
  EXPECT_EQ(session->mappings().find_for_peer(lost), nullptr);
  EXPECT_NE(session->mappings().find_for_peer(young), nullptr) << "it may not be listed yet";
  EXPECT_THAT(world.held, SizeIs(2));
  // The young one is looked at once more when it has had its time, and that is all.
  pass(16s);
  ASSERT_THAT(world.kernel, SizeIs(2));
  say(KernelSays::mapinfo(6, kept, at("10.0.0.1", 40000), 0));
  say(KernelSays::mapinfo_count(7, 1));
  world.kernel.pop_back();
  say(KernelSays::finished(decoded(world.kernel[1])->sequence));
  EXPECT_THAT(session->mappings().all(), SizeIs(1));
  pass(100s);
  EXPECT_THAT(world.kernel, SizeIs(2));
}

TEST_F(SessionTest, AListThatTheKernelCouldNotFinishRemovesNothing) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  say(KernelSays::add(4, at("10.0.0.1", 7201), 0));
  const auto list = [&](int status, std::optional<std::uint32_t> announced) {
    pass(20s);
    forget();
    session->kernel_overrun();
    pass(1s);
    say(KernelSays::mapinfo(6, at("10.0.0.1", 7200), at("10.0.0.1", 40000), 0));
    if (announced) {
      say(KernelSays::mapinfo_count(7, *announced));
    }
    say(KernelSays::finished(decoded(world.kernel[0])->sequence, status));
    return session->mappings().all().size();
  };
  EXPECT_EQ(list(-ENOMEM, std::nullopt), 2U);
  EXPECT_EQ(list(0, std::nullopt), 2U);
  EXPECT_EQ(list(0, 2), 2U) << "one message was lost";
  EXPECT_EQ(list(0, 1), 1U);
}

TEST_F(SessionTest, ARestartRecallsWhatTheKernelsListHasNoRoomFor) {
  for (std::uint16_t port = 0; port < 3; ++port) {
    say(KernelSays::add(3, at("10.0.0.1", static_cast<std::uint16_t>(7200 + port)), 0));
  }
  say(KernelSays::add(3, at("::", 7203), kNoPortMap));
  say(KernelSays::add(3, at("::", 7203), kNoPortMap));
  const auto saved = parse_saved(write_saved(session->mappings()));
  ASSERT_THAT(saved, SizeIs(4));
  const std::string before = nlohmann::json::parse(dump_json(*session))["mappings"].dump();
  const auto restart = [&](bool whole) {
    world.held.clear();
    forget();
    auto restarted = std::make_unique<Session>(settings, clock, world, kOurPortId);
    restarted->recall(saved);
    restarted->greet();
    restarted->from_kernel(KernelSays::hello(4));
    restarted->from_kernel(KernelSays::mapinfo(2, at("10.0.0.1", 7201), at("10.0.0.1", 40001), 0));
    if (whole) {
      restarted->from_kernel(KernelSays::mapinfo_count(3, 1));
    }
    restarted->from_kernel(KernelSays::finished(1, whole ? 0 : -ENOMEM));
    EXPECT_EQ(restarted->kernel(), Kernel::kServed);
    return restarted;
  };
  EXPECT_EQ(nlohmann::json::parse(dump_json(*restart(false)))["mappings"].dump(), before);
  EXPECT_THAT(world.held, SizeIs(3));
  EXPECT_THAT(restart(true)->mappings().all(), SizeIs(1));
  EXPECT_THAT(world.held, SizeIs(1));
}

TEST_F(SessionTest, WhatIsRecordedIsTheTable) {
  const Address any = at("0.0.0.0", 7203);
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  say(KernelSays::add(4, at("10.0.0.1", 7201), kNoPortMap));
  say(KernelSays::add(5, any, 0));
  say(KernelSays::add(6, any, 0));
  say(KernelSays::remove(7, at("10.0.0.1", 7200)));
  query(7201);
  const auto recorded = parse_saved(world.recorded);
  ASSERT_THAT(recorded, SizeIs(2));
  for (const SavedMapping& saved : recorded) {
    EXPECT_EQ(saved.references, 2U) << saved.local.text();
    EXPECT_EQ(saved.reserved, saved.local == any);
    EXPECT_EQ(saved.mapped, session->mappings().find_for_peer(saved.local)->second.mapped);
  }
}

TEST_F(SessionTest, WhatTheKernelAsksForAnewIsMadeAnewIfItWasInDoubt) {
  const Address local = at("10.0.0.1", 7200);
  const std::vector<SavedMapping> saved{{local, at("10.0.0.1", 41000), 3, kClientIwcm, true}};
  const auto restarted = std::make_unique<Session>(settings, clock, world, kOurPortId);
  world.held.clear();
  restarted->recall(saved);
  restarted->from_kernel(KernelSays::add(3, local, 0));
  EXPECT_EQ(operation_of(world.kernel.back()), unsigned{RDMA_NL_IWPM_ADD_MAPPING});
  EXPECT_EQ(restarted->mappings().find_for_peer(local)->second.references, 1U);
  EXPECT_THAT(world.held, SizeIs(1)) << "the port of the old one is free";
  restarted->from_kernel(KernelSays::add(4, local, 0));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 12) << "now there is no doubt";
  EXPECT_EQ(world.wrong_releases, 0);
}

TEST_F(SessionTest, WhatAPartialListDoesNotHaveIsInDoubt) {
  const Address listed = at("10.0.0.1", 7200);
  const Address unlisted = at("10.0.0.1", 7201);
  say(KernelSays::add(3, listed, 0));
  say(KernelSays::add(4, unlisted, 0));
  pass(20s);
  forget();
  session->kernel_overrun();
  pass(1s);
  say(KernelSays::mapinfo(6, listed, at("10.0.0.1", 40000), 0));
  say(KernelSays::finished(decoded(world.kernel[0])->sequence, -ENOMEM));
  say(KernelSays::add(7, listed, 0));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 12);
  say(KernelSays::add(8, unlisted, 0));
  EXPECT_EQ(operation_of(world.kernel.back()), unsigned{RDMA_NL_IWPM_ADD_MAPPING});
  EXPECT_THAT(world.held, SizeIs(2));
}

TEST_F(SessionTest, ManyOverrunsAskOnceASecond) {
  for (int i = 0; i < 1000; ++i) {
    session->kernel_overrun();
    pass(10ms);
  }
  EXPECT_LE(world.kernel.size(), 11U);
  EXPECT_GE(world.kernel.size(), 8U);
}

TEST_F(SessionTest, ADeviceThatGoesTakesItsMappingsAlong) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  pass(20s);
  forget();
  session->device_removed();
  pass(1s);
  ASSERT_THAT(world.kernel, SizeIs(1));
  say(KernelSays::finished(decoded(world.kernel[0])->sequence));
  EXPECT_THAT(session->mappings().all(), IsEmpty());
  EXPECT_THAT(world.held, IsEmpty());
}

// Asking peers -----------------------------------------------------------------------------------

TEST_F(SessionTest, AQueryIsAnsweredWhenThePeerAcceptsAndThePeerIsThanked) {
  query();
  ASSERT_THAT(world.peers, SizeIs(1));
  EXPECT_EQ(world.peers[0].via, Via::kAsking);
  EXPECT_EQ(world.peers[0].peer, kPeer);
  EXPECT_THAT(world.kernel, IsEmpty());
  WireMessage accept = last_sent();
  accept.type = WireType::kAccept;
  accept.accepting.port = 45000;
  from(Via::kAsking, kPeer, accept);
  EXPECT_EQ(query_error(), 0);
  EXPECT_EQ(hex(attribute_of(world.kernel.back(), IWPM_NLA_RQUERY_MAPPED_REM_ADDR)).substr(0, 16),
            "0200afc80a000002");
  EXPECT_EQ(last_sent().type, WireType::kAck);
  // The acknowledgement got lost: the accept comes again, the kernel hears nothing of it.
  forget();
  from(Via::kAsking, kPeer, accept);
  EXPECT_EQ(last_sent().type, WireType::kAck);
  EXPECT_THAT(world.kernel, IsEmpty());
  pass(11s);
  EXPECT_EQ(session->queries().size(), 0U);
  EXPECT_FALSE(session->next_deadline());
}

TEST_F(SessionTest, ARejectIsAnsweredWithTheUnmappedAddress) {
  query();
  WireMessage reject = last_sent();
  reject.type = WireType::kReject;
  from(Via::kAsking, kPeer, reject);
  EXPECT_EQ(query_error(), 16);
  EXPECT_EQ(hex(attribute_of(world.kernel.back(), IWPM_NLA_RQUERY_MAPPED_REM_ADDR)),
            hex(attribute_of(world.kernel.back(), IWPM_NLA_RQUERY_REMOTE_ADDR)));
  EXPECT_EQ(session->queries().size(), 0U);
  EXPECT_EQ(session->silent_peers().size(), 0U);
}

TEST_F(SessionTest, AHostWithoutAPortMapperCostsNoTime) {
  query();
  session->unreachable(kPeer, world.peers[0].bytes);
  EXPECT_EQ(query_error(), 16);
  EXPECT_EQ(session->counters().without_mapper, 1U);
  // The next connect is answered at once, while the host is asked again in the background.
  forget();
  query(5001, 11);
  EXPECT_EQ(query_error(), 16);
  ASSERT_THAT(world.peers, SizeIs(1));
  EXPECT_EQ(last_sent().accepting.port, 0) << "a probe asks for a port that nobody has";
  query(5002, 12);
  EXPECT_THAT(world.peers, SizeIs(1)) << "one probe at a time";
  // It has one now.
  WireMessage reject = last_sent();
  reject.type = WireType::kReject;
  from(Via::kAsking, kPeer, reject);
  forget();
  query(5003, 13);
  EXPECT_THAT(world.kernel, IsEmpty());
  EXPECT_EQ(last_sent().accepting.port, 7300);
}

TEST_F(SessionTest, TheCacheEndsByItself) {
  query();
  session->unreachable(kPeer, world.peers[0].bytes);
  forget();
  pass(6s);
  query(5001, 11);
  EXPECT_THAT(world.kernel, IsEmpty());
}

TEST_F(SessionTest, ASilentPeerIsGivenUpAfterTwoSecondsAndProbedOn) {
  query();
  pass(1900ms);
  EXPECT_THAT(world.kernel, IsEmpty());
  pass(200ms);
  EXPECT_EQ(query_error(), 16);
  EXPECT_EQ(session->counters().timed_out, 1U);
  forget();
  query(5001, 11);
  EXPECT_EQ(query_error(), 16);
  EXPECT_EQ(session->counters().from_cache, 1U);
  // The first question is still being repeated; a late accept ends the cache.
  const std::uint64_t before = world.peer_count;
  pass(3s);
  EXPECT_GE(world.peer_count, before + 2);
  ASSERT_FALSE(world.peers.empty());
  WireMessage accept = last_sent();
  accept.type = WireType::kAccept;
  accept.accepting.port = 45000;
  forget();
  from(Via::kAsking, kPeer, accept);
  EXPECT_THAT(world.kernel, IsEmpty()) << "the kernel had its answer";
  query(5002, 12);
  EXPECT_THAT(world.kernel, IsEmpty());
  EXPECT_EQ(last_sent().type, WireType::kRequest);
}

TEST_F(SessionTest, RequestsAreRepeatedASecondApartForAtMostTenSeconds) {
  settings.peer_timeout = 10s;
  start();
  query();
  std::vector<Microseconds> sent{clock.now()};
  std::size_t count = world.peers.size();
  for (int i = 0; i < 1500; ++i) {
    pass(10ms);
    if (world.peers.size() > count) {
      count = world.peers.size();
      sent.push_back(clock.now());
    }
  }
  EXPECT_GE(sent.size(), 9U);
  EXPECT_LE(sent.size(), 12U);
  bool uneven = false;
  for (std::size_t i = 1; i < sent.size(); ++i) {
    const auto gap = sent[i] - sent[i - 1];
    EXPECT_GE(gap, 880ms);
    EXPECT_LE(gap, 1120ms);
    uneven = uneven || gap < 990ms || gap > 1010ms;
  }
  EXPECT_TRUE(uneven) << "jitter";
  EXPECT_FALSE(session->next_deadline());
  EXPECT_THAT(world.kernel, SizeIs(1));
}

TEST_F(SessionTest, ALocalErrorIsAnAnswerToo) {
  world.send_error = ENETUNREACH;
  query();
  EXPECT_EQ(query_error(), 16);
  world.send_error = ENOBUFS;
  forget();
  query(5001, 11);
  EXPECT_THAT(world.kernel, IsEmpty()) << "that passes, the request is repeated";
}

TEST_F(SessionTest, UnsolicitedAnswersAreIgnored) {
  query();
  WireMessage forged = last_sent();
  forged.type = WireType::kAccept;
  forged.accepting.port = 1;
  const auto nothing_happens = [&](Via via, const Address& peer, const WireMessage& message) {
    const auto before = session->counters().datagrams_ignored;
    const auto sent = world.peers.size();
    from(via, peer, message);
    EXPECT_EQ(session->counters().datagrams_ignored, before + 1);
    EXPECT_EQ(world.peers.size(), sent);
    EXPECT_THAT(world.kernel, IsEmpty());
  };
  nothing_happens(Via::kAsking, at("10.0.0.3", kMapperPort), forged);
  nothing_happens(Via::kAnswering, kPeer, forged);
  WireMessage other = forged;
  ++other.handle;
  nothing_happens(Via::kAsking, kPeer, other);
  other = forged;
  other.accepting.port = 0;
  nothing_happens(Via::kAsking, kPeer, other);
  other = forged;
  other.connecting.port = 1;
  nothing_happens(Via::kAsking, kPeer, other);
  other.type = WireType::kAck;
  nothing_happens(Via::kAnswering, kPeer, other);
  nothing_happens(Via::kAsking, kPeer, other);
  other.type = WireType::kRequest;
  nothing_happens(Via::kAsking, kPeer, other);
  session->unreachable(at("10.0.0.3", kMapperPort), world.peers[0].bytes);
  EXPECT_THAT(world.kernel, IsEmpty());
}

TEST_F(SessionTest, HandlesAreNeitherAddressesNorCounted) {
  query();
  const std::uint64_t first = last_sent().handle;
  query(5001, 11);
  const std::uint64_t second = last_sent().handle;
  FakeWorld same;
  const std::uint64_t jitter_between = 1;
  EXPECT_EQ(first, same.random());
  for (std::uint64_t i = 0; i < jitter_between; ++i) {
    static_cast<void>(same.random());
  }
  EXPECT_EQ(second, same.random()) << "handles are the random numbers of the world";
}

TEST_F(SessionTest, AQueryOnAWildcardIsAnError) {
  say(KernelSays::query(10, at("0.0.0.0", 5000), kRemote, 0));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 11);
  say(KernelSays::add(11, at("0.0.0.0", 5000), 0));
  say(KernelSays::query(12, at("10.0.0.1", 5000), kRemote, 0));
  EXPECT_EQ(u16_of(world.kernel.back(), IWPM_NLA_ERR_CODE), 11);
}

TEST_F(SessionTest, AQueryOnAnExistingMappingAddsAReference) {
  query();
  query();
  EXPECT_EQ(session->mappings().find_for_peer(at("10.0.0.1", 5000))->second.references, 2U);
}

// Answering peers --------------------------------------------------------------------------------

TEST_F(SessionTest, ARequestForAMappingIsAcceptedAndTheKernelIsToldOnce) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  forget();
  from(Via::kAnswering, kAsker, request(7));
  EXPECT_EQ(last_sent().type, WireType::kAccept);
  EXPECT_EQ(last_sent().accepting, at("10.0.0.1", 40000));
  ASSERT_THAT(world.kernel, SizeIs(1));
  EXPECT_EQ(operation_of(world.kernel[0]), unsigned{RDMA_NL_IWPM_REMOTE_INFO});
  from(Via::kAnswering, kAsker, request(7));
  EXPECT_THAT(world.peers, SizeIs(2));
  EXPECT_EQ(world.peers[0].bytes, world.peers[1].bytes);
  EXPECT_THAT(world.kernel, SizeIs(1));
  WireMessage ack = last_sent();
  ack.type = WireType::kAck;
  EXPECT_EQ(session->accepted().unacknowledged(), 1U);
  from(Via::kAnswering, kAsker, ack);
  EXPECT_EQ(session->accepted().unacknowledged(), 0U);
  EXPECT_EQ(session->counters().datagrams_ignored, 0U);
  pass(12s);
  EXPECT_EQ(session->accepted().size(), 0U);
  EXPECT_FALSE(session->next_deadline());
}

TEST_F(SessionTest, MadeUpSourcesDoNotFillTheKernel) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  forget();
  for (std::uint64_t handle = 0; handle < 10'000; ++handle) {
    from(Via::kAnswering, kAsker, request(handle));
    pass(1ms);  // within the limit of one source
  }
  EXPECT_THAT(world.peers, SizeIs(10'000)) << "each is answered";
  EXPECT_THAT(world.kernel, SizeIs(kMostUnacknowledged));
  // A real peer acknowledges, with the address that only it was told.
  WireMessage ack = last_sent();
  ack.type = WireType::kAck;
  ack.accepting.port ^= 1U;
  from(Via::kAnswering, kAsker, ack);
  EXPECT_THAT(world.kernel, SizeIs(kMostUnacknowledged));
  EXPECT_EQ(session->counters().datagrams_ignored, 1U);
  ack.accepting.port ^= 1U;
  from(Via::kAnswering, kAsker, ack);
  from(Via::kAnswering, kAsker, ack);
  ASSERT_THAT(world.kernel, SizeIs(kMostUnacknowledged + 1)) << "once";
  EXPECT_EQ(operation_of(world.kernel.back()), unsigned{RDMA_NL_IWPM_REMOTE_INFO});
  // When the flood is over, the kernel hears at once again.
  pass(12s);
  from(Via::kAnswering, kAsker, request(20'000));
  EXPECT_THAT(world.kernel, SizeIs(kMostUnacknowledged + 2));
}

TEST_F(SessionTest, AWildcardIsAcceptedWithTheAddressThatWasAskedFor) {
  say(KernelSays::add(3, at("0.0.0.0", 7200), 0));
  const auto mapped = attribute_of(world.kernel.back(), IWPM_NLA_RMANAGE_MAPPED_LOC_ADDR);
  from(Via::kAnswering, kAsker, request(7));
  EXPECT_EQ(last_sent().accepting, at("10.0.0.1", 40000));
  // The kernel looks for it by the address that it knows its listener by.
  EXPECT_EQ(attribute_of(world.kernel.back(), IWPM_NLA_RQUERY_MAPPED_LOC_ADDR), mapped);
  from(Via::kAnswering, kAsker, request(7));
  EXPECT_EQ(last_sent().accepting, at("10.0.0.1", 40000)) << "a repeated request";
}

TEST_F(SessionTest, NothingIsKeptOfARejectedRequest) {
  for (std::uint64_t handle = 0; handle < 1000; ++handle) {
    from(Via::kAnswering, kAsker, request(handle));
  }
  EXPECT_EQ(last_sent().type, WireType::kReject);
  EXPECT_EQ(last_sent().accepting.port, 7200);
  EXPECT_EQ(session->accepted().size(), 0U);
  EXPECT_FALSE(session->next_deadline());
  EXPECT_THAT(world.kernel, IsEmpty());
}

TEST_F(SessionTest, AnAnswerIsNeverLargerThanTheRequestsAndNeverRepeated) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  from(Via::kAnswering, kAsker, request(7));
  from(Via::kAnswering, kAsker, request(8, 9999));
  pass(30s);
  EXPECT_THAT(world.peers, SizeIs(2));
  EXPECT_LE(world.peer_bytes, 2 * kWireRequestSize);
}

TEST_F(SessionTest, ASourceThatFloodsIsCutOffAndOthersAreNot) {
  settings.rate_limit = 100;
  start();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    from(Via::kAnswering, kAsker, request(i));
  }
  EXPECT_THAT(world.peers, SizeIs(200));
  EXPECT_EQ(session->counters().datagrams_limited, 800U);
  from(Via::kAnswering, at("10.0.0.3", 50000), request(1));
  EXPECT_THAT(world.peers, SizeIs(201));
  pass(1s);
  from(Via::kAnswering, kAsker, request(1));
  EXPECT_THAT(world.peers, SizeIs(202));
}

TEST_F(SessionTest, AFloodOfMadeUpSourcesLeavesRoomForARealOne) {
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    Address source = at("10.0.0.2", 1);
    std::memcpy(source.ip.data(), &i, sizeof(i));
    WireMessage message = request(i);
    if (i % 100'000 == 0) {
      pass(1s);
    }
    world.keep = false;
    from(Via::kAnswering, source, message);
  }
  world.keep = true;
  forget();
  from(Via::kAnswering, kAsker, request(7));
  EXPECT_THAT(world.peers, SizeIs(1));
}

TEST_F(SessionTest, OnlyListedNetworksAreAnswered) {
  settings.allow = {*parse_network("10.0.0.0/30"), *parse_network("fd00::/8")};
  start();
  from(Via::kAnswering, at("10.0.0.4", 1), request(1));
  EXPECT_THAT(world.peers, IsEmpty());
  from(Via::kAnswering, at("10.0.0.3", 1), request(1));
  EXPECT_THAT(world.peers, SizeIs(1));
  EXPECT_EQ(session->counters().datagrams_refused, 1U);
}

TEST_F(SessionTest, NewSettingsKeepEveryMapping) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  Settings changed;
  changed.rate_limit = 1;
  session->apply(changed);
  EXPECT_THAT(session->mappings().all(), SizeIs(1));
  EXPECT_THAT(world.held, SizeIs(1));
  for (int i = 0; i < 5; ++i) {
    from(Via::kAnswering, kAsker, request(7));
  }
  EXPECT_EQ(session->counters().datagrams_limited, 3U);
}

TEST_F(SessionTest, TheDumpSaysWhatIsMapped) {
  say(KernelSays::add(3, at("10.0.0.1", 7200), 0));
  say(KernelSays::add(4, at("fd00::1", 7201), kNoPortMap));
  const auto json = nlohmann::json::parse(dump_json(*session));
  EXPECT_THAT(test::JsonSchema::of_documentation("mapper").problems(json), IsEmpty());
  ASSERT_EQ(json["mappings"].size(), 2U);
  EXPECT_EQ(json["mappings"][0]["local"], "10.0.0.1:7200");
  EXPECT_EQ(json["mappings"][0]["mapped"], "10.0.0.1:40000");
  EXPECT_EQ(json["mappings"][1]["local"], "[fd00::1]:7201");
  EXPECT_EQ(json["mappings"][1]["reserved"], false);
  EXPECT_EQ(json["kernel"]["state"], "served");
  EXPECT_THAT(dump_lines(*session),
              ElementsAre(HasSubstr("10.0.0.1:7200 to 10.0.0.1:40000"), HasSubstr("[fd00::1]")));
  EXPECT_THAT(status_line(*session), HasSubstr("2 mappings"));
}

}  // namespace
}  // namespace rdmaboot::iwpm
