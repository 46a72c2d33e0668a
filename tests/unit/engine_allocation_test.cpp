// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
//
// In steady state the engine allocates nothing, whatever moves and however its end is learned, and
// bursts go out as chains.
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "core/clock.hpp"
#include "counted_allocations.hpp"
#include "null_fabric.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {
namespace {

constexpr std::uint32_t kPortal = 9;
constexpr Nid kFirst = Nid::o2ib(0x0a000001);
constexpr Nid kSecond = Nid::o2ib(0x0a000002);

struct Host {
  Host(bench::NullNetwork& network, const core::Clock& clock, Nid nid) : fabric(network) {
    Settings settings;
    settings.nid = nid;
    settings.incarnation = nid.value;
    engine = Engine::start(settings, fabric, clock).value();
  }
  bench::NullFabric fabric;
  std::unique_ptr<Engine> engine;
};

struct Shape {
  const char* name;
  std::size_t bytes;
  bool registered;
  bool get;
  bool acknowledged;
  bool polled;  ///< results are taken with poll(), not given to a function
};
void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.name;
}

class SteadyState : public testing::TestWithParam<Shape> {
 protected:
  SteadyState()
      : first(network, clock, kFirst),
        second(network, clock, kSecond),
        here(GetParam().bytes),
        there(GetParam().bytes) {}
  void SetUp() override {
    if (GetParam().registered) {
      ASSERT_TRUE(first.engine->register_memory(here));
      ASSERT_TRUE(second.engine->register_memory(there));
    }
    mine = {here.data(), here.size()};
    const iovec theirs{there.data(), there.size()};
    ExposeOptions options;
    options.portal = kPortal;
    ASSERT_TRUE(second.engine->expose({&theirs, 1}, options));
  }
  /// Transfers, all of which are under way at once.
  void batch() {
    constexpr unsigned kAtOnce = 24;
    unsigned ended = 0;
    const WhenDone told{[](void* count, const TransferResult& result) {
                          *static_cast<unsigned*>(count) += result.status == TransferStatus::kOk;
                        },
                        &ended};
    const WhenDone done = GetParam().polled ? WhenDone{} : told;
    PutOptions put;
    put.portal = kPortal;
    put.acknowledged = GetParam().acknowledged;
    GetOptions get;
    get.portal = kPortal;
    for (unsigned i = 0; i < kAtOnce; ++i) {
      const bool taken = GetParam().get
                             ? first.engine->get(kSecond, {&mine, 1}, get, done).has_value()
                             : first.engine->put(kSecond, {&mine, 1}, put, done).has_value();
      ASSERT_TRUE(taken);
    }
    while (first.engine->process() || second.engine->process()) {
    }
    TransferResult results[5];
    while (GetParam().polled) {
      const std::size_t count = first.engine->poll(results);
      for (std::size_t i = 0; i < count; ++i) {
        ended += results[i].status == TransferStatus::kOk;
      }
      if (count == 0) {
        break;
      }
    }
    ASSERT_EQ(ended, kAtOnce);
  }

  bench::NullNetwork network;
  core::ManualClock clock;
  Host first;
  Host second;
  std::vector<std::byte> here;
  std::vector<std::byte> there;
  iovec mine{};
};

TEST_P(SteadyState, AllocatesNothing) {
  for (int i = 0; i < 20; ++i) {
    batch();
  }
  const std::uint64_t before = allocations;
  for (int i = 0; i < 20; ++i) {
    batch();
  }
  EXPECT_EQ(allocations, before);
}

TEST_P(SteadyState, PostsNoMoreChainsThanMessagesAndEachCompletesOnce) {
  const auto sent = [&] {
    return first.engine->statistics().messages_sent + second.engine->statistics().messages_sent;
  };
  batch();
  const std::uint64_t messages = sent();
  const std::uint64_t doorbells = network.doorbells;
  const std::uint64_t completions = network.completions;
  batch();
  EXPECT_EQ(network.completions - completions, network.doorbells - doorbells);
  // Invalidates are posted, too; with them it is still fewer than messages.
  EXPECT_LT(network.doorbells - doorbells, sent() - messages);
}

constexpr Shape kShapes[] = {
    {"ImmediatePut", 64, false, false, false, false},
    {"ImmediatePutPolled", 64, false, false, false, true},
    {"AcknowledgedPutPolled", 3976, false, false, true, true},
    {"ImmediateGetPolled", 3976, false, true, false, true},
    {"PutPolled", 65'536, true, false, false, true},
    {"AcknowledgedPut", 65'536, true, false, true, false},
    {"Get", 65'536, true, true, false, false},
    {"GetPolled", 65'536, true, true, false, true},
    {"GetOfThreeSlicesPolled", (2U << 20U) + 1, true, true, false, true},
    {"CopiedPutPolled", 5'000, false, false, false, true},
};
INSTANTIATE_TEST_SUITE_P(Shapes, SteadyState, testing::ValuesIn(kShapes),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace rdmaboot::engine
