// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// What two sides tell each other while they connect, and a ping's answer: bytes that anyone can
// send.
#include "engine/wire_connect.hpp"

#include <algorithm>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/wire_bytes.hpp"
#include "engine/wire_ping.hpp"

namespace rdmaboot::engine::wire {
namespace {

using Bytes = std::vector<std::byte>;

constexpr Nid kAcceptor = Nid::o2ib(0x0a000001);
constexpr Nid kConnector = Nid::o2ib(0x0a000002);
constexpr std::uint64_t kAcceptorStamp = 111;
constexpr std::uint64_t kConnectorStamp = 222;

/// A request that is taken, to be spoiled by a test.
struct Request {
  Header header{.source = kConnector,
                .destination = kAcceptor,
                .source_stamp = kConnectorStamp,
                .destination_stamp = kAcceptorStamp};
  ConnectParameters parameters;

  [[nodiscard]] Bytes bytes() const {
    Bytes bytes(kConnectBytes);
    EXPECT_EQ(encode(header, ConnectRequest{parameters}, bytes), kConnectBytes);
    return bytes;
  }
};

class Acceptor : public testing::Test {
 protected:
  std::vector<Nid> nids{kAcceptor, Nid::o2ib(0x0a000001, 1)};
  AcceptorIdentity self{.nids = nids, .incarnation = kAcceptorStamp};
  Request request;

  [[nodiscard]] auto check(std::uint16_t port = 1023) const {
    return check_connect_request(request.bytes(), port, self);
  }
  void expect_refused(RejectReason why, Version version, Field field, bool limits) const {
    const auto answer = check();
    ASSERT_FALSE(answer);
    const Refusal& refusal = answer.error();
    EXPECT_EQ(refusal.reject.why, why);
    EXPECT_EQ(refusal.reject.version, static_cast<std::uint16_t>(version));
    EXPECT_EQ(refusal.cause.field, field) << to_string(refusal.cause);
    EXPECT_EQ(refusal.reject.limits.has_value(), limits);
  }
};

TEST_F(Acceptor, TakesARequestForAnyOfItsNids) {
  EXPECT_TRUE(check());
  request.header.destination = nids.back();
  const auto accepted = check();
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->header.source, kConnector);
  EXPECT_EQ(accepted->asked, ConnectParameters{});
}

TEST_F(Acceptor, TakesPaddingTheOtherByteOrderAndAnUnknownStamp) {
  request.header.destination_stamp = 0;
  Bytes bytes(196);
  ASSERT_EQ(encode(request.header, ConnectRequest{}, bytes, {.swapped = true}), kConnectBytes);
  EXPECT_TRUE(check_connect_request(bytes, 40000, self));
}

TEST_F(Acceptor, WantsAPrivilegedPortWhenTold) {
  EXPECT_TRUE(check(40000));
  self.require_privileged_port = true;
  EXPECT_TRUE(check(1023));
  const auto answer = check(1024);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().cause.field, Field::kSourcePort);
  EXPECT_EQ(answer.error().reject.why, RejectReason::kFatal);
}

TEST_F(Acceptor, TellsItsVersionToWhoSpeaksAnother) {
  Bytes newer = request.bytes();
  store<std::uint16_t>(newer.data() + 4, 0x13, false);
  Bytes lnet = request.bytes();
  store(lnet.data(), kLnetMagic, false);
  for (const Bytes& bytes : {Bytes{}, Bytes(5), newer, lnet}) {
    const auto answer = check_connect_request(bytes, 1023, self);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().reject, (Reject{.why = RejectReason::kFatal, .limits = {}}));
  }
}

TEST_F(Acceptor, RefusesANidThatIsNotItsWithoutTellingItsOwnStamp) {
  request.header.destination = Nid::o2ib(0x0a000009);
  expect_refused(RejectReason::kFatal, Version::k2, Field::kDestinationNid, false);
}

TEST_F(Acceptor, IsEarlyWhileItIsNotReady) {
  self.ready = false;
  expect_refused(RejectReason::kEarly, Version::k2, Field::kDestinationNid, false);
  self.nids = {};
  expect_refused(RejectReason::kEarly, Version::k2, Field::kDestinationNid, false);
}

TEST_F(Acceptor, TellsAStaleConnectorItsStamp) {
  request.header.destination_stamp = kAcceptorStamp - 1;
  expect_refused(RejectReason::kStale, Version::k2, Field::kDestinationStamp, true);
  EXPECT_EQ(check().error().reject.limits->incarnation, kAcceptorStamp);
}

TEST_F(Acceptor, RefusesOtherMessagesInTheRequestersVersion) {
  request.header.version = Version::k1;
  Bytes bytes(kMessageBytes);
  bytes.resize(encode(request.header, ConnectReply{}, bytes));
  const auto answer = check_connect_request(bytes, 1023, self);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reject.why, RejectReason::kFatal);
  EXPECT_EQ(answer.error().reject.version, 0x11);
  EXPECT_EQ(answer.error().cause.field, Field::kType);
}

TEST_F(Acceptor, TellsItsDepthToWhoAsksForMore) {
  request.parameters.queue_depth = 9;
  expect_refused(RejectReason::kQueueDepth, Version::k2, Field::kQueueDepth, true);
  EXPECT_EQ(check().error().reject.limits->limits, ConnectParameters{});
  self.limits.queue_depth = 16;
  EXPECT_TRUE(check());
}

TEST_F(Acceptor, TellsItsFragmentsToWhoAsksForMore) {
  request.parameters.max_fragments = 258;
  expect_refused(RejectReason::kFragments, Version::k2, Field::kMaxFrags, true);
}

TEST_F(Acceptor, OfVersionOneHasADepthOfEightAndNoWordForLimits) {
  self.limits.queue_depth = 32;
  request.header.version = Version::k1;
  request.parameters.queue_depth = 9;
  expect_refused(RejectReason::kFatal, Version::k1, Field::kQueueDepth, true);
  EXPECT_EQ(check().error().reject.limits->limits.queue_depth, 8);
  request.parameters.queue_depth = 8;
  EXPECT_TRUE(check());
}

// Defect D6 of the kernel: it takes both, and fails later.
TEST_F(Acceptor, RefusesADepthAndANumberOfFragmentsOfZero) {
  request.parameters.queue_depth = 0;
  expect_refused(RejectReason::kFatal, Version::k2, Field::kQueueDepth, true);
  request.parameters = {.max_fragments = 0};
  expect_refused(RejectReason::kFatal, Version::k2, Field::kMaxFrags, true);
  request.parameters = {.queue_depth = 1, .max_fragments = 1};
  EXPECT_TRUE(check());
}

TEST_F(Acceptor, RefusesVersionOneWithFewerCreditsThanItsNoopsTake) {
  request.header.version = Version::k1;
  request.parameters.queue_depth = 2;
  expect_refused(RejectReason::kFatal, Version::k1, Field::kQueueDepth, true);
  request.parameters.queue_depth = 3;
  EXPECT_TRUE(check());
}

TEST_F(Acceptor, RefusesAnotherMessageSize) {
  request.parameters.max_message_bytes = 4097;
  expect_refused(RejectReason::kFatal, Version::k2, Field::kMaxMsgSize, true);
  request.parameters.max_message_bytes = 2048;
  expect_refused(RejectReason::kFatal, Version::k2, Field::kMaxMsgSize, true);
}

TEST_F(Acceptor, ChecksInTheProtocolsOrder) {
  // Everything is wrong; what is put right, one after another, shows which was looked at first.
  request.header.destination = Nid::o2ib(0x0a000009);
  request.header.destination_stamp = 1;
  request.parameters = {.queue_depth = 999, .max_fragments = 999, .max_message_bytes = 9999};
  expect_refused(RejectReason::kFatal, Version::k2, Field::kDestinationNid, false);
  request.header.destination = kAcceptor;
  expect_refused(RejectReason::kStale, Version::k2, Field::kDestinationStamp, true);
  request.header.destination_stamp = 0;
  expect_refused(RejectReason::kQueueDepth, Version::k2, Field::kQueueDepth, true);
  request.parameters.queue_depth = 8;
  expect_refused(RejectReason::kFragments, Version::k2, Field::kMaxFrags, true);
  request.parameters.max_fragments = 257;
  expect_refused(RejectReason::kFatal, Version::k2, Field::kMaxMsgSize, true);
}

// ---- Rejects -----------------------------------------------------------------------------------

Bytes padded(const Reject& reject, bool swapped = false) {
  const auto record = encode_reject(reject, swapped);
  Bytes bytes(148);
  std::copy(record.begin(), record.end(), bytes.begin());
  return bytes;
}

TEST(EngineReject, HasTheProtocolsLayout) {
  const Reject reject{.why = RejectReason::kQueueDepth,
                      .limits = RejectLimits{.incarnation = 0x0807060504030201,
                                             .limits = {.queue_depth = 0x0a09,
                                                        .max_fragments = 0x0c0b,
                                                        .max_message_bytes = 0x100f0e0d}}};
  constexpr std::array<std::uint8_t, kRejectBytes> kLittle{
      0x91, 0x1b, 0xe9, 0x0b, 0x12, 0, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const auto bytes = encode_reject(reject, kHostIsBig);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), kLittle.begin(),
                         [](std::byte a, std::uint8_t b) { return a == std::byte{b}; }));
}

TEST(EngineReject, IsReadInBothByteOrdersWithPadding) {
  const Reject reject{.why = RejectReason::kStale,
                      .limits = RejectLimits{.incarnation = kAcceptorStamp, .limits = {}}};
  EXPECT_EQ(decode_reject(padded(reject)), reject);
  EXPECT_EQ(decode_reject(padded(reject, true)), reject);
}

TEST(EngineReject, OfVersionOneHasNoLimitsWhateverFollows) {
  const Reject reject{.version = 0x11,
                      .why = RejectReason::kFatal,
                      .limits = RejectLimits{.incarnation = 5, .limits = {}}};
  const auto back = decode_reject(padded(reject));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->version, 0x11);
  EXPECT_EQ(back->limits, std::nullopt);
}

TEST(EngineReject, ThatIsShortSaysWhyAndNoMore) {
  Bytes bytes = padded({.why = RejectReason::kRace, .limits = RejectLimits{}});
  bytes.resize(23);
  const auto back = decode_reject(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->why, RejectReason::kRace);
  EXPECT_EQ(back->limits, std::nullopt);
}

TEST(EngineReject, OfNobodysMagicIsNone) {
  EXPECT_EQ(decode_reject(Bytes(148)).error().field, Field::kMagicNumber);
  EXPECT_EQ(decode_reject(Bytes(7)).error().field, Field::kLength);
}

TEST(EngineReject, WithLnetsMagicAndAnUnknownVersionIsRead) {
  for (const bool swapped : {false, true}) {
    Bytes bytes = padded({.version = 0x7f, .why = RejectReason{77}, .limits = {}}, swapped);
    store(bytes.data(), kLnetMagic, swapped);
    const auto back = decode_reject(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->version, 0x7f);
    EXPECT_EQ(to_string(back->why), "unknown");
  }
}

TEST(EngineReject, EveryReasonHasItsProtocolsName) {
  using enum RejectReason;
  EXPECT_EQ(to_string(kRace), "CONN_RACE");
  for (const RejectReason why :
       {kRace, kNoResources, kFatal, kUncompatible, kStale, kFragments, kQueueDepth, kEarly}) {
    EXPECT_NE(to_string(why), "unknown");
  }
}

// ---- The connector -----------------------------------------------------------------------------

class Connector : public testing::Test {
 protected:
  ConnectorIdentity self{.self = kConnector, .peer = kAcceptor, .incarnation = kConnectorStamp};
  Header header{.source = kAcceptor,
                .destination = kConnector,
                .source_stamp = kAcceptorStamp,
                .destination_stamp = kConnectorStamp};
  ConnectParameters parameters;

  [[nodiscard]] auto check() const {
    Bytes bytes(196);
    EXPECT_EQ(encode(header, ConnectReply{parameters}, bytes), kConnectBytes);
    return check_connect_reply(bytes, self);
  }
  [[nodiscard]] DecodeError error() const {
    const auto agreed = check();
    return agreed ? DecodeError{Field::kCookie, 0, 0} : agreed.error();
  }
};

TEST_F(Connector, TakesWhatWasAskedForAndLess) {
  ASSERT_TRUE(check());
  EXPECT_EQ(check()->peer_incarnation, kAcceptorStamp);
  parameters = {.queue_depth = 4, .max_fragments = 17};
  ASSERT_TRUE(check());
  EXPECT_EQ(check()->parameters, parameters);
}

TEST_F(Connector, RefusesMoreThanWasAskedFor) {
  parameters.queue_depth = 9;
  EXPECT_EQ(error(), (DecodeError{Field::kQueueDepth, 9, 8}));
  parameters = {.max_fragments = 258};
  EXPECT_EQ(error(), (DecodeError{Field::kMaxFrags, 258, 257}));
  parameters = {.max_message_bytes = 8192};
  EXPECT_EQ(error(), (DecodeError{Field::kMaxMsgSize, 8192, 4096}));
}

TEST_F(Connector, RefusesNothingAtAll) {
  parameters.queue_depth = 0;
  EXPECT_EQ(error(), (DecodeError{Field::kQueueDepth, 0, 1}));
  parameters = {.max_fragments = 0};
  EXPECT_EQ(error(), (DecodeError{Field::kMaxFrags, 0, 1}));
  parameters = {.max_message_bytes = 100};
  EXPECT_EQ(error(), (DecodeError{Field::kMaxMsgSize, 100, 4096}));
}

TEST_F(Connector, RefusesAnotherVersionThanItsOwn) {
  header.version = Version::k1;
  EXPECT_EQ(error(), (DecodeError{Field::kVersion, 0x11, 0x12}));
  self.version = Version::k1;
  EXPECT_TRUE(check());
}

TEST_F(Connector, RefusesWhoSpeaksToAnother) {
  header.destination_stamp = kConnectorStamp + 1;
  EXPECT_EQ(error().field, Field::kDestinationStamp);
  header.destination = kAcceptor;
  EXPECT_EQ(error().field, Field::kDestinationNid);
}

TEST_F(Connector, RefusesAnAnswerInAnothersName) {
  header.source = Nid::o2ib(0x0a000003);
  EXPECT_EQ(error().field, Field::kSourceNid);
}

TEST_F(Connector, RefusesARequestAsAnAnswer) {
  Bytes bytes(kConnectBytes);
  ASSERT_EQ(encode(header, ConnectRequest{}, bytes), kConnectBytes);
  EXPECT_EQ(check_connect_reply(bytes, self).error().field, Field::kType);
  EXPECT_EQ(check_connect_reply(Bytes(196), self).error().field, Field::kMagicNumber);
}

// ---- Ping --------------------------------------------------------------------------------------

const std::vector<PingEntry>& two_entries() {
  static const std::vector<PingEntry> kEntries{{.nid = Nid::loopback(), .status = 7},
                                               {.nid = kAcceptor}};
  return kEntries;
}

Bytes ping(const PingInfo& info, std::size_t room = 272, bool swapped = false) {
  Bytes bytes(room);
  bytes.resize(encode_ping(info, bytes, swapped));
  return bytes;
}

Bytes good_ping(bool swapped = false) {
  return ping({.entries = std::span(two_entries())}, 272, swapped);
}

TEST(EnginePing, IsReadInBothByteOrders) {
  for (const bool swapped : {false, true}) {
    const Bytes bytes = good_ping(swapped);
    ASSERT_EQ(bytes.size(), 48U);
    const auto info = decode_ping(bytes);
    ASSERT_TRUE(info) << to_string(info.error());
    EXPECT_EQ(info->announced, 2U);
    EXPECT_EQ(info->pid, kLnetPid);
    EXPECT_EQ(info->primary(), kAcceptor);
    EXPECT_EQ(info->entries[0], two_entries()[0]);
    EXPECT_EQ(info->entries[1], two_entries()[1]);
  }
}

TEST(EnginePing, BeginsAsTheKernelsDoes) {
  const Bytes bytes = good_ping(kHostIsBig);
  constexpr std::array<std::uint8_t, 4> kLittle{0x67, 0x6e, 0x69, 0x70};
  EXPECT_TRUE(std::equal(kLittle.begin(), kLittle.end(), bytes.begin(),
                         [](std::uint8_t a, std::byte b) { return std::byte{a} == b; }));
}

TEST(EnginePing, ThatDoesNotFitTellsHowManyThereAre) {
  const Bytes bytes = ping({.entries = std::span(two_entries())}, 47);
  ASSERT_EQ(bytes.size(), 32U);
  const auto info = decode_ping(bytes);
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->truncated());
  EXPECT_EQ(info->announced, 2U);
  EXPECT_EQ(info->primary(), std::nullopt);
  EXPECT_TRUE(ping({.entries = std::span(two_entries())}, 31).empty());
}

TEST(EnginePing, NeedsMagicStatusFeatureEntriesAndTheLoopbackFirst) {
  const auto spoiled = [](std::size_t at, std::uint32_t value) {
    Bytes bytes = good_ping();
    store(bytes.data() + at, value, false);
    const auto info = decode_ping(bytes);
    return info ? DecodeError{Field::kCookie, 0, 0} : info.error();
  };
  EXPECT_EQ(spoiled(0, 1).field, Field::kPingMagicNumber);
  EXPECT_EQ(spoiled(4, kFeatureBase).field, Field::kPingFeatures);
  EXPECT_EQ(spoiled(12, 0).field, Field::kPingCount);
  EXPECT_EQ(spoiled(16, 1).field, Field::kPingLoopback);
  EXPECT_EQ(decode_ping(Bytes(31)).error().field, Field::kLength);
}

TEST(EnginePing, ToleratesEntriesOfTheLargeFormBehindTheOthers) {
  const std::vector<PingEntry> entries{{.nid = Nid::loopback(), .status = 7, .message_bytes = 72},
                                       {.nid = kAcceptor}};
  Bytes bytes =
      ping({.features = kFeatureStatus | kFeatureLargeAddress, .entries = std::span(entries)});
  bytes.resize(72, std::byte{0xab});
  const auto info = decode_ping(bytes);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->entries.size(), 2U);
}

}  // namespace
}  // namespace rdmaboot::engine::wire
