// SPDX-License-Identifier: BSD-2-Clause
#include "engine/wire_ping.hpp"

#include <algorithm>

#include "engine/wire_bytes.hpp"

namespace rdmaboot::engine::wire {

Decoded<PingInfo> decode_ping(std::span<const std::byte> payload) {
  const auto fault = [](Field field, std::uint64_t found, std::uint64_t expected) {
    return tl::unexpected(DecodeError{field, found, expected});
  };
  if (payload.size() < ping_bytes(1)) {
    return fault(Field::kLength, payload.size(), ping_bytes(1));
  }
  const std::byte* at = payload.data();
  const auto magic = load<std::uint32_t>(at, false);
  const bool swapped = magic == flipped(kPingMagic);
  if (magic != kPingMagic && !swapped) {
    return fault(Field::kPingMagicNumber, magic, kPingMagic);
  }
  PingInfo info;
  info.features = load<std::uint32_t>(at + 4, swapped);
  info.pid = load<std::uint32_t>(at + 8, swapped);
  info.announced = load<std::uint32_t>(at + 12, swapped);
  if ((info.features & kFeatureStatus) == 0) {
    return fault(Field::kPingFeatures, info.features, info.features | kFeatureStatus);
  }
  if (info.announced == 0) {
    return fault(Field::kPingCount, 0, 1);
  }
  const std::size_t there = (payload.size() - kPingHeaderBytes) / kPingEntryBytes;
  const std::size_t count = std::min<std::size_t>(there, info.announced);
  info.entries =
      PingEntries::in_place(payload.subspan(kPingHeaderBytes, count * kPingEntryBytes), swapped);
  if (info.entries[0].nid != Nid::loopback()) {
    return fault(Field::kPingLoopback, info.entries[0].nid.value, Nid::loopback().value);
  }
  return info;
}

std::size_t encode_ping(const PingInfo& info, std::span<std::byte> out, bool swapped) {
  if (out.size() < ping_bytes(1) || info.entries.size() == 0) {
    return 0;
  }
  std::byte* at = out.data();
  store(at, kPingMagic, swapped);
  store(at + 4, info.features, swapped);
  store(at + 8, info.pid, swapped);
  store(at + 12, static_cast<std::uint32_t>(info.entries.size()), swapped);
  const std::size_t room = (out.size() - kPingHeaderBytes) / kPingEntryBytes;
  const std::size_t count = std::min(room, info.entries.size());
  for (std::size_t index = 0; index < count; ++index) {
    const PingEntry entry = info.entries[index];
    std::byte* to = at + ping_bytes(index);
    store(to, entry.nid.value, swapped);
    store(to + 8, entry.status, swapped);
    store(to + 12, entry.message_bytes, swapped);
  }
  return ping_bytes(count);
}

PingEntry PingEntries::operator[](std::size_t index) const {
  if (array_ != nullptr) {
    return array_[index];
  }
  const std::byte* at = bytes_ + index * kPingEntryBytes;
  return {.nid = {load<std::uint64_t>(at, swapped_)},
          .status = load<std::uint32_t>(at + 8, swapped_),
          .message_bytes = load<std::uint32_t>(at + 12, swapped_)};
}

}  // namespace rdmaboot::engine::wire
