// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
#include "engine/scatter.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "engine/deadlines.hpp"
#include "engine/slab.hpp"

namespace {

using namespace rdmaboot::engine;

std::vector<iovec> pieces_of(std::vector<std::byte>& memory, std::vector<std::size_t> lengths,
                             std::size_t gap = 0) {
  std::vector<iovec> list;
  std::size_t at = 0;
  for (const std::size_t length : lengths) {
    list.push_back({memory.data() + at, length});
    at += length + gap;
  }
  return list;
}

/// Where each byte of the source goes, by walking the writes.
std::uint64_t bytes_written(std::span<const SendRequest> writes) {
  std::uint64_t sum = 0;
  for (const SendRequest& write : writes) {
    for (unsigned i = 0; i < write.segment_count; ++i) {
      sum += write.segments[i].length;
    }
  }
  return sum;
}

std::vector<SendRequest> planned(std::vector<Segment> source, std::vector<wire::Fragment> sink,
                                 std::uint64_t bytes, unsigned segments = 2) {
  std::vector<SendRequest> writes(300);
  const auto count =
      plan_writes(source, std::span<const wire::Fragment>(sink), 7, bytes, segments, writes);
  EXPECT_TRUE(count);
  writes.resize(count.value_or(0));
  return writes;
}

// D1: the three cases in which a kernel's loop drops the last write.
TEST(Plan, ShortReplyIntoALargeFragmentIsWritten) {
  const auto writes = planned({{100, 48, 1}}, {{5000, 8192}}, 48);
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(bytes_written(writes), 48U);
  EXPECT_EQ(writes[0].remote_address, 5000U);
}

TEST(Plan, ShortReplyOverASmallAndALargeFragmentIsWritten) {
  EXPECT_EQ(bytes_written(planned({{100, 48, 1}}, {{5000, 20}, {9000, 8172}}, 48)), 48U);
  EXPECT_EQ(bytes_written(planned({{100, 48, 1}}, {{1000, 16}, {2000, 16}, {3000, 8000}}, 48)),
            48U);
}

TEST(Plan, EveryLengthIsWrittenWhateverTheFragments) {
  for (std::uint64_t bytes = 1; bytes <= 120; ++bytes) {
    for (unsigned segments = 1; segments <= 2; ++segments) {
      const auto writes = planned({{1000, 7, 1}, {2000, 40, 2}, {3000, 73, 3}},
                                  {{10, 30}, {500, 1}, {700, 89}}, bytes, segments);
      EXPECT_EQ(bytes_written(writes), bytes);
    }
  }
}

TEST(Plan, AWriteStaysWithinOneFragmentOfTheSink) {
  for (const SendRequest& write :
       planned({{1000, 100, 1}}, {{10, 30}, {500, 30}, {700, 40}}, 100)) {
    const std::uint64_t end = write.remote_address + write.segments[0].length;
    EXPECT_TRUE((write.remote_address >= 10 && end <= 40) ||
                (write.remote_address >= 500 && end <= 530) ||
                (write.remote_address >= 700 && end <= 740));
  }
}

TEST(Plan, ListsThatAreTooShortAreErrors) {
  std::vector<SendRequest> writes(4);
  const std::vector<Segment> source = {{100, 50, 1}};
  const std::vector<wire::Fragment> sink = {{10, 60}};
  const std::span<const wire::Fragment> list(sink);
  EXPECT_EQ(plan_writes(source, list, 7, 61, 2, writes).error(), PlanError::kSourceTooShort);
  EXPECT_EQ(plan_writes(std::vector<Segment>{{1, 99, 1}}, list, 7, 61, 2, writes).error(),
            PlanError::kSinkTooShort);
}

TEST(Plan, MoreWritesThanFitAreAnError) {
  std::vector<SendRequest> writes(2);
  const std::vector<Segment> source = {{100, 50, 1}};
  const std::vector<wire::Fragment> sink = {{10, 10}, {30, 10}, {50, 10}};
  EXPECT_EQ(plan_writes(source, std::span<const wire::Fragment>(sink), 7, 30, 2, writes).error(),
            PlanError::kTooManyWrites);
}

TEST(Slices, ACursorCutsAListWithoutGapOrOverlap) {
  std::vector<std::byte> memory(1000);
  const auto list = pieces_of(memory, {1, 0, 300, 299, 400});
  for (const std::uint64_t most : std::initializer_list<std::uint64_t>{1, 7, 299, 1000}) {
    Cursor cursor;
    std::uint64_t at = 0;
    for (Slice slice = cut(list, cursor, most, 2); slice.length > 0;
         slice = cut(list, cursor, most, 2)) {
      for_each_piece(slice, [&](std::byte* data, std::uint64_t bytes) {
        EXPECT_EQ(data, memory.data() + at);
        at += bytes;
      });
    }
    EXPECT_EQ(at, 1000U);
  }
}

TEST(Slices, WhatIsGatheredIsScatteredBack) {
  std::vector<std::byte> from(100);
  std::vector<std::byte> to(200);
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] = static_cast<std::byte>(i);
  }
  const auto source = pieces_of(from, {10, 30, 60});
  const auto sink = pieces_of(to, {50, 1, 49}, 3);
  std::vector<std::byte> between(60);
  EXPECT_EQ(gather(slice_at(source, 15, 60), between), 60U);
  EXPECT_EQ(scatter(between, slice_at(sink, 20, 60)), 60U);
  EXPECT_EQ(to[20], from[15]);
  EXPECT_EQ(to[49], from[44]);
  EXPECT_EQ(to[53], from[45]);
  EXPECT_EQ(to[57], from[46]);
}

TEST(Slices, PiecesThatFollowEachOtherAreOneRange) {
  std::vector<std::byte> memory(100);
  EXPECT_TRUE(contiguous(slice_at(pieces_of(memory, {10, 20, 30}), 0, 60)));
  EXPECT_FALSE(contiguous(slice_at(pieces_of(memory, {10, 20, 30}, 1), 0, 60)));
}

// ---- Deadlines and slabs

TEST(DeadlineHeap, ComeInOrderWhateverTheOrderTheyWereSetIn) {
  Deadlines deadlines;
  std::vector<Timer> timers(500);
  for (std::size_t i = 0; i < timers.size(); ++i) {
    deadlines.set(timers[i], std::chrono::microseconds((i * 7919) % 1009));
  }
  for (std::size_t i = 0; i < timers.size(); i += 3) {
    deadlines.cancel(timers[i]);
  }
  for (std::size_t i = 1; i < timers.size(); i += 3) {
    deadlines.set(timers[i], std::chrono::microseconds((i * 31) % 499));
  }
  std::chrono::microseconds last{0};
  std::size_t count = 0;
  while (const Timer* timer = deadlines.take_due(std::chrono::hours(1))) {
    EXPECT_GE(timer->due, last);
    last = timer->due;
    ++count;
  }
  EXPECT_EQ(count, 500U - 167U);
}

TEST(DeadlineHeap, NothingIsTakenBeforeItIsDue) {
  Deadlines deadlines;
  Timer timer;
  deadlines.set(timer, std::chrono::seconds(5));
  EXPECT_EQ(deadlines.take_due(std::chrono::seconds(4)), nullptr);
  EXPECT_EQ(deadlines.take_due(std::chrono::seconds(5)), &timer);
  EXPECT_FALSE(deadlines.next());
}

struct Thing {
  std::uint64_t handle = 0;
  int value = 0;
};

TEST(ThingSlab, AHandleIsNeverUsedTwice) {
  Slab<Thing> slab;
  Thing* first = &slab.take();
  const std::uint64_t handle = first->handle;
  slab.give(*first);
  const Thing* second = &slab.take();
  EXPECT_EQ(second, first);
  EXPECT_EQ(slab.find(handle), nullptr);
  EXPECT_EQ(slab.find(second->handle), second);
  EXPECT_EQ(slab.find(0xffffffffffffffff), nullptr);
}

TEST(ThingSlab, TheLimitHolds) {
  Slab<Thing> slab;
  Thing* one = slab.take(1);
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(slab.take(1), nullptr);
  slab.give(*one);
  EXPECT_NE(slab.take(1), nullptr);
}

}  // namespace
