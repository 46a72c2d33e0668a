// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Time is a dependency: whoever needs it is given a Clock, so that tests can move it.

#include <chrono>

namespace rdmaboot::core {

using Microseconds = std::chrono::microseconds;

/// Where "now" comes from. One instance may be read by several threads.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Time since an arbitrary but fixed point; for the real clock this is CLOCK_MONOTONIC, the one
  /// that systemd's *TimestampMonotonic properties and the kernel's log use.
  [[nodiscard]] virtual Microseconds now() const = 0;
};

/// CLOCK_MONOTONIC of the kernel.
class MonotonicClock final : public Clock {
 public:
  [[nodiscard]] Microseconds now() const override;
};

/// A clock that stands still until a test moves it.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Microseconds now() const override { return now_; }
  void advance(Microseconds by) { now_ += by; }

 private:
  Microseconds now_{0};
};

}  // namespace rdmaboot::core
