// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What rdma-responder offers to its peers, for programs that talk to it: a sink to put into and a
// source to get from, beside LNet's ping.

#include <cstddef>
#include <cstdint>

namespace rdmaboot::engine {

/// Of no service of Lustre's or LNet's: theirs end at 52 (LNet selftest).
inline constexpr std::uint32_t kResponderPortal = 60;
/// "rdmasink", "rdmasrce" as characters. The sink takes PUTs and gives nothing; the source gives
/// and takes nothing: what one peer writes no other can read.
inline constexpr std::uint64_t kResponderSinkBits = 0x7264'6d61'7369'6e6b;
inline constexpr std::uint64_t kResponderSourceBits = 0x7264'6d61'7372'6365;

/// The byte of the source at an offset, so that a reader can tell whether the bytes are right. The
/// period is no power of two: pages that changed places show.
[[nodiscard]] constexpr std::byte responder_source_byte(std::uint64_t offset) {
  return static_cast<std::byte>(offset % 251);
}

}  // namespace rdmaboot::engine
