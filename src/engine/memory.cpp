// SPDX-License-Identifier: BSD-2-Clause
#include "engine/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace rdmaboot::engine {

namespace {

// 64 message buffers at once: a registration costs about as much for one page as for 64.
constexpr std::size_t kBuffersOfSlab = 64;
constexpr std::size_t kSlabBytes = kBuffersOfSlab * wire::kMessageBytes;

tl::unexpected<core::Error> no_memory(std::string_view what) {
  return core::fail("allocate", what, ENOMEM);
}

}  // namespace

PageMemory::PageMemory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    bytes_ = {static_cast<std::byte*>(memory), bytes};
  }
}

PageMemory::~PageMemory() {
  if (!bytes_.empty()) {
    munmap(bytes_.data(), bytes_.size());
  }
}

DeviceMemory::DeviceMemory(std::shared_ptr<Device> device, const Settings& settings,
                           MemoryBudget& budget, Statistics& statistics)
    : device_(std::move(device)), settings_(settings), budget_(budget), statistics_(statistics) {}

DeviceMemory::~DeviceMemory() {
  free_windows_.clear();
  budget_.give(slabs_.size() * kSlabBytes + bounce_buffers_ * BounceBuffer::kBytes);
}

Access DeviceMemory::bulk(Access access) const {
  return device_->limits().relaxed_ordering ? access | Access::kRelaxedOrdering : access;
}

bool DeviceMemory::uses_windows() const {
  return settings_.keys == KeyPolicy::kAuto && device_->limits().windows_type_2;
}

// ---- Message buffers ---------------------------------------------------------------------------

core::Result<MessageBuffer> DeviceMemory::take_buffer() {
  if (free_buffers_.empty()) {
    if (!budget_.take(kSlabBytes)) {
      return no_memory("message buffers within max_memory");
    }
    auto slab = std::make_unique<MessageSlab>(kSlabBytes);
    auto region = slab->memory.bytes().empty()
                      ? no_memory("message buffers")
                      : device_->register_memory(slab->memory.bytes(), Access::kLocalWrite);
    if (!region) {
      budget_.give(kSlabBytes);
      return tl::unexpected(region.error());
    }
    slab->region = std::move(*region);
    free_buffers_.reserve((slabs_.size() + 1) * kBuffersOfSlab);
    for (std::size_t i = kBuffersOfSlab; i-- > 0;) {
      free_buffers_.push_back(
          {slab->memory.bytes().data() + i * wire::kMessageBytes, slab->region->local_key()});
    }
    slabs_.push_back(std::move(slab));
  }
  const MessageBuffer buffer = free_buffers_.back();
  free_buffers_.pop_back();
  return buffer;
}

// ---- Regions of the user's ---------------------------------------------------------------------

core::Result<void> DeviceMemory::add_region(std::span<std::byte> memory) {
  Access access = Access::kLocalWrite;
  if (uses_windows()) {
    access = access | Access::kBindWindow;
  }
  auto region = device_->register_memory(memory, bulk(access));
  if (!region) {
    return tl::unexpected(region.error());
  }
  regions_[memory.data()] = {memory, std::move(*region)};
  return {};
}

void DeviceMemory::remove_region(const std::byte* start) {
  regions_.erase(start);
}

MemoryRegion* DeviceMemory::find_region(const void* address, std::uint64_t bytes) const {
  const auto* start = static_cast<const std::byte*>(address);
  auto entry = regions_.upper_bound(start);
  if (entry == regions_.begin()) {
    return nullptr;
  }
  --entry;
  const std::span<std::byte> memory = entry->second.memory;
  const auto offset = static_cast<std::uint64_t>(start - memory.data());
  return offset <= memory.size() && bytes <= memory.size() - offset ? entry->second.region.get()
                                                                    : nullptr;
}

// ---- Bounce buffers ----------------------------------------------------------------------------

void DeviceMemory::free_bounce(std::unique_ptr<BounceBuffer> buffer) {
  buffer->region.reset();
  buffer.reset();
  --bounce_buffers_;
  budget_.give(BounceBuffer::kBytes);
}

void DeviceMemory::renew_keys() {
  for (std::unique_ptr<BounceBuffer>& buffer : used_bounce_) {
    // The region's end kills the key; should the device refuse, the buffer is not used again.
    const bool closed = buffer->region->close().has_value();
    auto region = closed
                      ? device_->register_memory(buffer->memory.bytes(),
                                                 bulk(Access::kLocalWrite | Access::kRemoteWrite))
                      : core::fail("deregister", "bounce buffer", EIO);
    if (region) {
      buffer->region = std::move(*region);
      free_bounce_.push_back(std::move(buffer));
    } else {
      free_bounce(std::move(buffer));
    }
  }
  used_bounce_.clear();
}

core::Result<std::unique_ptr<BounceBuffer>> DeviceMemory::take_bounce() {
  if (free_bounce_.empty() && used_bounce_.size() >= settings_.pool_flush_trigger) {
    renew_keys();
  }
  if (free_bounce_.empty() && !budget_.take(BounceBuffer::kBytes)) {
    renew_keys();
    if (free_bounce_.empty()) {
      return no_memory("bounce buffer within max_memory");
    }
  } else if (free_bounce_.empty()) {
    auto buffer = std::make_unique<BounceBuffer>();
    const Access access = uses_windows() ? Access::kLocalWrite | Access::kBindWindow
                                         : Access::kLocalWrite | Access::kRemoteWrite;
    auto region = buffer->memory.bytes().empty()
                      ? no_memory("bounce buffer")
                      : device_->register_memory(buffer->memory.bytes(), bulk(access));
    if (!region) {
      budget_.give(BounceBuffer::kBytes);
      return tl::unexpected(region.error());
    }
    buffer->region = std::move(*region);
    ++bounce_buffers_;
    used_bounce_.reserve(bounce_buffers_);
    free_bounce_.reserve(bounce_buffers_);
    return buffer;
  }
  std::unique_ptr<BounceBuffer> buffer = std::move(free_bounce_.back());
  free_bounce_.pop_back();
  return buffer;
}

core::Result<std::unique_ptr<MemoryWindow>> DeviceMemory::take_window() {
  if (free_windows_.empty()) {
    return device_->allocate_window();
  }
  std::unique_ptr<MemoryWindow> window = std::move(free_windows_.back());
  free_windows_.pop_back();
  return window;
}

core::Result<Lease> DeviceMemory::bounce(std::uint64_t length, bool remote) {
  if (length > BounceBuffer::kBytes) {
    return core::fail("copy", "slice", EMSGSIZE);
  }
  auto buffer = take_bounce();
  if (!buffer) {
    return tl::unexpected(buffer.error());
  }
  Lease lease;
  lease.kind = LeaseKind::kBounce;
  lease.remote = remote;
  lease.range = {(*buffer)->memory.bytes().data(), length};
  lease.local_key = (*buffer)->region->local_key();
  lease.remote_key = (*buffer)->region->remote_key();
  lease.region = (*buffer)->region.get();
  if (remote && uses_windows()) {
    auto window = take_window();
    if (!window) {
      free_bounce_.push_back(std::move(*buffer));
      return tl::unexpected(window.error());
    }
    lease.window = std::move(*window);
  }
  lease.bounce = std::move(*buffer);
  ++statistics_.bounced;
  ++leases_;
  return lease;
}

// ---- Leases ------------------------------------------------------------------------------------

core::Result<Lease> DeviceMemory::lease_sink(const Slice& slice) {
  const std::optional<iovec> whole = contiguous(slice);
  Lease lease;
  lease.remote = true;
  if (whole && settings_.keys != KeyPolicy::kBounce) {
    lease.range = *whole;
    MemoryRegion* region = find_region(whole->iov_base, whole->iov_len);
    if (uses_windows() && region != nullptr) {
      auto window = take_window();
      if (window) {
        lease.kind = LeaseKind::kWindow;
        lease.window = std::move(*window);
        lease.region = region;
        lease.local_key = region->local_key();
        ++leases_;
        return lease;
      }
    }
    if (whole->iov_len >= settings_.registration_bytes) {
      auto own =
          device_->register_memory({static_cast<std::byte*>(whole->iov_base), whole->iov_len},
                                   bulk(Access::kLocalWrite | Access::kRemoteWrite));
      if (own) {
        lease.kind = LeaseKind::kRegistration;
        lease.registration = std::move(*own);
        lease.local_key = lease.registration->local_key();
        lease.remote_key = lease.registration->remote_key();
        lease.key_lives = true;
        ++statistics_.registrations;
        ++leases_;
        return lease;
      }
    }
  }
  return bounce(slice.length, true);
}

core::Result<Lease> DeviceMemory::lease_source(const Slice& slice, std::size_t max_pieces) {
  std::size_t count = 0;
  bool registered = true;
  for_each_piece(slice, [&](const std::byte* data, std::uint64_t bytes) {
    ++count;
    registered = registered && find_region(data, bytes) != nullptr;
  });
  Lease lease;
  if (registered && count <= max_pieces) {
    lease.kind = LeaseKind::kDirect;
    ++leases_;
    return lease;
  }
  const std::optional<iovec> whole = contiguous(slice);
  if (whole && settings_.keys != KeyPolicy::kBounce &&
      whole->iov_len >= settings_.registration_bytes) {
    auto own = device_->register_memory({static_cast<std::byte*>(whole->iov_base), whole->iov_len},
                                        bulk(Access::kLocal));
    if (own) {
      lease.kind = LeaseKind::kRegistration;
      lease.range = *whole;
      lease.registration = std::move(*own);
      lease.local_key = lease.registration->local_key();
      ++statistics_.registrations;
      ++leases_;
      return lease;
    }
  }
  auto copy = bounce(slice.length, false);
  if (copy) {
    gather(slice, {static_cast<std::byte*>(copy->range.iov_base), copy->range.iov_len});
  }
  return copy;
}

std::size_t DeviceMemory::pieces(const Lease& lease, const Slice& slice,
                                 std::span<Segment> out) const {
  if (lease.kind != LeaseKind::kDirect) {
    out[0] = {reinterpret_cast<std::uint64_t>(lease.range.iov_base),
              static_cast<std::uint32_t>(lease.range.iov_len), lease.local_key};
    return 1;
  }
  std::size_t count = 0;
  for_each_piece(slice, [&](const std::byte* data, std::uint64_t bytes) {
    const MemoryRegion* region = find_region(data, bytes);
    if (region != nullptr && count < out.size()) {
      out[count++] = {reinterpret_cast<std::uint64_t>(data), static_cast<std::uint32_t>(bytes),
                      region->local_key()};
    }
  });
  return count;
}

core::Result<void> DeviceMemory::give_back(Lease& lease, Duration now) {
  core::Result<void> result;
  if (lease.kind == LeaseKind::kNone) {
    return result;
  }
  if (lease.window && !lease.key_lives) {
    free_windows_.push_back(std::move(lease.window));
  }
  // A window whose key lives goes here, while its region is still there, and the key with it.
  lease.window.reset();
  const bool key_known = lease.remote && !uses_windows();
  if (lease.registration) {
    result = lease.registration->close();
  }
  if (lease.bounce) {
    lease.bounce->idle_since = now;
    (key_known ? used_bounce_ : free_bounce_).push_back(std::move(lease.bounce));
    if (used_bounce_.size() >= settings_.pool_flush_trigger && free_bounce_.empty()) {
      renew_keys();
    }
  }
  lease = Lease{};
  --leases_;
  return result;
}

void DeviceMemory::age(Duration now) {
  renew_keys();
  while (bounce_buffers_ > settings_.pool_buffers && !free_bounce_.empty() &&
         now - free_bounce_.front()->idle_since >= settings_.pool_age) {
    free_bounce(std::move(free_bounce_.front()));
    free_bounce_.erase(free_bounce_.begin());
  }
}

}  // namespace rdmaboot::engine
