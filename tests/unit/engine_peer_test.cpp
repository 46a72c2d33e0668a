// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-sim
// One engine against a peer that lies, refuses, restarts or says nothing.
#include "engine_fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace {

using namespace rdmaboot;
using namespace rdmaboot::engine;
using namespace rdmaboot::engine::fixtures;
using namespace std::chrono_literals;
using rdmaboot::tests::kEngineStamp;
using rdmaboot::tests::kPeerStamp;
using testing::HasSubstr;

// ---- Who lies is cut off, and the field is named
// -------------------------------------------------

struct Lie {
  const char* name;
  const char* field;
  std::function<void(ScriptedPeer&)> tell;
};
void PrintTo(const Lie& lie, std::ostream* out) {
  *out << lie.name;
}

class LyingPeer : public EngineAndPeer, public testing::WithParamInterface<Lie> {};

TEST_P(LyingPeer, IsClosedForTheFieldItLiedIn) {
  connect();
  GetParam().tell(peer);
  run();
  EXPECT_TRUE(peer.disconnected);
  EXPECT_EQ(closed_for(), CloseReason::kProtocol);
  EXPECT_THAT(closed_because(), HasSubstr(GetParam().field));
  EXPECT_EQ(engine->statistics().protocol_errors, 1U);
  EXPECT_EQ(engine->statistics().connections, 0U);
  EXPECT_TRUE(network.recorder.faults.empty());
}

void send_with(ScriptedPeer& peer, std::size_t offset, std::uint64_t value, std::size_t size) {
  const std::size_t bytes = wire::encode(peer.header, wire::Noop{}, peer.out());
  std::memcpy(peer.out().data() + offset, &value, size);
  peer.send_bytes(bytes);
}

const Lie kLies[] = {
    {"Magic", "magic", [](auto& p) { send_with(p, 0, 0x11111111, 4); }},
    {"UnknownVersion", "version", [](auto& p) { send_with(p, 4, 0x13, 2); }},
    {"OtherVersionInMidStream", "version",
     [](auto& p) {
       p.header.version = wire::Version::k1;
       p.send(wire::Noop{});
     }},
    {"UnknownType", "type", [](auto& p) { send_with(p, 6, 0xee, 1); }},
    {"ConnectAsData", "type", [](auto& p) { p.send(wire::ConnectRequest{}); }},
    {"Credits", "credits", [](auto& p) { send_with(p, 7, 200, 1); }},
    {"Length", "nob", [](auto& p) { send_with(p, 8, 4000, 4); }},
    {"Checksum", "cksum", [](auto& p) { send_with(p, 12, 12345, 4); }},
    {"SourceNid", "srcnid",
     [](auto& p) {
       p.header.source = Network::nid(7);
       p.send(wire::Noop{});
     }},
    {"SourceStamp", "srcstamp",
     [](auto& p) {
       p.header.source_stamp = 1;
       p.send(wire::Noop{});
     }},
    {"DestinationNid", "dstnid",
     [](auto& p) {
       p.header.destination = Network::nid(7);
       p.send(wire::Noop{});
     }},
    {"DestinationStamp", "dststamp",
     [](auto& p) {
       p.header.destination_stamp = 1;
       p.send(wire::Noop{});
     }},
    {"CookieOfGetDone", "cookie",
     [](auto& p) {
       p.send(wire::GetDone{{wire::Cookie{99}, 0}});
     }},
    {"CookieOfPutDone", "cookie",
     [](auto& p) {
       p.send(wire::PutDone{{wire::Cookie{99}, 0}});
     }},
    {"CookieOfPutNak", "cookie",
     [](auto& p) {
       p.send(wire::PutNak{{wire::Cookie{99}, 0}});
     }},
    {"LnetDestination", "dest_nid",
     [](auto& p) {
       auto lnet = header_of(wire::LnetPut{}, 0);
       lnet.destination = Network::nid(5);
       p.send(wire::Immediate{lnet, {}});
     }},
    {"LnetSource", "src_nid",
     [](auto& p) {
       auto lnet = header_of(wire::LnetPut{}, 0);
       lnet.source = Network::nid(5);
       p.send(wire::Immediate{lnet, {}});
     }},
    {"LnetPayload", "payload_length",
     [](auto& p) {
       const std::size_t bytes =
           wire::encode(p.header, wire::PutRequest{header_of(wire::LnetPut{}, 5000), {}}, p.out());
       const std::uint32_t length = 2U << 20;
       std::memcpy(p.out().data() + 76, &length, sizeof length);
       p.send_bytes(bytes);
     }},
    {"Flood", "credit",
     [](auto& p) {
       for (int i = 0; i < 12; ++i) {
         p.send(wire::Immediate{header_of(wire::LnetPut{}, 0), {}});
       }
     }},
};
INSTANTIATE_TEST_SUITE_P(Fields, LyingPeer, testing::ValuesIn(kLies),
                         [](const auto& lie) { return std::string(lie.param.name); });

TEST_F(EngineAndPeer, AGetDoneAboveTheSinkClosesTheConnection) {  // D5
  start_get(5000);
  const auto cookie = std::get<wire::GetRequest>(peer.last().body).cookie;
  peer.send(wire::GetDone{{cookie, 5001}});
  run(3s);
  EXPECT_EQ(result().status, TransferStatus::kConnectionLost);
  EXPECT_THAT(closed_because(), HasSubstr("status"));
}

TEST_F(EngineAndPeer, ASecondDoneForOneCookieClosesTheConnection) {
  start_get(5000);
  const auto cookie = std::get<wire::GetRequest>(peer.last().body).cookie;
  peer.send(wire::GetDone{{cookie, 5000}});
  run();
  EXPECT_EQ(result().status, TransferStatus::kOk);
  peer.send(wire::GetDone{{cookie, 5000}});
  run();
  EXPECT_THAT(closed_because(), HasSubstr("cookie"));
}

TEST_F(EngineAndPeer, ThePeersKeyIsDeadWhenTheGetIsComplete) {  // D9
  start_get(9000);
  const auto request = std::get<wire::GetRequest>(peer.last().body);
  const auto target = request.sink.fragments[0];
  const auto key = request.sink.key;
  peer.write(target.address, key, target.length);
  run();
  peer.send(wire::GetDone{{request.cookie, 9000}});
  run();
  EXPECT_EQ(result().status, TransferStatus::kOk);
  EXPECT_FALSE(network.world.exposed(network.hosts[0], sink.data(), sink.size()));
  peer.write(target.address, key, target.length);
  run();
  ASSERT_EQ(network.recorder.writes.size(), 2U);
  EXPECT_TRUE(network.recorder.writes[0].landed);
  EXPECT_FALSE(network.recorder.writes[1].landed);
}

TEST_F(EngineAndPeer, AGetIsAskedForWithOneFragmentOfItsExactLength) {  // D1, towards kernels
  start_get(9001);
  const auto request = std::get<wire::GetRequest>(peer.last().body);
  EXPECT_EQ(request.sink.fragments.size(), 1U);
  EXPECT_EQ(request.sink.fragments.total_bytes(), 9001U);
}

TEST_F(EngineAndPeer, AShortGetIsReportedAsTruncated) {
  start_get(5000);
  const auto cookie = std::get<wire::GetRequest>(peer.last().body).cookie;
  peer.send(wire::GetDone{{cookie, 48}});
  run();
  const TransferResult ended = result();
  EXPECT_EQ(ended.status, TransferStatus::kTruncated);
  EXPECT_EQ(ended.bytes, 48U);
}

TEST_F(EngineAndPeer, AMessageShorterThanItSaysIsDroppedAndTheConnectionStays) {
  connect();
  std::array<std::byte, 100> payload{};
  const std::size_t bytes = wire::encode(
      peer.header, wire::Immediate{header_of(put_command(), 100), payload}, peer.out());
  const auto nob = static_cast<std::uint32_t>(bytes - 50);
  std::memcpy(peer.out().data() + 8, &nob, sizeof nob);
  peer.send_bytes(bytes - 50);
  run();
  EXPECT_EQ(engine->statistics().messages_dropped, 1U);
  EXPECT_FALSE(peer.disconnected);
}

TEST_F(EngineAndPeer, AGetRequestThatMatchesNothingIsAnsweredNoData) {
  connect();
  const wire::Fragment fragment{peer.address(), 5000};
  wire::LnetGet get;
  get.portal = kPortal;
  get.match_bits = 1;
  get.length = 5000;
  peer.send(wire::GetRequest{header_of(get),
                             wire::Cookie{5},
                             {peer.key(), std::span<const wire::Fragment>(&fragment, 1)}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kGetDone);
  EXPECT_EQ(std::get<wire::GetDone>(peer.last().body).status, -61);
}

TEST_F(EngineAndPeer, AGetWithoutMemoryHereIsAnsweredAllTheSame) {  // D7
  Settings settings = Network::settings(0);
  settings.max_memory = 512 << 10;  // message buffers, and no bounce buffer
  settings.keys = KeyPolicy::kBounce;
  start(settings);
  peer.connect();
  run();
  const wire::Fragment fragment{peer.address(), 5000};
  wire::LnetGet get;
  get.portal = kPortal;
  get.match_bits = kBits;
  get.length = 5000;
  peer.send(wire::GetRequest{header_of(get),
                             wire::Cookie{5},
                             {peer.key(), std::span<const wire::Fragment>(&fragment, 1)}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kGetDone);
  EXPECT_LT(std::get<wire::GetDone>(peer.last().body).status, 0);
}

TEST_F(EngineAndPeer, APutRequestThatMatchesNothingIsAnsweredWithANakOfStatus0) {
  connect();
  wire::LnetPut put = put_command();
  put.match_bits = 1;
  peer.send(wire::PutRequest{header_of(put, 5000), wire::Cookie{5}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kPutNak);
  EXPECT_EQ(std::get<wire::PutNak>(peer.last().body).status, 0);
}

TEST_F(EngineAndPeer, APingIsAnsweredWithTheLoopbackFirst) {
  connect();
  wire::LnetGet get;
  get.match_bits = 0x8000000000000000;
  get.length = 3960;
  peer.send(wire::Immediate{header_of(get), {}});
  run();
  const auto reply = std::get<wire::Immediate>(peer.last().body);
  EXPECT_TRUE(std::holds_alternative<wire::LnetReply>(reply.lnet.command));
  EXPECT_EQ(reply.payload.size(), 48U);
  EXPECT_EQ(engine->statistics().pings_answered, 1U);
}

TEST_F(EngineAndPeer, APeerThatKeepsTheCreditsOfItsAnswersIsCutOff) {
  connect();
  wire::LnetGet get;
  get.match_bits = wire::kPingMatchBits;
  get.length = 3960;
  unsigned asked = 0;
  for (; asked < 2000 && !peer.disconnected; ++asked) {
    peer.send(wire::Immediate{header_of(get), {}});
    run();
  }
  EXPECT_TRUE(peer.disconnected);
  EXPECT_EQ(closed_for(), CloseReason::kProtocol);
  EXPECT_THAT(closed_because(), HasSubstr("credits"));
  EXPECT_GT(asked, 512U);
  EXPECT_LT(asked, 600U);
  EXPECT_EQ(engine->statistics().connections, 0U);
}

TEST_F(EngineAndPeer, APushIsAcknowledgedWithItsLength) {
  connect();
  std::array<std::byte, 48> info{};
  wire::LnetPut push;
  push.match_bits = 0x8000000000000000;
  push.ack.bytes.fill(std::byte{7});
  peer.send(wire::Immediate{header_of(push, 48), info});
  run();
  const auto answer = std::get<wire::Immediate>(peer.last().body);
  ASSERT_TRUE(std::holds_alternative<wire::LnetAck>(answer.lnet.command));
  EXPECT_EQ(std::get<wire::LnetAck>(answer.lnet.command).length, 48U);
  EXPECT_EQ(std::get<wire::LnetAck>(answer.lnet.command).destination, push.ack);
}

// ---- Requests that are refused
// -------------------------------------------------------------------

TEST_F(EngineAndPeer, ASourceAddressThatIsNotTheNidsIsRefused) {  // D9
  start();
  peer.header.source = Network::nid(5);
  peer.connect();
  run();
  ASSERT_EQ(peer.refusals.size(), 1U);
  EXPECT_EQ(peer.refusals[0].why, wire::RejectReason::kFatal);
}

TEST_F(EngineAndPeer, WhomTheAllowListLacksIsRefused) {
  Settings settings = Network::settings(0);
  settings.allowed = {*parse_allowed_peers("10.0.0.3")};
  start(settings);
  peer.connect();
  run();
  ASSERT_EQ(peer.refusals.size(), 1U);
  range = {exposed.data(), 10};
  EXPECT_EQ(engine->put(Network::nid(1), {&range, 1}, {}).error(), TransferStatus::kNotAllowed);
}

TEST_F(EngineAndPeer, ADepthAboveMineIsAnsweredWithMine) {
  start();
  peer.parameters.queue_depth = 9;
  peer.connect();
  run();
  ASSERT_EQ(peer.refusals.size(), 1U);
  EXPECT_EQ(peer.refusals[0].why, wire::RejectReason::kQueueDepth);
  EXPECT_EQ(peer.refusals[0].limits->limits.queue_depth, 8);
  EXPECT_EQ(peer.refusals[0].limits->incarnation, kEngineStamp);
}

TEST_F(EngineAndPeer, ADepthOfNothingIsRefused) {  // D6
  start();
  peer.parameters.queue_depth = 0;
  peer.connect();
  run();
  EXPECT_EQ(peer.refusals.size(), 1U);
}

TEST_F(EngineAndPeer, AStampThatIsNotMineIsStale) {
  start();
  peer.request_stamp = 5;
  peer.connect();
  run();
  ASSERT_EQ(peer.refusals.size(), 1U);
  EXPECT_EQ(peer.refusals[0].why, wire::RejectReason::kStale);
  EXPECT_EQ(peer.refusals[0].limits->incarnation, kEngineStamp);
}

TEST_F(EngineAndPeer, APeerThatRestartedIsRefusedOnceAndThenAccepted) {
  connect();
  peer.header.source_stamp = kPeerStamp + 1;
  peer.established = false;
  peer.connect();
  run();
  ASSERT_EQ(peer.refusals.size(), 1U);
  EXPECT_EQ(peer.refusals[0].why, wire::RejectReason::kStale);
  EXPECT_EQ(closed_for(), CloseReason::kStalePeer);
  peer.connect();
  run();
  EXPECT_TRUE(peer.established);
}

// ---- Refusals that the engine acts on
// ------------------------------------------------------------

TEST_F(EngineAndPeer, AQueueDepthThatIsRefusedIsAskedForLower) {
  wire::Reject reject;
  reject.why = wire::RejectReason::kQueueDepth;
  reject.limits = wire::RejectLimits{kPeerStamp, {4, 257, 4096}};
  peer.reject = reject;
  start_get(5000);
  ASSERT_GE(peer.requests.size(), 2U);
  EXPECT_EQ(peer.requests[0].queue_depth, 8);
  EXPECT_EQ(peer.requests[1].queue_depth, 4);
}

TEST_F(EngineAndPeer, AStaleRefusalIsFollowedWithItsIncarnation) {
  wire::Reject reject;
  reject.why = wire::RejectReason::kStale;
  reject.limits = wire::RejectLimits{4711, {8, 257, 4096}};
  peer.reject = reject;
  start_get(5000);
  ASSERT_GE(peer.request_headers.size(), 2U);
  EXPECT_EQ(peer.request_headers[0].destination_stamp, 0U);
  EXPECT_EQ(peer.request_headers[1].destination_stamp, 4711U);
}

TEST_F(EngineAndPeer, APeerThatRefusesForEverIsNotAskedForEver) {
  wire::Reject reject;
  reject.why = wire::RejectReason::kStale;
  reject.limits = wire::RejectLimits{4711, {8, 257, 4096}};
  peer.reject = reject;
  start_get(5000);
  run(60s);
  EXPECT_EQ(result().status, TransferStatus::kTimedOutWaiting);
  EXPECT_LT(peer.requests.size(), 40U);
}

TEST_F(EngineAndPeer, NoResourcesFailsWhatWaits) {
  wire::Reject reject;
  reject.why = wire::RejectReason::kNoResources;
  peer.reject = reject;
  start_get(5000);
  EXPECT_EQ(result().status, TransferStatus::kRefused);
  EXPECT_EQ(peer.requests.size(), 1U);
}

TEST_F(EngineAndPeer, ADepthThatTheReplyLowersIsKeptTo) {  // D4
  peer.parameters.queue_depth = 4;
  start_get(5000);
  const auto peers = engine->peers();
  ASSERT_EQ(peers.at(0).connections.size(), 1U);
  EXPECT_EQ(peers[0].connections[0].queue_depth, 4);
  engine.reset();
  EXPECT_EQ(network.world.live(network.hosts[0]), sim::LiveObjects{});
}

TEST_F(EngineAndPeer, AReplyThatRaisesTheDepthClosesTheConnection) {
  peer.parameters.queue_depth = 9;
  start_get(5000);
  run(3s);
  EXPECT_TRUE(peer.disconnected);
  EXPECT_THAT(closed_because(), HasSubstr("queue_depth"));
}

// ---- Silence
// -------------------------------------------------------------------------------------

TEST_F(EngineAndPeer, ARequestWithoutAnAnswerTimesOut) {
  peer.answers_requests = false;
  start_get(5000);
  run(13s);
  EXPECT_EQ(closed_for(), CloseReason::kConnectTimeout);
  EXPECT_EQ(result().status, TransferStatus::kTimedOutWaiting);
}

TEST_F(EngineAndPeer, APeerThatNeverAnswersAGetLosesItsConnection) {
  start_get(5000);
  run(51s);
  EXPECT_EQ(result().status, TransferStatus::kTimedOutAnswer);
  EXPECT_EQ(closed_for(), CloseReason::kTransferTimeout);
  EXPECT_FALSE(network.world.exposed(network.hosts[0], sink.data(), sink.size()));
}

TEST_F(EngineAndPeer, APeerThatIsMuteAtLnetKeepsItsConnection) {
  start_get(100);
  run(51s);
  EXPECT_EQ(result().status, TransferStatus::kTimedOutAnswer);
  EXPECT_FALSE(peer.disconnected);
}

TEST_F(EngineAndPeer, AnIdleConnectionIsKeptAliveAndNothingElse) {  // D3
  Settings settings = Network::settings(0);
  settings.peer_credits = 2;
  start(settings);
  peer.parameters.queue_depth = 1;
  peer.connect();
  run(350s);
  EXPECT_EQ(std::count(peer.received.begin(), peer.received.end(), wire::Type::kNoop), 3);
}

}  // namespace
