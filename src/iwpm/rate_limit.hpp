// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// How many datagrams a source may send. A fixed array of token buckets: nothing is allocated,
// whatever comes. Sources are spread over it by a keyed hash, so that a flood with made-up sources
// takes a little from every bucket instead of all from one.

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/clock.hpp"
#include "iwpm/address.hpp"

namespace rdmaboot::iwpm {

class RateLimit {
 public:
  /// @param per_second datagrams of one source; twice as many may come at once. 0: no limit.
  explicit RateLimit(std::uint32_t per_second) : per_second_(per_second) {}

  /// Takes one token. IPv6 sources of one /64 share a bucket, because a host has all of that.
  [[nodiscard]] bool allow(const Address& source, core::Microseconds now);

 private:
  static constexpr std::size_t kBuckets = 8192;
  struct Bucket {
    float used = 0;                  ///< tokens that are missing
    std::uint32_t milliseconds = 0;  ///< of the last datagram; wraps around
  };
  std::uint32_t per_second_;
  std::array<Bucket, kBuckets> buckets_{};
};

}  // namespace rdmaboot::iwpm
