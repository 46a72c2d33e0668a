// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// When the engine has to look at something again. The cost of a look is that of what is due, never
// of what is merely there: an idle connection is one entry that nobody touches until its keepalive.

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace rdmaboot::engine {

/// One deadline, inside the object that has it. Cancelled before the object goes.
struct Timer {
  static constexpr std::uint32_t kIdle = UINT32_MAX;
  std::chrono::microseconds due{0};
  std::uint32_t slot = kIdle;  ///< in the heap
  std::uint8_t kind = 0;       ///< the engine's: what `owner` is
  void* owner = nullptr;
  [[nodiscard]] bool set() const { return slot != kIdle; }
};

/// A heap of deadlines with four children a node. Deadlines mostly grow as they are set, so setting
/// one is mostly one comparison.
class Deadlines {
 public:
  void set(Timer& timer, std::chrono::microseconds due) {
    if (!timer.set()) {
      timer.slot = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back(&timer);
    }
    timer.due = due;
    sift(timer.slot);
  }
  void cancel(Timer& timer) {
    if (!timer.set()) {
      return;
    }
    const std::uint32_t slot = std::exchange(timer.slot, Timer::kIdle);
    Timer* last = heap_.back();
    heap_.pop_back();
    if (last != &timer) {
      heap_[slot] = last;
      last->slot = slot;
      sift(slot);
    }
  }
  /// The earliest one that is due, taken out; null if none is.
  [[nodiscard]] Timer* take_due(std::chrono::microseconds now) {
    if (heap_.empty() || heap_.front()->due > now) {
      return nullptr;
    }
    Timer* timer = heap_.front();
    cancel(*timer);
    return timer;
  }
  [[nodiscard]] std::optional<std::chrono::microseconds> next() const {
    return heap_.empty() ? std::nullopt : std::optional(heap_.front()->due);
  }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  void place(std::uint32_t slot, Timer* timer) {
    heap_[slot] = timer;
    timer->slot = slot;
  }
  void sift(std::uint32_t slot) {
    Timer* timer = heap_[slot];
    while (slot > 0 && timer->due < heap_[(slot - 1) / 4]->due) {
      place(slot, heap_[(slot - 1) / 4]);
      slot = (slot - 1) / 4;
    }
    for (;;) {
      std::uint32_t least = slot;
      const Timer* least_timer = timer;
      for (std::uint32_t child = 4 * slot + 1; child <= 4 * slot + 4 && child < heap_.size();
           ++child) {
        if (heap_[child]->due < least_timer->due) {
          least = child;
          least_timer = heap_[child];
        }
      }
      if (least == slot) {
        break;
      }
      place(slot, heap_[least]);
      slot = least;
    }
    place(slot, timer);
  }

  std::vector<Timer*> heap_;
};

}  // namespace rdmaboot::engine
