// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-sim
//
// Engines where something is not as usual: checksums, old peers, an RTU that is lost, replies that
// take the long way, devices and addresses that go or move.
#include "engine_fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <tuple>

namespace {

using namespace rdmaboot;
using namespace rdmaboot::engine;
using namespace rdmaboot::engine::fixtures;
using namespace std::chrono_literals;
using testing::HasSubstr;

// ---- Checksums: defects D2 and D8 of the kernel ------------------------------------------------

class EitherChecksum : public EngineAndPeer, public testing::WithParamInterface<MessageChecksum> {
 protected:
  static wire::Checksum wire_kind() {
    return GetParam() == MessageChecksum::kSignedChar ? wire::Checksum::kSigned
                                                      : wire::Checksum::kUnsigned;
  }
};

TEST_P(EitherChecksum, CoversThePayloadThatTheEngineSends) {  // D2
  Settings settings = Network::settings(0);
  settings.checksum = GetParam();
  start(settings);
  sink.assign(3000, std::byte{0xd7});  // the two variants differ from 0x80 on
  range = {sink.data(), sink.size()};
  ASSERT_TRUE(engine->put(Network::nid(1), {&range, 1}, PutOptions{kPortal, kBits}));
  run();
  ASSERT_THAT(peer.received, testing::ElementsAre(wire::Type::kImmediate));
  std::vector<std::byte> message = peer.bytes.back();
  wire::Envelope envelope;
  ASSERT_TRUE(wire::decode(message, &envelope));
  EXPECT_EQ(envelope.checksum, wire_kind());
  message.back() ^= std::byte{1};
  EXPECT_EQ(wire::decode(message).error().field, wire::Field::kChecksum);
}

TEST_P(EitherChecksum, IsTakenFromAPeerWhateverTheEnginesOwn) {  // D8
  connect();
  const std::vector<std::byte> payload(500, std::byte{0xe1});
  const wire::Immediate put{header_of(put_command(), 500), payload};
  peer.send_bytes(wire::encode(peer.header, put, peer.out(), {.checksum = wire_kind()}));
  run();
  EXPECT_TRUE(std::equal(payload.begin(), payload.end(), exposed.begin()));
  EXPECT_FALSE(peer.disconnected);

  const std::size_t size = wire::encode(peer.header, put, peer.out(), {.checksum = wire_kind()});
  peer.out()[size - 1] ^= std::byte{4};
  peer.send_bytes(size);
  run();
  EXPECT_TRUE(peer.disconnected);
  EXPECT_THAT(closed_because(), HasSubstr("cksum"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EitherChecksum,
                         testing::Values(MessageChecksum::kSignedChar,
                                         MessageChecksum::kUnsignedChar),
                         [](const auto& kind) {
                           return kind.param == MessageChecksum::kSignedChar ? "Signed"
                                                                             : "Unsigned";
                         });

// ---- Connecting --------------------------------------------------------------------------------

TEST_F(EngineAndPeer, AMessageThatComesInsteadOfTheRtuEstablishesTheConnectionAndIsServed) {
  start();
  peer.connect();
  const auto accepting = [&] {
    const auto peers = engine->peers();
    return !peers.empty() && !peers[0].connections.empty() &&
           peers[0].connections[0].state == ConnectionState::kAccepting;
  };
  for (int step = 0; step < 1000 && !accepting(); ++step) {
    run(1us);
  }
  ASSERT_TRUE(accepting());
  // The reply is on its way; what comes after it, the RTU, is lost.
  network.world.model().cm_loss = 1'000'000;
  for (int step = 0; step < 1000 && !peer.established; ++step) {
    run(1us);
  }
  ASSERT_TRUE(peer.established);
  run(5ms);
  ASSERT_TRUE(accepting()) << "nothing but the RTU says that the peer is there";
  const std::array<std::byte, 2> payload{std::byte{1}, std::byte{2}};
  peer.send(wire::Immediate{header_of(put_command(), 2), payload});
  run(5ms);
  EXPECT_EQ(exposed[0], std::byte{1}) << "what came early is served";
  EXPECT_EQ(exposed[1], std::byte{2});
  EXPECT_EQ(engine->peers()[0].connections[0].state, ConnectionState::kEstablished);
  EXPECT_EQ(engine->statistics().accepts_established, 1U);
  EXPECT_TRUE(network.recorder.faults.empty());
}

class IwarpAndPeer : public EngineAndPeer {
 protected:
  IwarpAndPeer() : EngineAndPeer(true) {}
};

TEST_F(IwarpAndPeer, WhoConnectsAndSaysNothingIsClosedInTheTimeOfAConnect) {
  connect();
  run(10s);
  EXPECT_EQ(engine->statistics().connections, 1U);
  run(3s);
  EXPECT_EQ(engine->statistics().connections, 0U);
  EXPECT_EQ(closed_for(), CloseReason::kConnectTimeout);
}

TEST_F(IwarpAndPeer, WhoConnectsAndSpeaksStays) {
  connect();
  peer.send(wire::Noop{});
  run(20s);
  EXPECT_EQ(engine->statistics().connections, 1U);
}

TEST_F(EngineAndPeer, APeerThatKnowsOnlyVersion1IsSpokenToInVersion1) {
  peer.old = true;
  peer.header.version = wire::Version::k1;
  start_get(5000);
  ASSERT_EQ(peer.request_headers.size(), 2U);
  EXPECT_EQ(peer.request_headers[0].version, wire::Version::k2);
  EXPECT_EQ(peer.request_headers[1].version, wire::Version::k1);
  EXPECT_EQ(peer.requests[1].queue_depth, wire::kVersion1Depth);
  const wire::Message message = peer.last();
  EXPECT_EQ(message.header.version, wire::Version::k1);
  const auto request = std::get<wire::GetRequest>(message.body);
  std::fill(peer.sink().begin(), peer.sink().end(), std::byte{0x3c});
  peer.write(request.sink.fragments[0].address, request.sink.key, 5000);
  run();
  peer.send(wire::GetDone{{request.cookie, 5000}});
  run();
  EXPECT_EQ(result().status, TransferStatus::kOk);
  EXPECT_EQ(sink.back(), std::byte{0x3c});
  EXPECT_EQ(engine->peers()[0].connections[0].version, 1);
}

TEST_F(EngineAndPeer, WhoSpeaksOnlyVersion2DoesNotFallBack) {
  peer.old = true;
  Settings settings = Network::settings(0);
  settings.versions = Versions::kOnly2;
  start(settings);
  sink.resize(10);
  range = {sink.data(), sink.size()};
  ASSERT_TRUE(engine->get(Network::nid(1), {&range, 1}, GetOptions{kPortal, kBits}));
  run();
  EXPECT_EQ(result().status, TransferStatus::kRefused);
  EXPECT_EQ(peer.requests.size(), 1U);
}

// ---- Replies that take the long way ------------------------------------------------------------

TEST_F(EngineAndPeer, AGetByImmediateThatIsTooLongForOneIsAnsweredByPutRequest) {
  connect();
  for (std::size_t i = 0; i < exposed.size(); ++i) {
    exposed[i] = static_cast<std::byte>(i * 7 + (i >> 8));
  }
  wire::LnetGet get;
  get.portal = kPortal;
  get.match_bits = kBits;
  get.offset = 10;
  get.length = 50'000;
  get.reply.bytes.fill(std::byte{0x42});
  peer.send(wire::Immediate{header_of(get), {}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kPutRequest);
  const auto request = std::get<wire::PutRequest>(peer.last().body);
  EXPECT_EQ(std::get<wire::LnetReply>(request.lnet.command).destination, get.reply);
  EXPECT_EQ(request.lnet.payload_length, 50'000U);
  const wire::Fragment room{peer.address(), 50'000};
  peer.send(wire::PutAck{
      request.cookie, wire::Cookie{77}, {peer.key(), std::span<const wire::Fragment>(&room, 1)}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kPutDone);
  const auto done = std::get<wire::PutDone>(peer.last().body);
  EXPECT_EQ(done.cookie, wire::Cookie{77});
  EXPECT_EQ(done.status, 50'000);
  EXPECT_EQ(std::memcmp(peer.sink().data(), exposed.data() + 10, 50'000), 0);
  EXPECT_EQ(engine->peers()[0].connections[0].reserved, 8) << "the exchange is over";
}

TEST_F(EngineAndPeer, AGetByImmediateWithRoomForMoreThanThereIsGetsWhatThereIs) {
  connect();
  wire::LnetGet get;
  get.portal = kPortal;
  get.match_bits = kBits;
  get.offset = 99'000;
  get.length = 1U << 20U;
  peer.send(wire::Immediate{header_of(get), {}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kImmediate);
  EXPECT_EQ(std::get<wire::Immediate>(peer.last().body).payload.size(), 1000U);
}

TEST_F(EngineAndPeer, ALongReplyThatIsNotWantedEndsWithAnEventAndNothingElse) {
  connect();
  int failed = 0;
  ExposeOptions options;
  options.portal = kPortal;
  options.match_bits = 1;
  options.context = &failed;
  options.function = [](void* count, const ExposureEvent& event) {
    *static_cast<int*>(count) += event.kind == ExposureEvent::Kind::kFailed ? 1 : 0;
  };
  const iovec whole{exposed.data(), exposed.size()};
  ASSERT_TRUE(engine->expose({&whole, 1}, options));
  wire::LnetGet get;
  get.portal = kPortal;
  get.match_bits = 1;
  get.length = 50'000;
  peer.send(wire::Immediate{header_of(get), {}});
  run();
  const auto request = std::get<wire::PutRequest>(peer.last().body);
  peer.send(wire::PutNak{{request.cookie, 0}});
  run();
  EXPECT_EQ(failed, 1);
  EXPECT_FALSE(peer.disconnected);
}

class LongReply : public EngineAndPeer {
 protected:
  /// A GET of 3000 bytes, which the peer answers with a PUT_REQ of `length`.
  void start_reply(std::uint32_t length) {
    start_get(3000);
    const auto get =
        std::get<wire::LnetGet>(std::get<wire::Immediate>(peer.last().body).lnet.command);
    peer.send(wire::PutRequest{header_of(wire::LnetReply{get.reply}, length), wire::Cookie{5}});
    run();
  }
};

TEST_F(LongReply, ToAShortGetOfMineIsWrittenToItsSink) {
  start_reply(3000);
  ASSERT_EQ(peer.received.back(), wire::Type::kPutAck);
  const auto ack = std::get<wire::PutAck>(peer.last().body);
  EXPECT_EQ(ack.source_cookie, wire::Cookie{5});
  EXPECT_EQ(ack.sink.fragments.total_bytes(), 3000U);
  std::fill(peer.sink().begin(), peer.sink().end(), std::byte{0x77});
  peer.write(ack.sink.fragments[0].address, ack.sink.key, 3000);
  run();
  peer.send(wire::PutDone{{ack.sink_cookie, 3000}});
  run();
  const TransferResult ended = result();
  EXPECT_EQ(ended.status, TransferStatus::kOk);
  EXPECT_EQ(ended.bytes, 3000U);
  EXPECT_TRUE(
      std::all_of(sink.begin(), sink.end(), [](auto byte) { return byte == std::byte{0x77}; }));
  EXPECT_FALSE(network.world.exposed(network.hosts[0], sink.data(), sink.size()));
}

TEST_F(LongReply, ThatIsShorterThanAskedForIsReportedAsTruncated) {
  start_reply(1000);
  const auto ack = std::get<wire::PutAck>(peer.last().body);
  EXPECT_EQ(ack.sink.fragments.total_bytes(), 1000U);
  peer.write(ack.sink.fragments[0].address, ack.sink.key, 1000);
  run();
  peer.send(wire::PutDone{{ack.sink_cookie, 1000}});
  run();
  const TransferResult ended = result();
  EXPECT_EQ(ended.status, TransferStatus::kTruncated);
  EXPECT_EQ(ended.bytes, 1000U);
}

TEST_F(LongReply, ThatClaimsMoreThanItHadRoomForClosesTheConnection) {
  start_reply(1000);
  const auto ack = std::get<wire::PutAck>(peer.last().body);
  peer.send(wire::PutDone{{ack.sink_cookie, 1001}});
  run(3s);
  EXPECT_TRUE(peer.disconnected);
  EXPECT_THAT(closed_because(), HasSubstr("status"));
}

TEST_F(LongReply, ThatIsNeverDoneTakesTheConnectionWithIt) {
  start_reply(3000);
  run(55s);
  EXPECT_EQ(result().status, TransferStatus::kTimedOutAnswer);
  EXPECT_EQ(closed_for(), CloseReason::kTransferTimeout);
}

TEST_F(LongReply, ToNothingIsRefused) {
  connect();
  wire::LnetReply reply;
  reply.destination.bytes.fill(std::byte{9});
  peer.send(wire::PutRequest{header_of(reply, 5000), wire::Cookie{5}});
  run();
  ASSERT_EQ(peer.received.back(), wire::Type::kPutNak);
  EXPECT_FALSE(peer.disconnected);
}

// ---- Devices and addresses (section 13) --------------------------------------------------------

/// Whose device or address it is: 0 the one who puts, 1 the one whose buffer it is.
class MovingHost : public EnginePair, public testing::WithParamInterface<std::uint32_t> {
 protected:
  static constexpr std::size_t kBytes = 5U << 20U;
  void SetUp() override {
    start();
    mine = cut_up(here, kBytes, kBytes);
    theirs = cut_up(there, kBytes, kBytes);
    ASSERT_TRUE(engines[0]->register_memory(here));
    ASSERT_TRUE(engines[1]->register_memory(there));
    expose(theirs);
  }
  void TearDown() override {
    run(60s);  // a side that heard nothing of the other's end waits for its time-out
    EXPECT_FALSE(network.world.exposed(network.hosts[1], there.data(), there.size()));
    for (std::uint32_t i = 0; i < 2; ++i) {
      engines[i]->stop();
      engines[i].reset();
      EXPECT_EQ(network.world.live(network.hosts[i]), sim::LiveObjects{});
    }
  }
  /// An acknowledged PUT, which ends with that status within so long.
  TransferStatus put_for(Duration time) {
    begin_put();
    run(time);
    return result().status;
  }
  void begin_put() {
    fill(mine, ++seed);
    PutOptions options{kPortal, kBits};
    options.acknowledged = true;
    ASSERT_TRUE(engines[0]->put(Network::nid(1), mine, options));
  }
  /// One that has been begun on a connection that stands, and is not over.
  void be_in_the_middle_of_a_put() {
    ASSERT_EQ(put_for(1s), TransferStatus::kOk);
    begin_put();
    run(20us);
    TransferResult none;
    ASSERT_EQ(engines[0]->poll({&none, 1}), 0U);
    ASSERT_TRUE(network.world.exposed(network.hosts[1], there.data(), there.size()));
  }
  Engine& moved() { return *engines[GetParam()]; }
  sim::HostId host() { return network.hosts[GetParam()]; }
  sim::DeviceId device() { return network.devices[GetParam()]; }
  sim::DeviceId add_spare() {
    sim::DeviceModel model;
    model.name = "spare";
    return network.world.add_device(host(), model);
  }

  std::vector<iovec> mine;
  std::vector<iovec> theirs;
  unsigned seed = 0;
};

TEST_P(MovingHost, WhoseDeviceIsRemovedFailsWhatIsUnderWayAndServesAgainWhenItIsBack) {
  be_in_the_middle_of_a_put();
  network.world.remove_device(device(), false);
  run(10s);
  EXPECT_NE(result().status, TransferStatus::kOk);
  EXPECT_TRUE(moved().device_name().empty());
  EXPECT_EQ(network.world.live(host()).queue_pairs, 0U);
  EXPECT_EQ(network.world.live(host()).regions, 0U);
  EXPECT_EQ(network.world.live(host()).windows, 0U);
  network.world.restore_device(device());
  run(15s);  // it is looked for again at least each 10 s
  EXPECT_EQ(put_for(30s), TransferStatus::kOk);
  EXPECT_TRUE(flat(mine) == flat(theirs));
  EXPECT_FALSE(moved().device_name().empty());
}

TEST_P(MovingHost, WhoseDeviceIsRemovedWithoutAFlushFailsWhatIsUnderWayAllTheSame) {
  be_in_the_middle_of_a_put();
  network.world.remove_device(device(), true);
  run(60s);
  EXPECT_NE(result().status, TransferStatus::kOk);
  EXPECT_EQ(network.world.live(host()).queue_pairs, 0U);
  network.world.restore_device(device());
  run(15s);  // it is looked for again at least each 10 s
  EXPECT_EQ(put_for(30s), TransferStatus::kOk);
}

TEST_P(MovingHost, WhoseAddressFailsOverFollowsItToTheOtherDevice) {
  const sim::DeviceId spare = add_spare();
  be_in_the_middle_of_a_put();
  network.world.give_address(spare, Network::nid(GetParam()).ipv4());
  run(10s);
  EXPECT_NE(result().status, TransferStatus::kOk) << "its queue pair stands on the old device";
  EXPECT_EQ(moved().device_name(), "spare");
  EXPECT_EQ(moved().statistics().failovers, 1U);
  EXPECT_EQ(put_for(30s), TransferStatus::kOk) << "from memory that was registered on the old one";
  EXPECT_TRUE(flat(mine) == flat(theirs));

  network.world.give_address(device(), Network::nid(GetParam()).ipv4());
  run(10s);
  EXPECT_EQ(moved().device_name(), "sim" + std::to_string(GetParam()));
  if (GetParam() == 1) {
    EXPECT_EQ(put_for(30s), TransferStatus::kConnectionLost) << "nobody told the idle source";
  }
  EXPECT_EQ(put_for(30s), TransferStatus::kOk) << "and back";
  EXPECT_EQ(moved().statistics().failovers, 2U);
}

TEST_P(MovingHost, WhoseGidMovesConnectsAnew) {
  be_in_the_middle_of_a_put();
  network.world.move_gid(device());
  run(80s);
  EXPECT_NE(result().status, TransferStatus::kOk);
  EXPECT_EQ(moved().statistics().connections_closed, 1U);
  EXPECT_EQ(put_for(30s), TransferStatus::kOk);
  EXPECT_TRUE(flat(mine) == flat(theirs));
}

INSTANTIATE_TEST_SUITE_P(Sides, MovingHost, testing::Values(0U, 1U),
                         [](const auto& host) { return host.param == 0 ? "Source" : "Sink"; });

// Found by the soak of the simulation: the port was taken for down for ever.
TEST_F(EnginePair, APortThatCameBackWhileNobodyListenedIsUsedAgain) {
  start();
  network.world.port_down(network.devices[0]);
  run(20ms);
  sim::DeviceModel model;
  model.name = "spare";
  const sim::DeviceId spare = network.world.add_device(network.hosts[0], model);
  network.world.fail_allocation(network.hosts[0], 1);
  network.world.give_address(spare, Network::nid(0).ipv4());
  run(20ms);
  ASSERT_TRUE(engines[0]->device_name().empty()) << "the failover failed";
  network.world.port_up(network.devices[0], false);
  network.world.give_address(network.devices[0], Network::nid(0).ipv4());
  run(15s);
  EXPECT_EQ(engines[0]->device_name(), "sim0");
  bool answered = false;
  ASSERT_TRUE(engines[1]->ping(
      Network::nid(0), {[](void* context, const TransferResult& ended, const PingReply*) {
                          *static_cast<bool*>(context) = ended.status == TransferStatus::kOk;
                        },
                        &answered}));
  run(1s);
  EXPECT_TRUE(answered);
}

TEST_F(EnginePair, WithoutFailoverTheDeviceOfTheStartIsKept) {
  settings[0].failover = Failover::kOff;
  start();
  sim::DeviceModel model;
  model.name = "spare";
  network.world.give_address(network.world.add_device(network.hosts[0], model),
                             Network::nid(0).ipv4());
  run(30s);
  EXPECT_EQ(engines[0]->device_name(), "sim0");
  EXPECT_EQ(engines[0]->statistics().failovers, 0U);
}

}  // namespace
