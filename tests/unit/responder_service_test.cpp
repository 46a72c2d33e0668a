// SPDX-License-Identifier: BSD-2-Clause
// link: responder-policy rdmaboot-sim
//
// What rdma-responder serves, asked by an engine of another host over a simulated network.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rdmaboot/engine/responder.hpp"
#include "responder/policy.hpp"
#include "served_client.hpp"

namespace rdmaboot::responder {
namespace {

using engine::Nid;
using engine::TransferResult;
using engine::TransferStatus;
using namespace std::chrono_literals;

using test::kServer;

constexpr std::size_t kBuffer = 64U << 10;

class ResponderService : public test::ServedClient {
 protected:
  void serve(const std::string& lines) {
    SettingsRead read;
    add_settings("[Responder]\n" + lines, "responder.conf", read);
    ASSERT_TRUE(read.errors.empty());
    device::AddressedPort where;
    where.ipv4 = kServer;
    ServedClient::serve(engine_settings(read.settings, where, 1), kBuffer);
    start();
  }

  /// Until `done`, for at most a minute of the network's time.
  void run(const bool& done) {
    ASSERT_TRUE(session().run_until([&] { return done; }, world_.clock().now() + 60s));
  }

  struct Outcome {
    bool done = false;
    TransferResult result;
    static void note(void* context, const TransferResult& result) {
      *static_cast<Outcome*>(context) = {true, result};
    }
    [[nodiscard]] engine::WhenDone when() { return {note, this}; }
  };

  TransferResult get(std::span<std::byte> sink, std::uint64_t match_bits) {
    Outcome outcome;
    const iovec range{sink.data(), sink.size()};
    engine::GetOptions options;
    options.portal = engine::kResponderPortal;
    options.match_bits = match_bits;
    EXPECT_TRUE(client_->get(Nid::o2ib(kServer), std::span(&range, 1), options, outcome.when()));
    run(outcome.done);
    return outcome.result;
  }

  TransferResult put(std::span<std::byte> source, std::uint64_t match_bits) {
    Outcome outcome;
    const iovec range{source.data(), source.size()};
    engine::PutOptions options;
    options.portal = engine::kResponderPortal;
    options.match_bits = match_bits;
    options.acknowledged = true;
    EXPECT_TRUE(client_->put(Nid::o2ib(kServer), std::span(&range, 1), options, outcome.when()));
    run(outcome.done);
    return outcome.result;
  }

  TransferStatus ping() {
    struct Answer {
      bool done = false;
      TransferStatus status = TransferStatus::kStopped;
    } answer;
    const engine::WhenPinged when{
        [](void* context, const TransferResult& result, const engine::PingReply* /*reply*/) {
          *static_cast<Answer*>(context) = {true, result.status};
        },
        &answer};
    EXPECT_TRUE(client_->ping(Nid::o2ib(kServer), when, 20s));
    run(answer.done);
    return answer.status;
  }
};

TEST_F(ResponderService, AnswersAPing) {
  serve("Allow=10.0.0.0/24\n");
  EXPECT_EQ(ping(), TransferStatus::kOk);
}

TEST_F(ResponderService, GivesBytesThatTheirOffsetTells) {
  serve("Allow=10.0.0.2\n");
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{8192}, kBuffer}) {
    std::vector<std::byte> sink(bytes);
    const TransferResult result = get(sink, engine::kResponderSourceBits);
    ASSERT_EQ(result.status, TransferStatus::kOk) << to_string(result.status);
    EXPECT_EQ(result.bytes, bytes);
    for (std::size_t offset = 0; offset < bytes; ++offset) {
      ASSERT_EQ(sink[offset], engine::responder_source_byte(offset)) << offset;
    }
  }
}

TEST_F(ResponderService, TakesBytesOfAnyLengthUpToItsBuffer) {
  serve("Allow=10.0.0.2\n");
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{8192}, kBuffer}) {
    std::vector<std::byte> source(bytes, std::byte{0x5a});
    const TransferResult result = put(source, engine::kResponderSinkBits);
    EXPECT_EQ(result.status, TransferStatus::kOk) << to_string(result.status);
    EXPECT_EQ(result.bytes, bytes);
  }
}

TEST_F(ResponderService, GivesNothingOfWhatItTookAndTakesNothingForWhatItGives) {
  serve("Allow=10.0.0.2\n");
  std::vector<std::byte> bytes(8192, std::byte{0x5a});
  EXPECT_NE(get(bytes, engine::kResponderSinkBits).status, TransferStatus::kOk);
  EXPECT_NE(put(bytes, engine::kResponderSourceBits).status, TransferStatus::kOk);
  std::vector<std::byte> sink(16);
  ASSERT_EQ(get(sink, engine::kResponderSourceBits).status, TransferStatus::kOk);
  EXPECT_EQ(sink[15], engine::responder_source_byte(15));
}

TEST_F(ResponderService, ShortensAPutThatIsLongerThanItsBuffer) {
  serve("Allow=10.0.0.2\n");
  std::vector<std::byte> source(kBuffer + 1, std::byte{0x5a});
  const TransferResult result = put(source, engine::kResponderSinkBits);
  EXPECT_EQ(result.status, TransferStatus::kTruncated) << to_string(result.status);
}

TEST_F(ResponderService, RefusesWhoIsNotOnTheList) {
  serve("Allow=10.0.0.3\n");
  EXPECT_NE(ping(), TransferStatus::kOk);
  EXPECT_EQ(service_->engine().statistics().accepts_established, 0U);
  EXPECT_GT(service_->engine().statistics().requests_refused, 0U);
}

TEST_F(ResponderService, WithoutAListRefusesEverybodyElse) {
  serve("");
  EXPECT_NE(ping(), TransferStatus::kOk);
  EXPECT_EQ(service_->engine().statistics().accepts_established, 0U);
}

}  // namespace
}  // namespace rdmaboot::responder
