// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Virtual time: a queue of what will happen, ordered by time and then by the order of asking.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/clock.hpp"

namespace rdmaboot::sim {

/// The clock of a simulation and everything that waits for it. One thread.
class Schedule final : public core::Clock {
 public:
  using Action = std::function<void()>;

  [[nodiscard]] core::Microseconds now() const override { return now_; }

  /// Runs the action then; a time that has passed is now.
  void at(core::Microseconds time, Action action);
  void after(core::Microseconds delay, Action action) { at(now_ + delay, std::move(action)); }

  /// When the next action is due; nothing if none waits.
  [[nodiscard]] std::optional<core::Microseconds> next_time() const;
  /// Moves the clock to the next action and runs it. @return false if none waits
  bool run_next();
  /// Runs everything that is due until then, and moves the clock there.
  void run_until(core::Microseconds time);

 private:
  struct Entry {
    core::Microseconds time{};
    std::uint64_t sequence = 0;
    Action action;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
    }
  };

  core::Microseconds now_{0};
  std::uint64_t next_sequence_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace rdmaboot::sim
