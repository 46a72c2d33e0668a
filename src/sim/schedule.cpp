// SPDX-License-Identifier: BSD-2-Clause
#include "sim/schedule.hpp"

#include <algorithm>
#include <utility>

namespace rdmaboot::sim {

void Schedule::at(core::Microseconds time, Action action) {
  heap_.push_back({std::max(time, now_), next_sequence_++, std::move(action)});
  std::push_heap(heap_.begin(), heap_.end(), Later{});
}

std::optional<core::Microseconds> Schedule::next_time() const {
  if (heap_.empty()) {
    return std::nullopt;
  }
  return heap_.front().time;
}

bool Schedule::run_next() {
  if (heap_.empty()) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), Later{});
  Entry entry = std::move(heap_.back());
  heap_.pop_back();
  now_ = entry.time;
  entry.action();
  return true;
}

void Schedule::run_until(core::Microseconds time) {
  while (!heap_.empty() && heap_.front().time <= time) {
    run_next();
  }
  now_ = std::max(now_, time);
}

}  // namespace rdmaboot::sim
