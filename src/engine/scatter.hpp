// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Lists of memory fragments: cutting a slice out of one, copying, and walking a source and a sink
// side by side into RDMA writes. Plain data in, plain data out.

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <tl/expected.hpp>

#include "engine/fabric.hpp"
#include "engine/wire.hpp"

namespace rdmaboot::engine {

/// A range of bytes in a list of fragments of this process.
struct Slice {
  std::span<const iovec> fragments;  ///< of which the first counts from `skip`
  std::uint64_t skip = 0;            ///< less than the first fragment's length, or 0
  std::uint64_t length = 0;          ///< at most what is there
};

/// @return the sum of the lengths, in bytes
[[nodiscard]] std::uint64_t total_bytes(std::span<const iovec> fragments);

/// Where the next slice of a list begins.
struct Cursor {
  std::size_t fragment = 0;
  std::uint64_t inside = 0;
};
/// The next slice, at most so many bytes and so many fragments; the cursor moves behind it.
[[nodiscard]] Slice cut(std::span<const iovec> fragments, Cursor& cursor, std::uint64_t max_bytes,
                        std::size_t max_fragments);
/// The slice that begins `offset` bytes into the list.
[[nodiscard]] Slice slice_at(std::span<const iovec> fragments, std::uint64_t offset,
                             std::uint64_t length);
/// The first `length` bytes of a slice.
[[nodiscard]] inline Slice first(Slice slice, std::uint64_t length) {
  slice.length = length;
  return slice;
}

/// Calls with each non-empty piece (address, bytes) of a slice, in order.
template <typename Function>
void for_each_piece(const Slice& slice, Function&& function) {
  std::uint64_t left = slice.length;
  std::uint64_t skip = slice.skip;
  for (const iovec& fragment : slice.fragments) {
    if (left == 0) {
      return;
    }
    const std::uint64_t there = fragment.iov_len - skip;
    const std::uint64_t bytes = there < left ? there : left;
    if (bytes > 0) {
      function(static_cast<std::byte*>(fragment.iov_base) + skip, bytes);
    }
    left -= bytes;
    skip = 0;
  }
}

/// The slice as one range, if its pieces follow each other in memory; an empty slice has none.
[[nodiscard]] std::optional<iovec> contiguous(const Slice& slice);
/// Copies min(slice.length, to.size()) bytes. @return how many
std::uint64_t gather(const Slice& from, std::span<std::byte> to);
/// Copies min(slice.length, from.size()) bytes. @return how many
std::uint64_t scatter(std::span<const std::byte> from, const Slice& to);

enum class PlanError : std::uint8_t {
  kSinkTooShort,
  kSourceTooShort,
  kTooManyWrites,
};

/// The writes that carry `bytes` from the source's start to the sink's start: each goes to one
/// fragment of the sink and takes up to max_segments pieces of the source. The last one is there
/// even if it ends inside a fragment of the sink with room for another piece (D1).
/// @param writes filled in from the front; id and flags stay
/// @return how many
[[nodiscard]] tl::expected<std::size_t, PlanError> plan_writes(
    std::span<const Segment> source, const wire::FragmentList& sink, std::uint32_t key,
    std::uint64_t bytes, unsigned max_segments, std::span<SendRequest> writes);

}  // namespace rdmaboot::engine
