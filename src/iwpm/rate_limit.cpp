// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/rate_limit.hpp"

#include <algorithm>

namespace rdmaboot::iwpm {

bool RateLimit::allow(const Address& source, core::Microseconds now) {
  if (per_second_ == 0) {
    return true;
  }
  IpBytes ip = source.ip;
  if (source.family == Family::kIpv6) {
    constexpr std::size_t kInterfaceIdentifier = 8;
    std::fill(ip.begin() + kInterfaceIdentifier, ip.end(), std::uint8_t{0});
  }
  Bucket& bucket = buckets_[keyed_hash(ip, static_cast<std::uint64_t>(source.family)) % kBuckets];
  const auto milliseconds = static_cast<std::uint32_t>(now.count() / 1000);
  const auto rate = static_cast<float>(per_second_);
  constexpr float kMillisecond = 0.001F;
  const float regained =
      static_cast<float>(milliseconds - bucket.milliseconds) * kMillisecond * rate;
  bucket.used = std::max(0.0F, bucket.used - regained);
  bucket.milliseconds = milliseconds;
  if (bucket.used + 1 > 2 * rate) {
    return false;
  }
  bucket.used += 1;
  return true;
}

}  // namespace rdmaboot::iwpm
