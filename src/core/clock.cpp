// SPDX-License-Identifier: BSD-2-Clause
#include "core/clock.hpp"

#include <ctime>

namespace rdmaboot::core {

Microseconds MonotonicClock::now() const {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::duration_cast<Microseconds>(std::chrono::seconds(time.tv_sec) +
                                                  std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace rdmaboot::core
