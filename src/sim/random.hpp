// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The one source of chance in a simulation: the same seed gives the same run.

#include <cstdint>

#include "core/clock.hpp"

namespace rdmaboot::sim {

/// Sebastiano Vigna's splitmix64: 64 bits of state, and every seed is a good one.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  /// 64 random bits.
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31U);
  }

  /// 0 to bound - 1; 0 if the bound is 0.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

  /// From low to high, both possible.
  core::Microseconds between(core::Microseconds low, core::Microseconds high) {
    return low + core::Microseconds(below(static_cast<std::uint64_t>((high - low).count()) + 1));
  }

  /// True so many times in a million; draws nothing for 0.
  bool chance(std::uint32_t per_million) {
    return per_million != 0 && below(1'000'000) < per_million;
  }

 private:
  std::uint64_t state_;
};

}  // namespace rdmaboot::sim
