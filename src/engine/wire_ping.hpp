// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a host answers to an LNet ping, and pushes to peers: its features and its NIDs
// (section 3.1). Integers in the sender's byte order, which the magic number tells.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/wire.hpp"

namespace rdmaboot::engine::wire {

inline constexpr std::uint32_t kPingMagic = 0x70696e67;  ///< "ping"
inline constexpr std::size_t kPingHeaderBytes = 16;
inline constexpr std::size_t kPingEntryBytes = 16;
/// Room that `lnetctl ping` offers; an answer that fits is never asked for again.
inline constexpr std::uint32_t kPingRoom = 3960;
inline constexpr std::uint32_t kDiscoveryRoom = 272;  ///< room that discovery offers: 16 NIDs

inline constexpr std::uint32_t kStatusUp = 0x15aac0de;
inline constexpr std::uint32_t kStatusDown = 0xdeadface;

// Features, as bits.
inline constexpr std::uint32_t kFeatureBase = 0x1;
inline constexpr std::uint32_t kFeatureStatus = 0x2;  ///< entries carry a status; must be set
inline constexpr std::uint32_t kFeatureRoutingDisabled = 0x4;
inline constexpr std::uint32_t kFeatureMultiRail = 0x8;
inline constexpr std::uint32_t kFeatureDiscovery = 0x10;
inline constexpr std::uint32_t kFeatureLargeAddress = 0x20;  ///< entries of another form follow

struct PingEntry {
  Nid nid{};
  std::uint32_t status = kStatusUp;  ///< of the loopback entry: a sequence number
  /// 0; of the loopback entry with kFeatureLargeAddress: the size of the whole answer, bytes.
  std::uint32_t message_bytes = 0;
  auto operator<=>(const PingEntry&) const = default;
};

/// The entries of an answer, in the buffer it came in or in an array of the caller's.
class PingEntries {
 public:
  PingEntries() = default;
  PingEntries(std::span<const PingEntry> entries)  // NOLINT(google-explicit-constructor)
      : array_(entries.data()), size_(entries.size()) {}
  [[nodiscard]] static PingEntries in_place(std::span<const std::byte> bytes, bool swapped) {
    PingEntries list;
    list.bytes_ = bytes.data();
    list.size_ = bytes.size() / kPingEntryBytes;
    list.swapped_ = swapped;
    return list;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// @param index less than size()
  [[nodiscard]] PingEntry operator[](std::size_t index) const;

 private:
  const PingEntry* array_ = nullptr;
  const std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
  bool swapped_ = false;
};

/// A ping's answer. The first entry is the loopback, the second the primary NID.
struct PingInfo {
  std::uint32_t features = kFeatureStatus;
  std::uint32_t pid = kLnetPid;
  std::uint32_t announced = 0;  ///< NIDs that the sender has; may be more than fit the asker's room
  PingEntries entries{};

  /// Ask again with room for ping_bytes(announced).
  [[nodiscard]] bool truncated() const { return announced > entries.size(); }
  [[nodiscard]] std::optional<Nid> primary() const {
    return entries.size() > 1 ? std::optional(entries[1].nid) : std::nullopt;
  }
};

/// The size of an answer with so many entries.
[[nodiscard]] constexpr std::size_t ping_bytes(std::size_t entries) {
  return kPingHeaderBytes + entries * kPingEntryBytes;
}

/// Total; either byte order. Large-address entries, if their flag is set, are not looked at.
/// Errors: the magic, no status feature, no entry, a first entry that is not the loopback.
[[nodiscard]] Decoded<PingInfo> decode_ping(std::span<const std::byte> payload);

/// Writes as many whole entries as there is room for; `announced` becomes info.entries.size().
/// @param swapped the byte order that is not this host's: for tests
/// @return bytes written; 0 if there is no room for the header and one entry
[[nodiscard]] std::size_t encode_ping(const PingInfo& info, std::span<std::byte> out,
                                      bool swapped = false);

}  // namespace rdmaboot::engine::wire
