// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// o2iblnd's messages: what two kernels really sent, and what must be refused.
#include "engine/wire.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/wire_bytes.hpp"
#include "engine/wire_connect.hpp"
#include "engine/wire_ping.hpp"
#include "engine_capture.hpp"

namespace rdmaboot::engine::wire {
namespace {

using test::CapturedMessage;
using Bytes = std::vector<std::byte>;

constexpr Nid kMe = Nid::o2ib(0x0a000001);
constexpr Nid kPeer = Nid::o2ib(0x0a000002);
constexpr Header kHeader{.version = Version::k2,
                         .credits = 3,
                         .source = kPeer,
                         .destination = kMe,
                         .source_stamp = 0x0102030405060708,
                         .destination_stamp = 0x1112131415161718};

const std::vector<CapturedMessage>& captured() {
  static const auto kMessages = test::read_capture(std::string(RDMABOOT_SOURCE_DIR) +
                                                   "/tests/data/engine/"
                                                   "o2iblnd-kernel-to-kernel.pcap");
  return kMessages;
}

Bytes encoded(const Body& body, const EncodeOptions& options = {}, const Header& header = kHeader) {
  Bytes bytes(kMessageBytes, std::byte{0xee});
  bytes.resize(encode(header, body, bytes, options));
  return bytes;
}

template <typename T>
void put_number(Bytes& bytes, std::size_t at, T value) {
  store(bytes.data() + at, value, false);
}

DecodeError error_of(const Bytes& bytes) {
  const auto message = decode(bytes);
  return message ? DecodeError{Field::kCookie, 0, 0} : message.error();
}

std::vector<Fragment> fragments_of(const FragmentList& list) {
  std::vector<Fragment> all;
  for (std::size_t index = 0; index < list.size(); ++index) {
    all.push_back(list[index]);
  }
  return all;
}

LnetHeader a_put(std::uint32_t bytes) {
  return {.destination = kMe,
          .source = kPeer,
          .payload_length = bytes,
          .command = LnetPut{.match_bits = 7, .portal = 5}};
}

LnetHeader a_get(std::uint32_t bytes) {
  return {.destination = kMe,
          .source = kPeer,
          .command = LnetGet{.match_bits = 7, .portal = 5, .length = bytes}};
}

Bytes payload_of(std::size_t bytes) {
  Bytes payload(bytes);
  for (std::size_t index = 0; index < bytes; ++index) {
    payload[index] = static_cast<std::byte>(index * 7 + 200);
  }
  return payload;
}

// ---- The capture -------------------------------------------------------------------------------

TEST(EngineWireCapture, EveryMessageOfTheKernelsEncodesToTheSameBytes) {
  for (const CapturedMessage& seen : captured()) {
    Envelope envelope;
    const auto message = decode(seen.bytes, &envelope);
    ASSERT_TRUE(message) << to_string(message.error());
    EXPECT_FALSE(envelope.swapped);
    const Bytes again = encoded(message->body, {.checksum = envelope.checksum}, message->header);
    ASSERT_EQ(again.size(), envelope.bytes);
    EXPECT_TRUE(std::equal(again.begin(), again.end(), seen.bytes.begin()))
        << to_string(type_of(message->body));
    EXPECT_TRUE(std::all_of(seen.bytes.begin() + static_cast<std::ptrdiff_t>(envelope.bytes),
                            seen.bytes.end(), [](std::byte each) { return each == std::byte{0}; }));
  }
}

TEST(EngineWireCapture, HasEveryKindOfMessageButRefusals) {
  std::map<Type, int> count;
  for (const CapturedMessage& seen : captured()) {
    ++count[type_of(decode(seen.bytes)->body)];
  }
  EXPECT_EQ(count[Type::kConnectRequest], 1);
  EXPECT_EQ(count[Type::kConnectReply], 1);
  for (const Type type : {Type::kImmediate, Type::kPutRequest, Type::kPutAck, Type::kPutDone,
                          Type::kGetRequest, Type::kGetDone}) {
    EXPECT_GT(count[type], 0) << to_string(type);
  }
}

TEST(EngineWireCapture, TheKernelsAgreeOnEightCreditsAndTheirOwnStamps) {
  const auto request = decode(captured().at(0).bytes);
  ASSERT_EQ(captured().at(0).kind, CapturedMessage::Kind::kConnectRequest);
  const auto& asked = std::get<ConnectRequest>(request->body);
  EXPECT_EQ(asked, ConnectParameters{});
  EXPECT_EQ(request->header.source.ipv4(), captured().at(0).source);

  const auto& reply = captured().at(1);
  ASSERT_EQ(reply.kind, CapturedMessage::Kind::kConnectReply);
  const auto agreed =
      check_connect_reply(reply.bytes, {.self = request->header.source,
                                        .peer = request->header.destination,
                                        .incarnation = request->header.source_stamp});
  ASSERT_TRUE(agreed) << to_string(agreed.error());
  EXPECT_EQ(agreed->parameters, ConnectParameters{});
  EXPECT_NE(agreed->peer_incarnation, 0U);
}

TEST(EngineWireCapture, AKernelsPingAnswerHasTheLoopbackAndItself) {
  int answers = 0;
  for (const CapturedMessage& seen : captured()) {
    const auto message = decode(seen.bytes);
    const auto* immediate = std::get_if<Immediate>(&message->body);
    if (immediate == nullptr || !std::holds_alternative<LnetReply>(immediate->lnet.command)) {
      continue;
    }
    const auto info = decode_ping(immediate->payload);
    if (!info) {
      continue;
    }
    ++answers;
    EXPECT_EQ(info->primary(), message->header.source);
    EXPECT_FALSE(info->truncated());
    Bytes again(ping_bytes(info->entries.size()));
    ASSERT_EQ(encode_ping(*info, again), again.size());
    EXPECT_TRUE(std::equal(again.begin(), again.end(), immediate->payload.begin(),
                           immediate->payload.end()));
  }
  EXPECT_GT(answers, 0);
}

// ---- Layout ------------------------------------------------------------------------------------

TEST(EngineWire, SizesAreTheProtocols) {
  const Fragment one{0x1000, 4096};
  const Descriptor sink{.key = 1, .fragments = std::span(&one, 1)};
  EXPECT_EQ(encoded(ConnectRequest{}).size(), 56U);
  EXPECT_EQ(encoded(ConnectReply{}).size(), 56U);
  EXPECT_EQ(encoded(Noop{}).size(), 48U);
  EXPECT_EQ(encoded(Immediate{.lnet = a_get(10), .payload = {}}).size(), 120U);
  EXPECT_EQ(encoded(PutRequest{.lnet = a_put(5000)}).size(), 128U);
  EXPECT_EQ(encoded(PutAck{.sink = sink}).size(), 84U);
  EXPECT_EQ(encoded(GetRequest{.lnet = a_get(5000), .sink = sink}).size(), 148U);
  EXPECT_EQ(encoded(PutNak{}).size(), 60U);
  EXPECT_EQ(encoded(PutDone{}).size(), 60U);
  EXPECT_EQ(encoded(GetDone{}).size(), 60U);
}

TEST(EngineWire, TheLargestDescriptorFitsAMessage) {
  const std::vector<Fragment> fragments(kMaxFragments, Fragment{1, 2});
  const Descriptor sink{.fragments = std::span(fragments)};
  EXPECT_EQ(encoded(GetRequest{.lnet = a_get(514), .sink = sink}).size(), 3220U);
  EXPECT_EQ(encoded(PutAck{.sink = sink}).size(), 3156U);
}

TEST(EngineWire, FieldsAreWhereTheProtocolHasThem) {
  const Bytes bytes = encoded(PutDone{{.cookie = Cookie{0xa1a2a3a4a5a6a7a8}, .status = -2}});
  const std::byte* at = bytes.data();
  EXPECT_EQ(load<std::uint32_t>(at, false), 0x0be91b91U);
  EXPECT_EQ(load<std::uint16_t>(at + 4, false), 0x12);
  EXPECT_EQ(load<std::uint8_t>(at + 6, false), 0xd5);
  EXPECT_EQ(load<std::uint8_t>(at + 7, false), 3);
  EXPECT_EQ(load<std::uint32_t>(at + 8, false), 60U);
  EXPECT_EQ(load<std::uint32_t>(at + 12, false), 0U);
  EXPECT_EQ(load<std::uint64_t>(at + 16, false), 0x000500000a000002U);
  EXPECT_EQ(load<std::uint64_t>(at + 24, false), kHeader.source_stamp);
  EXPECT_EQ(load<std::uint64_t>(at + 32, false), 0x000500000a000001U);
  EXPECT_EQ(load<std::uint64_t>(at + 40, false), kHeader.destination_stamp);
  EXPECT_EQ(load<std::uint64_t>(at + 48, false), 0xa1a2a3a4a5a6a7a8U);
  EXPECT_EQ(load<std::int32_t>(at + 56, false), -2);
}

TEST(EngineWire, TheOtherByteOrderFlipsNumbersButNoCookieAndNoLnetHeader) {
  const Fragment one{0x1122334455667788, 4096};
  const GetRequest request{.lnet = a_get(4096),
                           .cookie = Cookie{0x0102030405060708},
                           .sink = {.key = 0xaabbccdd, .fragments = std::span(&one, 1)}};
  const Bytes host = encoded(request);
  const Bytes other = encoded(request, {.swapped = true});
  ASSERT_EQ(host.size(), other.size());
  EXPECT_TRUE(std::equal(host.begin() + 48, host.begin() + 128, other.begin() + 48));
  EXPECT_EQ(load<std::uint32_t>(other.data(), true), kMagic);
  EXPECT_EQ(load<std::uint64_t>(other.data() + 140, true), one.address);

  Envelope envelope;
  const auto message = decode(other, &envelope);
  ASSERT_TRUE(message);
  EXPECT_TRUE(envelope.swapped);
  const auto& back = std::get<GetRequest>(message->body);
  EXPECT_EQ(back.cookie, request.cookie);
  EXPECT_EQ(back.lnet, request.lnet);
  EXPECT_EQ(back.sink.key, request.sink.key);
  EXPECT_EQ(back.sink.fragments[0], one);
  EXPECT_EQ(message->header.source, kPeer);
}

TEST(EngineWire, ASumOfFragmentsDoesNotWrap) {
  const std::vector<Fragment> fragments(kMaxFragments, Fragment{0, 0xffffffff});
  const Bytes bytes = encoded(PutAck{.sink = {.fragments = std::span(fragments)}});
  const auto message = decode(bytes);
  ASSERT_TRUE(message);
  const auto& list = std::get<PutAck>(message->body).sink.fragments;
  EXPECT_EQ(list.total_bytes(), std::uint64_t{kMaxFragments} * 0xffffffff);
  EXPECT_EQ(fragments_of(list), fragments);
}

TEST(EngineWire, BytesAfterTheMessageAreNotLookedAt) {
  Bytes bytes = encoded(Noop{});
  bytes.resize(196, std::byte{0x55});
  Envelope envelope;
  ASSERT_TRUE(decode(bytes, &envelope));
  EXPECT_EQ(envelope.bytes, kHeaderBytes);
}

TEST(EngineWire, DecodedFragmentsAndPayloadStayInTheBuffer) {
  const Bytes payload = payload_of(100);
  const Bytes bytes = encoded(Immediate{.lnet = a_put(100), .payload = payload});
  const auto message = decode(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<Immediate>(message->body).payload.data(), bytes.data() + 120);
}

TEST(EngineWire, AnImmediateShorterThanItsPayloadSaysSo) {
  const Bytes payload = payload_of(100);
  Bytes bytes = encoded(Immediate{.lnet = a_put(100), .payload = payload});
  put_number<std::uint32_t>(bytes, 8, 200);
  bytes.resize(200);
  const auto message = decode(bytes);
  ASSERT_TRUE(message);
  const auto& immediate = std::get<Immediate>(message->body);
  EXPECT_FALSE(immediate.complete());
  EXPECT_EQ(immediate.payload.size(), 80U);
}

TEST(EngineWire, AnImmediateLongerThanItsPayloadHasNoMoreThanThat) {
  Bytes bytes = encoded(Immediate{.lnet = a_get(10), .payload = {}});
  bytes.resize(128);
  put_number<std::uint32_t>(bytes, 8, 128);
  const auto message = decode(bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(std::get<Immediate>(message->body).complete());
}

// ---- Checksums ---------------------------------------------------------------------------------

TEST(EngineWireChecksum, BothSignsOfCharAreTaken) {
  const Bytes payload = payload_of(300);
  const Immediate immediate{.lnet = a_put(300), .payload = payload};
  const Bytes with_signs = encoded(immediate, {.checksum = Checksum::kSigned});
  const Bytes without = encoded(immediate, {.checksum = Checksum::kUnsigned});
  EXPECT_NE(with_signs, without);
  Envelope envelope;
  ASSERT_TRUE(decode(with_signs, &envelope));
  EXPECT_EQ(envelope.checksum, Checksum::kSigned);
  ASSERT_TRUE(decode(without, &envelope));
  EXPECT_EQ(envelope.checksum, Checksum::kUnsigned);
}

TEST(EngineWireChecksum, ASumIsRotatedAndAdded) {
  Bytes bytes(48);
  bytes[46] = std::byte{0x01};
  bytes[47] = std::byte{0xff};
  EXPECT_EQ(checksum_of(bytes, Checksum::kUnsigned), 2U + 0xff);
  EXPECT_EQ(checksum_of(bytes, Checksum::kSigned), 2U - 1);
  bytes[45] = std::byte{0x80};  // rotated twice, -128 has lost no bit
  EXPECT_EQ(checksum_of(bytes, Checksum::kSigned), 0xfffffe03U + 2U - 1U);
}

TEST(EngineWireChecksum, NeverIsZeroWhichWouldMeanNone) {
  EXPECT_EQ(checksum_of(Bytes(48), Checksum::kUnsigned), 1U);
}

TEST(EngineWireChecksum, DoesNotDependOnItsOwnField) {
  Bytes bytes = encoded(Noop{});
  const auto sum = checksum_of(bytes, Checksum::kSigned);
  put_number<std::uint32_t>(bytes, 12, 0xdeadbeef);
  EXPECT_EQ(checksum_of(bytes, Checksum::kSigned), sum);
}

TEST(EngineWireChecksum, OneChangedBitIsRefused) {
  Bytes bytes = encoded(Noop{}, {.checksum = Checksum::kUnsigned});
  bytes[30] ^= std::byte{4};
  EXPECT_EQ(error_of(bytes).field, Field::kChecksum);
}

TEST(EngineWireChecksum, OfTheOtherByteOrderIsTaken) {
  EXPECT_TRUE(decode(encoded(Noop{}, {.checksum = Checksum::kSigned, .swapped = true})));
}

// Defect D2 of the kernel: its sum forgets a payload that goes out as a second segment.
TEST(EngineWireChecksum, CountsAPayloadThatIsElsewhere) {
  const Bytes payload = payload_of(500);
  const Immediate immediate{.lnet = a_put(500), .payload = payload};
  const Bytes whole = encoded(immediate, {.checksum = Checksum::kUnsigned});
  Bytes head = encoded(immediate, {.checksum = Checksum::kUnsigned, .payload_elsewhere = true});
  ASSERT_EQ(head.size(), kImmediateBytes);
  head.insert(head.end(), payload.begin(), payload.end());
  EXPECT_EQ(head, whole);
}

TEST(EngineWireSeal, GivesCreditsAndTheSumThatBelongsToThem) {
  const Bytes payload = payload_of(64);
  const Immediate immediate{.lnet = a_put(64), .payload = payload};
  Header header = kHeader;
  header.credits = 200;
  const Bytes wanted = encoded(immediate, {.checksum = Checksum::kSigned}, header);
  Bytes bytes = encoded(immediate);
  seal(bytes, 200, Checksum::kSigned);
  EXPECT_EQ(bytes, wanted);

  Bytes head = encoded(immediate, {.payload_elsewhere = true});
  seal(head, 200, Checksum::kSigned, payload);
  EXPECT_TRUE(std::equal(head.begin(), head.end(), wanted.begin()));
}

TEST(EngineWireSeal, TakesAnOldSumAway) {
  Bytes bytes = encoded(Noop{}, {.checksum = Checksum::kSigned});
  seal(bytes, kHeader.credits);
  EXPECT_EQ(bytes, encoded(Noop{}));
}

// ---- What is refused, in the order of the checks -----------------------------------------------

TEST(EngineWireRefuses, FewerBytesThanMagicAndVersion) {
  Bytes bytes = encoded(Noop{});
  bytes.resize(5);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kLength, 5, 6}));
}

TEST(EngineWireRefuses, AnotherMagicBeforeItsLength) {
  Bytes bytes = encoded(Noop{});
  bytes.resize(6);
  put_number<std::uint32_t>(bytes, 0, kLnetMagic);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kMagicNumber, kLnetMagic, kMagic}));
}

TEST(EngineWireRefuses, AVersionThatDoesNotExistBeforeItsLength) {
  Bytes bytes = encoded(Noop{});
  bytes.resize(6);
  put_number<std::uint16_t>(bytes, 4, 0x13);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kVersion, 0x13, 0x12}));
}

TEST(EngineWireRefuses, LessThanAHeader) {
  Bytes bytes = encoded(Noop{});
  bytes.resize(47);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kLength, 47, 48}));
}

TEST(EngineWireRefuses, ANobAboveWhatCame) {
  Bytes bytes = encoded(Noop{});
  put_number<std::uint32_t>(bytes, 8, 49);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kNob, 49, 48}));
}

TEST(EngineWireRefuses, ANobBelowAHeader) {
  Bytes bytes = encoded(Noop{});
  put_number<std::uint32_t>(bytes, 8, 7);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kNob, 7, 48}));
}

TEST(EngineWireRefuses, ASenderThatIsAnyone) {
  Bytes bytes = encoded(Noop{});
  put_number<std::uint64_t>(bytes, 16, Nid::any().value);
  EXPECT_EQ(error_of(bytes).field, Field::kSourceNid);
}

TEST(EngineWireRefuses, ATypeThatDoesNotExist) {
  Bytes bytes = encoded(Noop{});
  put_number<std::uint8_t>(bytes, 6, 0xd8);
  EXPECT_EQ(error_of(bytes), (DecodeError{Field::kType, 0xd8, 0}));
}

TEST(EngineWireRefuses, ANobBelowItsTypes) {
  const Fragment one{0x1000, 4096};
  const Descriptor sink{.fragments = std::span(&one, 1)};
  const std::map<std::size_t, Body> least{{56, ConnectRequest{}},
                                          {60, GetDone{}},
                                          {72, PutAck{.sink = sink}},
                                          {120, Immediate{.lnet = a_get(1), .payload = {}}},
                                          {128, PutRequest{.lnet = a_put(9)}},
                                          {136, GetRequest{.lnet = a_get(9), .sink = sink}}};
  for (const auto& [bytes_of_type, body] : least) {
    Bytes bytes = encoded(body);
    put_number(bytes, 8, static_cast<std::uint32_t>(bytes_of_type - 1));
    EXPECT_EQ(error_of(bytes), (DecodeError{Field::kNob, bytes_of_type - 1, bytes_of_type}));
  }
}

class EngineWireRefusesFragments : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(BothByteOrders, EngineWireRefusesFragments, testing::Bool());

TEST_P(EngineWireRefusesFragments, NoneAndMoreThan257AndMoreThanThereAre) {
  const bool swapped = GetParam();
  const Fragment one{0x1000, 4096};
  const Descriptor sink{.fragments = std::span(&one, 1)};
  const std::vector<std::pair<std::size_t, Body>> count_at{
      {68, PutAck{.sink = sink}}, {132, GetRequest{.lnet = a_get(9), .sink = sink}}};
  for (const auto& [at, body] : count_at) {
    Bytes bytes = encoded(body, {.swapped = swapped});
    const auto with_count = [&, where = at](std::uint32_t count) {
      store(bytes.data() + where, count, swapped);
      return error_of(bytes);
    };
    EXPECT_EQ(with_count(0), (DecodeError{Field::kFragmentCount, 0, 1}));
    EXPECT_EQ(with_count(258), (DecodeError{Field::kFragmentCount, 258, 257}));
    EXPECT_EQ(with_count(0xffffffff), (DecodeError{Field::kFragmentCount, 0xffffffff, 257}));
    EXPECT_EQ(with_count(2), (DecodeError{Field::kNob, bytes.size(), bytes.size() + 12}));
  }
}

TEST(EngineWireRefuses, LnetTypesThatTheMessageCannotCarry) {
  const Fragment one{0x1000, 4096};
  Bytes get = encoded(GetRequest{.lnet = a_get(9), .sink = {.fragments = std::span(&one, 1)}});
  Bytes put = encoded(PutRequest{.lnet = a_put(9)});
  Bytes immediate = encoded(Immediate{.lnet = a_get(9), .payload = {}});
  put_number<std::uint32_t>(get, 48 + 24, 1);
  put_number<std::uint32_t>(put, 48 + 24, 2);
  put_number<std::uint32_t>(immediate, 48 + 24, 4);
  EXPECT_EQ(error_of(get).field, Field::kLnetType);
  EXPECT_EQ(error_of(put).field, Field::kLnetType);
  EXPECT_EQ(error_of(immediate).field, Field::kLnetType);
}

TEST(EngineWireRefuses, APayloadAboveOneMebibyteOrWhereThereIsNone) {
  Bytes put = encoded(PutRequest{.lnet = a_put(kMaxPayload)});
  EXPECT_TRUE(decode(put));
  put_number<std::uint32_t>(put, 48 + 28, kMaxPayload + 1);
  EXPECT_EQ(error_of(put), (DecodeError{Field::kLnetPayloadLength, kMaxPayload + 1, kMaxPayload}));
  Bytes get = encoded(Immediate{.lnet = a_get(9), .payload = {}});
  put_number<std::uint32_t>(get, 48 + 28, 1);
  EXPECT_EQ(error_of(get), (DecodeError{Field::kLnetPayloadLength, 1, 0}));
}

TEST(EngineWire, AReplyTooBigForAMessageMayTravelAsAPutRequest) {
  LnetHeader reply = a_put(5000);
  reply.command = LnetReply{};
  EXPECT_TRUE(decode(encoded(PutRequest{.lnet = reply})));
}

TEST(EngineWireEncode, WritesNothingThatCouldNotBeRead) {
  const Bytes payload = payload_of(kMaxImmediatePayload + 1);
  const std::vector<Fragment> too_many(kMaxFragments + 1);
  Header anyone = kHeader;
  anyone.source = Nid::any();
  EXPECT_TRUE(encoded(PutAck{}).empty());
  EXPECT_TRUE(encoded(PutAck{.sink = {.fragments = std::span(too_many)}}).empty());
  EXPECT_TRUE(encoded(Immediate{.lnet = a_put(10), .payload = {}}).empty());
  EXPECT_TRUE(encoded(Immediate{.lnet = a_put(kMaxImmediatePayload + 1), .payload = payload},
                      {.payload_elsewhere = true})
                  .empty());
  EXPECT_TRUE(encoded(PutRequest{.lnet = a_get(1)}).empty());
  EXPECT_TRUE(encoded(Noop{}, {}, anyone).empty());
  Bytes small(47);
  EXPECT_EQ(encode(kHeader, Noop{}, small), 0U);
}

TEST(EngineWireEncode, LeavesAPayloadThatIsInItsPlace) {
  Bytes bytes(kMessageBytes);
  const Bytes payload = payload_of(64);
  std::copy(payload.begin(), payload.end(), bytes.begin() + 120);
  const Immediate immediate{.lnet = a_put(64), .payload = std::span(bytes).subspan(120, 64)};
  ASSERT_EQ(encode(kHeader, immediate, bytes), 184U);
  bytes.resize(184);
  EXPECT_EQ(bytes, encoded(Immediate{.lnet = a_put(64), .payload = payload}));
}

// ---- Words -------------------------------------------------------------------------------------

TEST(EngineWireText, AnErrorNamesTheFieldAndWhatWasExpected) {
  EXPECT_EQ(to_string(DecodeError{Field::kNob, 30, 48}), "nob 30, expected at least 48");
  EXPECT_EQ(to_string(DecodeError{Field::kNob, 99, 60}), "nob 99, expected at most 60");
  EXPECT_EQ(to_string(DecodeError{Field::kMagicNumber, 1, kMagic}),
            "magic 0x1, expected 0xbe91b91");
  EXPECT_EQ(to_string(DecodeError{Field::kType, 0xd8, 0}), "type 0xd8, which is unknown");
  EXPECT_EQ(to_string(DecodeError{Field::kSourceNid, kMe.value, kPeer.value}),
            "srcnid 10.0.0.1@o2ib, expected 10.0.0.2@o2ib");
  EXPECT_EQ(to_string(DecodeError{Field::kSourceNid, Nid::any().value, Nid::any().value}),
            "srcnid <any>, which is not allowed");
  EXPECT_EQ(to_string(DecodeError{Field::kStatus, ~std::uint64_t{0}, 48}),
            "status -1, expected 48");
}

TEST(EngineWireText, EveryFieldAndEveryTypeHasAName) {
  for (int field = 0; field <= static_cast<int>(Field::kSourceAddress); ++field) {
    EXPECT_NE(to_string(static_cast<Field>(field)), "field") << field;
  }
  for (const Type type : {Type::kConnectRequest, Type::kConnectReply, Type::kNoop, Type::kImmediate,
                          Type::kPutRequest, Type::kPutNak, Type::kPutAck, Type::kPutDone,
                          Type::kGetRequest, Type::kGetDone}) {
    EXPECT_NE(to_string(type), "unknown");
  }
  EXPECT_EQ(to_string(static_cast<Type>(0)), "unknown");
}

}  // namespace
}  // namespace rdmaboot::engine::wire
