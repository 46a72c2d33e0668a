// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The memory of one device: message buffers, bounce buffers, regions of the user's, and the keys
// that peers write through.
//
// The policy for a sink (KeyPolicy), in this order:
//   1. one range of a registered region, on a device with type-2 windows: a window of its own,
//   bound
//      in the chain that tells the peer its key and invalidated before the completion;
//   2. one range, at least registration_bytes long: a registration of its own, closed before the
//      completion;
//   3. otherwise a bounce buffer. With windows it has one, too. Without, its key is known to a peer
//      when the transfer is over, so the buffer is set aside until its key is renewed (in batches,
//      as pools of FMRs were flushed); the sink itself was never within a peer's reach.
// What each way costs: docs/benchmarks/keys.md; why this order: docs/decisions/0013-engine.md.
// A source needs no remote key: registered regions as they are, else 2 (for local access), else 3.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/fabric.hpp"
#include "engine/scatter.hpp"
#include "engine/wire.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

/// Bytes that the engine has registered for itself, on all devices, and how many it may have.
struct MemoryBudget {
  std::uint64_t limit = 0;
  std::uint64_t used = 0;
  [[nodiscard]] bool take(std::uint64_t bytes) {
    if (bytes > limit - used) {
      return false;
    }
    used += bytes;
    return true;
  }
  void give(std::uint64_t bytes) { used -= bytes; }
};

/// One buffer of wire::kMessageBytes. Plain data: whoever took it gives it back.
struct MessageBuffer {
  std::byte* data = nullptr;
  std::uint32_t local_key = 0;
  [[nodiscard]] std::span<std::byte> bytes() const { return {data, wire::kMessageBytes}; }
};

/// Memory of the engine's own, page-aligned.
class PageMemory {
 public:
  explicit PageMemory(std::size_t bytes);
  ~PageMemory();
  PageMemory(const PageMemory&) = delete;
  PageMemory& operator=(const PageMemory&) = delete;
  /// Empty if there was none.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

/// A registered buffer that bytes are copied through.
struct BounceBuffer {
  static constexpr std::size_t kBytes = kMaxSliceBytes;
  PageMemory memory{kBytes};
  std::unique_ptr<MemoryRegion> region;
  Duration idle_since{0};
};

enum class LeaseKind : std::uint8_t {
  kNone,
  kDirect,        ///< a source in registered regions
  kWindow,        ///< a sink in a registered region
  kRegistration,  ///< a region for this transfer alone
  kBounce,
};

/// What one slice uses of a device's memory until DeviceMemory::give_back().
struct Lease {
  LeaseKind kind = LeaseKind::kNone;
  bool remote = false;          ///< a peer may write to it
  bool key_lives = false;       ///< and could do so now: the window is bound
  iovec range{};                ///< where the bytes go to or come from, unless kDirect
  std::uint32_t local_key = 0;  ///< of the range
  std::uint32_t remote_key = 0;
  MemoryRegion* region = nullptr;  ///< that a window is bound to
  std::unique_ptr<MemoryWindow> window;
  std::unique_ptr<MemoryRegion> registration;
  std::unique_ptr<BounceBuffer> bounce;
};

/// Everything registered on one device. Outlives the queue pairs that use it.
class DeviceMemory {
 public:
  DeviceMemory(std::shared_ptr<Device> device, const Settings& settings, MemoryBudget& budget,
               Statistics& statistics);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  [[nodiscard]] Device& device() const { return *device_; }

  // -- Message buffers: slabs that are kept
  /// Errors: ENOMEM from the budget or the device.
  [[nodiscard]] core::Result<MessageBuffer> take_buffer();
  void give_buffer(MessageBuffer buffer) { free_buffers_.push_back(buffer); }

  // -- Regions of the user's
  [[nodiscard]] core::Result<void> add_region(std::span<std::byte> memory);
  void remove_region(const std::byte* start);

  // -- What a slice needs. Errors: ENOMEM (wait until another is given back, or for ever), others
  // from the device.
  [[nodiscard]] core::Result<Lease> lease_sink(const Slice& slice);
  /// @param max_pieces a source in more pieces is copied
  [[nodiscard]] core::Result<Lease> lease_source(const Slice& slice, std::size_t max_pieces);
  /// The pieces of a source, with their keys. @return how many were filled in
  [[nodiscard]] std::size_t pieces(const Lease& lease, const Slice& slice,
                                   std::span<Segment> out) const;
  /// Takes everything back. A window whose key lives goes with its queue pair, which is no more.
  /// Errors: a registration could not be closed; its key is dead all the same.
  [[nodiscard]] core::Result<void> give_back(Lease& lease, Duration now);

  /// Frees bounce buffers above pool_buffers that nobody used for pool_age.
  void age(Duration now);
  [[nodiscard]] std::size_t leases() const { return leases_; }

 private:
  struct Region {
    std::span<std::byte> memory;
    std::unique_ptr<MemoryRegion> region;
  };
  struct MessageSlab {
    explicit MessageSlab(std::size_t bytes) : memory(bytes) {}
    PageMemory memory;
    std::unique_ptr<MemoryRegion> region;
  };

  [[nodiscard]] MemoryRegion* find_region(const void* address, std::uint64_t bytes) const;
  [[nodiscard]] bool uses_windows() const;
  [[nodiscard]] core::Result<std::unique_ptr<MemoryWindow>> take_window();
  [[nodiscard]] core::Result<std::unique_ptr<BounceBuffer>> take_bounce();
  [[nodiscard]] core::Result<Lease> bounce(std::uint64_t length, bool remote);
  void free_bounce(std::unique_ptr<BounceBuffer> buffer);
  void renew_keys();
  [[nodiscard]] Access bulk(Access access) const;

  std::shared_ptr<Device> device_;
  const Settings& settings_;
  MemoryBudget& budget_;
  Statistics& statistics_;
  std::vector<std::unique_ptr<MessageSlab>> slabs_;
  std::vector<MessageBuffer> free_buffers_;
  std::map<const std::byte*, Region> regions_;
  std::vector<std::unique_ptr<MemoryWindow>> free_windows_;
  std::vector<std::unique_ptr<BounceBuffer>> free_bounce_;
  std::vector<std::unique_ptr<BounceBuffer>> used_bounce_;  ///< a peer knows their key
  std::size_t bounce_buffers_ = 0;
  std::size_t leases_ = 0;
};

}  // namespace rdmaboot::engine
