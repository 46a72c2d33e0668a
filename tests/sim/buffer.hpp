// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Memory of a transfer in fragments, each between guards that nobody may touch.

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/random.hpp"

namespace rdmaboot::tests {

class Buffer {
 public:
  static constexpr std::size_t kGuardBytes = 8;
  static constexpr std::byte kGuard{0xa5};

  /// @param contiguous fragments follow each other directly; else there is a guard between them
  Buffer(std::size_t length, std::size_t fragments, bool contiguous, sim::Random& random)
      : length_(length) {
    fragments = std::clamp<std::size_t>(fragments, 1, std::max<std::size_t>(length, 1));
    std::vector<std::size_t> cuts(fragments - 1);
    for (auto& cut : cuts) {
      cut = 1 + random.below(length - 1);  // 1 to length - 1
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    cuts.push_back(length);
    const std::size_t gap = contiguous ? 0 : kGuardBytes;
    memory_.assign(length + 2 * kGuardBytes + cuts.size() * gap, kGuard);
    std::byte* next = memory_.data() + kGuardBytes;
    std::size_t start = 0;
    for (const std::size_t end : cuts) {
      parts_.push_back({next, end - start});
      next += end - start + gap;
      start = end;
    }
  }

  [[nodiscard]] std::size_t length() const { return length_; }
  [[nodiscard]] std::span<const iovec> parts() const { return parts_; }
  /// All of it in one piece, guards in between included.
  [[nodiscard]] std::span<std::byte> span() {
    return std::span(memory_).subspan(kGuardBytes, memory_.size() - 2 * kGuardBytes);
  }

  /// Bytes that tell the transfer and their place.
  [[nodiscard]] static std::byte pattern(std::uint64_t tag, std::size_t offset) {
    return static_cast<std::byte>((tag * 167U) + offset * 13U + (offset >> 8U) * 7U + 1U);
  }
  void fill(std::uint64_t tag) {
    std::size_t offset = 0;
    for (const iovec& part : parts_) {
      auto* bytes = static_cast<std::byte*>(part.iov_base);
      for (std::size_t i = 0; i < part.iov_len; ++i) {
        bytes[i] = pattern(tag, offset++);
      }
    }
  }
  void fill_with(std::byte value) {
    for (const iovec& part : parts_) {
      std::fill_n(static_cast<std::byte*>(part.iov_base), part.iov_len, value);
    }
  }

  /// The bytes from `offset` on are the pattern's from `pattern_offset` on.
  [[nodiscard]] bool holds(std::uint64_t tag, std::size_t offset, std::size_t pattern_offset,
                           std::size_t count) const {
    return all(offset, count, [tag, offset, pattern_offset](std::size_t at, std::byte value) {
      return value == pattern(tag, at - offset + pattern_offset);
    });
  }
  [[nodiscard]] bool holds_only(std::byte value) const {
    return all(0, length_, [value](std::size_t /*at*/, std::byte found) { return found == value; });
  }
  [[nodiscard]] bool guards_intact() const {
    const std::byte* next = memory_.data();
    for (const iovec& part : parts_) {
      const auto* start = static_cast<const std::byte*>(part.iov_base);
      if (!std::all_of(next, start, [](std::byte byte) { return byte == kGuard; })) {
        return false;
      }
      next = start + part.iov_len;
    }
    return std::all_of(next, memory_.data() + memory_.size(),
                       [](std::byte byte) { return byte == kGuard; });
  }

  /// Calls f(memory, length) for each piece of a range.
  template <typename Function>
  void pieces(std::size_t offset, std::size_t count, Function f) const {
    for (const iovec& part : parts_) {
      if (offset < part.iov_len && count != 0) {
        const std::size_t piece = std::min(count, part.iov_len - offset);
        f(static_cast<const std::byte*>(part.iov_base) + offset, piece);
        count -= piece;
        offset = 0;
      } else {
        offset -= std::min(offset, part.iov_len);
      }
    }
  }

 private:
  template <typename Predicate>
  [[nodiscard]] bool all(std::size_t offset, std::size_t count, Predicate holds_at) const {
    bool good = offset + count <= length_;
    std::size_t at = offset;
    pieces(offset, count, [&](const std::byte* bytes, std::size_t piece) {
      for (std::size_t i = 0; i < piece && good; ++i) {
        good = holds_at(at++, bytes[i]);
      }
    });
    return good;
  }

  std::size_t length_;
  std::vector<std::byte> memory_;
  std::vector<iovec> parts_;
};

}  // namespace rdmaboot::tests
