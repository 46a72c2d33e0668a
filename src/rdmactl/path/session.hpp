// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Runs an engine until something is so, or until the time is over.

#include <algorithm>

#include "core/clock.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::rdmactl {

/// How to do nothing for a while: poll() on a real fabric, moving the clock on a simulated one.
class Rest {
 public:
  virtual ~Rest() = default;
  /// Returns at `until`, by the session's clock, or as soon as the engine has something to do.
  virtual void rest(const engine::Engine& engine, core::Microseconds until) = 0;
};

/// An engine with its clock. Belongs to the engine's thread; none of the three is owned.
class Session {
 public:
  Session(engine::Engine& engine, const core::Clock& clock, Rest& rest)
      : engine_(engine), clock_(clock), rest_(rest) {}

  [[nodiscard]] engine::Engine& engine() const { return engine_; }
  [[nodiscard]] core::Microseconds now() const { return clock_.now(); }

  /// @param done called after each turn of the engine
  /// @return false if it was not so by `deadline`
  template <typename Condition>
  bool run_until(Condition done, core::Microseconds deadline) {
    while (!done()) {
      const bool anything = engine_.process();
      if (done()) {
        break;
      }
      const core::Microseconds now = clock_.now();
      if (now >= deadline) {
        return false;
      }
      if (!anything) {
        const core::Microseconds next =
            engine_.wants_polling() ? now : engine_.next_deadline().value_or(deadline);
        rest_.rest(engine_, std::clamp(next, now, deadline));
      }
    }
    return true;
  }

 private:
  engine::Engine& engine_;
  const core::Clock& clock_;
  Rest& rest_;
};

}  // namespace rdmaboot::rdmactl
