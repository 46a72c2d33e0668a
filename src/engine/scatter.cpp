// SPDX-License-Identifier: BSD-2-Clause
#include "engine/scatter.hpp"

#include <algorithm>
#include <cstring>

namespace rdmaboot::engine {

std::uint64_t total_bytes(std::span<const iovec> fragments) {
  std::uint64_t sum = 0;
  for (const iovec& fragment : fragments) {
    sum += fragment.iov_len;
  }
  return sum;
}

Slice cut(std::span<const iovec> fragments, Cursor& cursor, std::uint64_t max_bytes,
          std::size_t max_fragments) {
  while (cursor.fragment < fragments.size() &&
         cursor.inside == fragments[cursor.fragment].iov_len) {
    ++cursor.fragment;
    cursor.inside = 0;
  }
  Slice slice{fragments.subspan(cursor.fragment), cursor.inside, 0};
  std::size_t count = 0;
  while (cursor.fragment < fragments.size() && slice.length < max_bytes && count < max_fragments) {
    const std::uint64_t there = fragments[cursor.fragment].iov_len - cursor.inside;
    const std::uint64_t bytes = std::min(there, max_bytes - slice.length);
    slice.length += bytes;
    cursor.inside += bytes;
    ++count;
    if (bytes == there) {
      ++cursor.fragment;
      cursor.inside = 0;
    }
  }
  slice.fragments = slice.fragments.first(count);
  return slice;
}

Slice slice_at(std::span<const iovec> fragments, std::uint64_t offset, std::uint64_t length) {
  while (!fragments.empty() && offset >= fragments.front().iov_len) {
    offset -= fragments.front().iov_len;
    fragments = fragments.subspan(1);
  }
  Cursor cursor{0, offset};
  return cut(fragments, cursor, length, SIZE_MAX);
}

std::optional<iovec> contiguous(const Slice& slice) {
  std::optional<iovec> whole;
  bool gap = false;
  for_each_piece(slice, [&](std::byte* data, std::uint64_t bytes) {
    if (!whole) {
      whole = iovec{data, bytes};
    } else if (static_cast<std::byte*>(whole->iov_base) + whole->iov_len == data) {
      whole->iov_len += bytes;
    } else {
      gap = true;
    }
  });
  return gap ? std::nullopt : whole;
}

std::uint64_t gather(const Slice& from, std::span<std::byte> to) {
  std::uint64_t done = 0;
  for_each_piece(first(from, std::min<std::uint64_t>(from.length, to.size())),
                 [&](const std::byte* data, std::uint64_t bytes) {
                   std::memcpy(to.data() + done, data, bytes);
                   done += bytes;
                 });
  return done;
}

std::uint64_t scatter(std::span<const std::byte> from, const Slice& to) {
  std::uint64_t done = 0;
  for_each_piece(first(to, std::min<std::uint64_t>(to.length, from.size())),
                 [&](std::byte* data, std::uint64_t bytes) {
                   std::memcpy(data, from.data() + done, bytes);
                   done += bytes;
                 });
  return done;
}

tl::expected<std::size_t, PlanError> plan_writes(std::span<const Segment> source,
                                                 const wire::FragmentList& sink, std::uint32_t key,
                                                 std::uint64_t bytes, unsigned max_segments,
                                                 std::span<SendRequest> writes) {
  std::size_t count = 0;
  std::size_t piece = 0;
  std::uint32_t inside = 0;  // of source[piece]
  for (std::size_t range = 0; bytes > 0; ++range) {
    if (range == sink.size()) {
      return tl::unexpected(PlanError::kSinkTooShort);
    }
    const wire::Fragment target = sink[range];
    const auto wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(target.length, bytes));
    for (std::uint32_t filled = 0; filled < wanted;) {
      if (count == writes.size()) {
        return tl::unexpected(PlanError::kTooManyWrites);
      }
      SendRequest& write = writes[count++];
      write.kind = WorkKind::kWrite;
      write.segment_count = 0;
      write.remote_address = target.address + filled;
      write.remote_key = key;
      while (filled < wanted && write.segment_count < max_segments) {
        while (piece < source.size() && inside == source[piece].length) {
          ++piece;
          inside = 0;
        }
        if (piece == source.size()) {
          return tl::unexpected(PlanError::kSourceTooShort);
        }
        const std::uint32_t length = std::min(source[piece].length - inside, wanted - filled);
        write.segments[write.segment_count++] = {source[piece].address + inside, length,
                                                 source[piece].local_key};
        inside += length;
        filled += length;
      }
    }
    bytes -= wanted;
  }
  return count;
}

}  // namespace rdmaboot::engine
