// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Integers at any address and in either byte order, for the codec's own files.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace rdmaboot::engine::wire {

/// What has to be flipped to be little-endian.
inline constexpr bool kHostIsBig = std::endian::native == std::endian::big;

template <std::integral T>
[[nodiscard]] constexpr T flipped(T value) {
  if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
  } else if constexpr (sizeof(T) == 8) {
    return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
  } else {
    return value;
  }
}

/// The integer that starts at `at`, which need not be aligned.
template <std::integral T>
[[nodiscard]] inline T load(const std::byte* at, bool swapped) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return swapped ? flipped(value) : value;
}

template <std::integral T>
inline void store(std::byte* at, T value, bool swapped) {
  const T stored = swapped ? flipped(value) : value;
  std::memcpy(at, &stored, sizeof stored);
}

/// Bytes that mean nothing to us: copied as they are.
template <typename T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] inline T load_opaque(const std::byte* at) {
  T value;
  std::memcpy(static_cast<void*>(&value), at, sizeof value);
  return value;
}

template <typename T>
requires std::is_trivially_copyable_v<T>
inline void store_opaque(std::byte* at, const T& value) {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace rdmaboot::engine::wire
