// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-sim
//
// The conversation of two kernels in tests/data/engine, once with the engine in each one's place:
// what the other kernel said is said to the engine, and it has to say what the kernel said, in that
// order and of that length.
//
// What the engine is made to start (a put, a get, a ping) is taken from the capture, too: each is
// started before the next message that the kernel had answered after it. NIDs, stamps, cookies,
// handles and keys are the engine's own and are exchanged for those of the capture.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine_capture.hpp"
#include "engine_fixtures.hpp"

namespace rdmaboot::engine::fixtures {
namespace {

using test::CapturedMessage;
using wire::Body;
using wire::Cookie;
using wire::Handle;
using wire::Message;

constexpr std::uint32_t kConnector = 0x0a000001;  // in the capture
constexpr std::size_t kBulkBytes = 64U << 10U;

struct Said {
  bool by_engine = false;
  std::vector<std::byte> bytes;
  [[nodiscard]] Message message() const { return *wire::decode(bytes); }
};

template <typename T>
const T* lnet_as(const Message& message) {
  const auto* immediate = std::get_if<wire::Immediate>(&message.body);
  return immediate == nullptr ? nullptr : std::get_if<T>(&immediate->lnet.command);
}

/// The answer belongs to the question.
bool answers(const Message& question, const Message& answer) {
  if (const auto* get = lnet_as<wire::LnetGet>(question)) {
    const auto* reply = lnet_as<wire::LnetReply>(answer);
    return reply != nullptr && reply->destination == get->reply;
  }
  if (const auto* put = lnet_as<wire::LnetPut>(question)) {
    const auto* ack = lnet_as<wire::LnetAck>(answer);
    return ack != nullptr && ack->destination == put->ack;
  }
  if (const auto* get = std::get_if<wire::GetRequest>(&question.body)) {
    const auto* done = std::get_if<wire::GetDone>(&answer.body);
    return done != nullptr && done->cookie == get->cookie;
  }
  if (const auto* put = std::get_if<wire::PutRequest>(&question.body)) {
    const auto* ack = std::get_if<wire::PutAck>(&answer.body);
    return ack != nullptr && ack->source_cookie == put->cookie;
  }
  if (const auto* ack = std::get_if<wire::PutAck>(&question.body)) {
    const auto* done = std::get_if<wire::PutDone>(&answer.body);
    return done != nullptr && done->cookie == ack->sink_cookie;
  }
  return false;
}

class Replay : public EngineAndPeer, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    const bool engine_connects = GetParam();
    for (const CapturedMessage& seen :
         test::read_capture(std::string(RDMABOOT_SOURCE_DIR) +
                            "/tests/data/engine/o2iblnd-kernel-to-kernel.pcap")) {
      if (seen.kind == CapturedMessage::Kind::kSend) {
        said.push_back({(seen.source == kConnector) == engine_connects, seen.bytes});
      }
    }
    started.resize(said.size());
    start();
    expose_what_is_asked_for();
    source.assign(kBulkBytes, std::byte{0x5a});
    if (!engine_connects) {
      peer.connect();
      run();
    }
  }

  void expose_what_is_asked_for() {
    std::set<std::pair<std::uint32_t, std::uint64_t>> asked;
    for (const Said& one : said) {
      const Message message = one.message();
      if (one.by_engine) {
        continue;
      }
      std::visit(
          [&](const auto& body) {
            if constexpr (requires { body.lnet; }) {
              if (const auto* put = std::get_if<wire::LnetPut>(&body.lnet.command)) {
                asked.emplace(put->portal, put->match_bits);
              } else if (const auto* get = std::get_if<wire::LnetGet>(&body.lnet.command)) {
                asked.emplace(get->portal, get->match_bits);
              }
            }
          },
          message.body);
    }
    bulk.resize(kBulkBytes);
    const iovec whole{bulk.data(), bulk.size()};
    for (const auto& [portal, match_bits] : asked) {
      if (portal != wire::kReservedPortal) {
        ExposeOptions options;
        options.portal = portal;
        options.match_bits = match_bits;
        ASSERT_TRUE(engine->expose({&whole, 1}, options));
      }
    }
  }

  /// What the kernel started by itself, and did not merely answer.
  void start_one(std::size_t at) {
    const Message message = said[at].message();
    if (started[at] || !said[at].by_engine) {
      return;
    }
    started[at] = true;
    if (const auto* get = lnet_as<wire::LnetGet>(message)) {
      ASSERT_EQ(get->portal, wire::kReservedPortal);
      ASSERT_TRUE(engine->ping(Network::nid(1), {&Replay::pinged, this}));
    } else if (const auto* put = lnet_as<wire::LnetPut>(message)) {
      start_put(*put, std::get<wire::Immediate>(message.body).lnet.payload_length);
    } else if (const auto* request = std::get_if<wire::PutRequest>(&message.body)) {
      start_put(std::get<wire::LnetPut>(request->lnet.command), request->lnet.payload_length);
    } else if (const auto* fetch = std::get_if<wire::GetRequest>(&message.body)) {
      const auto& command = std::get<wire::LnetGet>(fetch->lnet.command);
      ASSERT_LE(command.length, bulk.size());
      ranges.push_back(std::make_unique<iovec>(iovec{bulk.data(), command.length}));
      ASSERT_TRUE(engine->get(Network::nid(1), {ranges.back().get(), 1},
                              {command.portal, command.match_bits, command.offset},
                              {&Replay::ended, this}));
    } else {
      started[at] = false;
      return;
    }
    ++begun;
    run();
    compare();
  }
  void start_put(const wire::LnetPut& put, std::uint32_t length) {
    ASSERT_LE(length, source.size());
    ranges.push_back(std::make_unique<iovec>(iovec{source.data(), length}));
    PutOptions options;
    options.portal = put.portal;
    options.match_bits = put.match_bits;
    options.offset = put.offset;
    options.header_data = put.header_data;
    options.acknowledged = put.ack != Handle::none();
    ASSERT_TRUE(
        engine->put(Network::nid(1), {ranges.back().get(), 1}, options, {&Replay::ended, this}));
  }
  static void ended(void* replay, const TransferResult& result) {
    static_cast<Replay*>(replay)->succeeded += result.status == TransferStatus::kOk;
  }
  static void pinged(void* replay, const TransferResult& result, const PingReply* /*reply*/) {
    ended(replay, result);
  }

  /// What the engine has said since, beside what the kernel said.
  void compare() {
    for (; compared < peer.bytes.size(); ++compared) {
      while (expected < said.size() && !said[expected].by_engine) {
        ++expected;
      }
      ASSERT_LT(expected, said.size()) << "one message more than the kernel";
      const Said& kernels = said[expected++];
      const Message theirs = kernels.message();
      const auto ours = wire::decode(peer.bytes[compared]);
      ASSERT_TRUE(ours);
      ASSERT_EQ(to_string(type_of(ours->body)), to_string(type_of(theirs.body)))
          << "message " << expected - 1;
      EXPECT_EQ(peer.bytes[compared].size(), kernels.bytes.size()) << "message " << expected - 1;
      learn(*ours, theirs);
    }
  }

  /// Compares the bodies, and keeps the engine's names for what the capture calls otherwise.
  void learn(const Message& ours, const Message& theirs) {
    std::visit(
        [&](const auto& mine) {
          using Kind = std::decay_t<decltype(mine)>;
          const auto& kernels = std::get<Kind>(theirs.body);
          if constexpr (requires { mine.lnet; }) {
            learn(mine.lnet, kernels.lnet);
          }
          if constexpr (std::is_same_v<Kind, wire::GetRequest>) {
            cookies[kernels.cookie] = mine.cookie;
            sinks[kernels.cookie] = {mine.sink.key, mine.sink.fragments[0]};
            EXPECT_EQ(mine.sink.fragments.total_bytes(), kernels.sink.fragments.total_bytes());
          } else if constexpr (std::is_same_v<Kind, wire::PutRequest>) {
            cookies[kernels.cookie] = mine.cookie;
          } else if constexpr (std::is_same_v<Kind, wire::PutAck>) {
            EXPECT_EQ(mine.source_cookie, kernels.source_cookie);
            cookies[kernels.sink_cookie] = mine.sink_cookie;
            sinks[kernels.sink_cookie] = {mine.sink.key, mine.sink.fragments[0]};
            EXPECT_EQ(mine.sink.fragments.total_bytes(), kernels.sink.fragments.total_bytes());
          } else if constexpr (std::is_base_of_v<wire::Completion, Kind>) {
            EXPECT_EQ(mine.cookie, kernels.cookie);
            EXPECT_EQ(mine.status, kernels.status);
          }
        },
        ours.body);
  }
  void learn(const wire::LnetHeader& mine, const wire::LnetHeader& kernels) {
    EXPECT_EQ(mine.payload_length, kernels.payload_length);
    ASSERT_EQ(mine.command.index(), kernels.command.index());
    wire::LnetCommand same = kernels.command;
    if (auto* put = std::get_if<wire::LnetPut>(&same)) {
      const Handle& ours = std::get<wire::LnetPut>(mine.command).ack;
      ASSERT_EQ(put->ack == Handle::none(), ours == Handle::none());
      handles[put->ack] = ours;
      put->ack = ours;
    } else if (auto* get = std::get_if<wire::LnetGet>(&same)) {
      const auto& ours = std::get<wire::LnetGet>(mine.command);
      handles[get->reply] = ours.reply;
      get->reply = ours.reply;
      if (get->portal == wire::kReservedPortal) {
        get->length = ours.length;  // a kernel asks with 3960 or 272 bytes of room
      }
    }
    EXPECT_TRUE(mine.command == same);
  }

  // ---- What the other kernel said

  wire::LnetHeader translated(wire::LnetHeader lnet) {
    lnet.destination = Network::nid(0);
    lnet.source = Network::nid(1);
    if (auto* reply = std::get_if<wire::LnetReply>(&lnet.command)) {
      reply->destination = handles.at(reply->destination);
    } else if (auto* ack = std::get_if<wire::LnetAck>(&lnet.command)) {
      ack->destination = handles.at(ack->destination);
    }
    return lnet;
  }

  void say(std::size_t at) {
    const Message message = said[at].message();
    Body body = message.body;
    const wire::Fragment mine{peer.address(), ScriptedPeer::kSinkBytes};
    const wire::FragmentList room{std::span<const wire::Fragment>(&mine, 1)};
    std::visit(
        [&](auto& what) {
          using Kind = std::decay_t<decltype(what)>;
          if constexpr (requires { what.lnet; }) {
            what.lnet = translated(what.lnet);
          }
          if constexpr (std::is_same_v<Kind, wire::GetRequest>) {
            what.sink = {peer.key(), room};
          } else if constexpr (std::is_same_v<Kind, wire::PutAck>) {
            what.source_cookie = cookies.at(what.source_cookie);
            what.sink = {peer.key(), room};
          } else if constexpr (std::is_base_of_v<wire::Completion, Kind>) {
            // Its writes come before it.
            const auto& [key, fragment] = sinks.at(what.cookie);
            peer.write(fragment.address, key, fragment.length);
            run();
            what.cookie = cookies.at(what.cookie);
          }
        },
        body);
    peer.header.credits = message.header.credits;
    peer.send(body);
    run();
    compare();
  }

  /// Where the kernel answered it; the end if it did not.
  [[nodiscard]] std::size_t answer_of(std::size_t question) const {
    const Message asked = said[question].message();
    for (std::size_t at = question + 1; at < said.size(); ++at) {
      if (said[at].by_engine && answers(asked, said[at].message())) {
        return at;
      }
    }
    return question;
  }
  /// The kernel had something to say by itself, and not in answer to anything.
  [[nodiscard]] bool is_answer(std::size_t at) const {
    for (std::size_t before = 0; before < at; ++before) {
      if (!said[before].by_engine && answers(said[before].message(), said[at].message())) {
        return true;
      }
    }
    return false;
  }

  std::vector<Said> said;
  std::vector<bool> started;
  std::vector<std::byte> source;
  std::vector<std::byte> bulk;
  std::vector<std::unique_ptr<iovec>> ranges;
  std::map<Handle, Handle> handles;
  std::map<Cookie, Cookie> cookies;
  std::map<Cookie, std::pair<std::uint32_t, wire::Fragment>> sinks;
  std::size_t compared = 0;
  std::size_t expected = 0;
  unsigned begun = 0;
  unsigned succeeded = 0;
};

TEST_P(Replay, TheEngineSaysWhatTheKernelSaid) {
  for (std::size_t at = 0; at < said.size() && !HasFatalFailure(); ++at) {
    if (said[at].by_engine) {
      if (!is_answer(at)) {
        start_one(at);
      }
      continue;
    }
    // The kernel was busy with these before it answered.
    for (std::size_t next = at + 1; next < answer_of(at); ++next) {
      if (said[next].by_engine && !is_answer(next)) {
        start_one(next);
      }
    }
    say(at);
  }
  while (expected < said.size() && !said[expected].by_engine) {
    ++expected;
  }
  EXPECT_EQ(expected, said.size()) << "the kernel said more";
  EXPECT_EQ(succeeded, begun);
  EXPECT_GT(begun, 8U);
  EXPECT_FALSE(peer.disconnected);
  EXPECT_TRUE(network.recorder.faults.empty());
}

INSTANTIATE_TEST_SUITE_P(Sides, Replay, testing::Bool(), [](const auto& connects) {
  return connects.param ? "Connector" : "Acceptor";
});

}  // namespace
}  // namespace rdmaboot::engine::fixtures
