// SPDX-License-Identifier: BSD-2-Clause
#include "sim/memory.hpp"

#include <cerrno>
#include <utility>

namespace rdmaboot::sim {

using engine::Access;

namespace {

// Different, so that one is never taken for the other by luck.
constexpr std::uint32_t kLocalKeyTag = 1;
constexpr std::uint32_t kRemoteKeyTag = 2;

bool inside(std::uint64_t address, std::uint64_t length, std::uint64_t outer_address,
            std::uint64_t outer_length) {
  return address >= outer_address && length <= outer_length &&
         address - outer_address <= outer_length - length;
}

std::uint64_t address_of(const void* memory) {
  return reinterpret_cast<std::uint64_t>(memory);  // an address is a number on the wire
}

}  // namespace

std::shared_ptr<RegionState> writable(const DeviceState& device, engine::EndpointId arrived_on,
                                      std::uint32_t remote_key, std::uint64_t address,
                                      std::uint64_t length) {
  const std::uint32_t index = remote_key >> 8U;
  if (const auto found = device.regions.find(index); found != device.regions.end()) {
    const auto& region = found->second;
    const bool fits = region->live && region->remote_key == remote_key &&
                      engine::allows(region->access, Access::kRemoteWrite) &&
                      inside(address, length, region->address, region->length);
    return fits ? region : nullptr;
  }
  if (const auto found = device.windows.find(index); found != device.windows.end()) {
    const auto& window = found->second;
    const bool fits = window->bound && window->key == remote_key &&
                      window->endpoint == arrived_on && window->region->live &&
                      inside(address, length, window->address, window->length);
    return fits ? window->region : nullptr;
  }
  return nullptr;
}

bool usable(const DeviceState& device, const engine::Segment& segment, Access access) {
  const auto found = device.regions.find(segment.local_key >> 8U);
  if (found == device.regions.end()) {
    return false;
  }
  const RegionState& region = *found->second;
  return region.live && region.local_key == segment.local_key &&
         engine::allows(region.access, access) &&
         inside(segment.address, segment.length, region.address, region.length);
}

void unbind_windows(DeviceState& device, engine::EndpointId endpoint) {
  for (auto& [index, window] : device.windows) {
    if (window->bound && window->endpoint == endpoint) {
      window->bound = false;
      --window->region->bound_windows;
    }
  }
}

// ---- Device
// --------------------------------------------------------------------------------------

SimDevice::SimDevice(WorldState& world, std::shared_ptr<DeviceState> state)
    : world_(world), state_(std::move(state)), life_(world.host(state_->host).life) {}

bool SimDevice::works() const {
  const HostState& host = world_.host(state_->host);
  return !state_->removed && host.alive && host.life == life_;
}

core::Result<std::unique_ptr<engine::MemoryRegion>> SimDevice::register_memory(
    std::span<std::byte> memory, Access access) {
  if (!works()) {
    return core::fail("register memory with", name(), EIO);
  }
  const bool remote = engine::allows(access, Access::kRemoteWrite);
  if (memory.empty() || memory.size() > limits().max_region_bytes ||
      (remote && !engine::allows(access, Access::kLocalWrite))) {
    return core::fail("register memory with", name(), EINVAL);
  }
  if (world_.out_of_memory(world_.host(state_->host))) {
    return core::fail("register memory with", name(), ENOMEM);
  }
  auto region = std::make_shared<RegionState>();
  const std::uint32_t index = ++world_.keys_made;
  region->serial = ++world_.regions_made;
  region->address = address_of(memory.data());
  region->length = memory.size();
  region->access = access;
  region->local_key = (index << 8U) | kLocalKeyTag;
  region->remote_key = (index << 8U) | kRemoteKeyTag;
  state_->regions.emplace(index, region);
  return std::make_unique<SimRegion>(world_, state_, std::move(region));
}

core::Result<std::unique_ptr<engine::MemoryWindow>> SimDevice::allocate_window() {
  if (!works()) {
    return core::fail("allocate a memory window on", name(), EIO);
  }
  if (!limits().windows_type_2) {
    return core::fail("allocate a memory window on", name(), EOPNOTSUPP);
  }
  if (world_.out_of_memory(world_.host(state_->host))) {
    return core::fail("allocate a memory window on", name(), ENOMEM);
  }
  auto window = std::make_shared<WindowState>();
  window->index = ++world_.keys_made;
  state_->windows.emplace(window->index, window);
  return std::make_unique<SimWindow>(world_, state_, std::move(window));
}

// ---- Regions and windows
// -------------------------------------------------------------------------

SimWindow::SimWindow(WorldState& world, std::shared_ptr<DeviceState> device,
                     std::shared_ptr<WindowState> state)
    : world_(world), device_(std::move(device)), state_(std::move(state)) {
  ++world_.host(device_->host).live.windows;
}

SimWindow::~SimWindow() {
  if (state_->bound) {
    --state_->region->bound_windows;
    state_->bound = false;
  }
  device_->windows.erase(state_->index);
  --world_.host(device_->host).live.windows;
}

SimRegion::SimRegion(WorldState& world, std::shared_ptr<DeviceState> device,
                     std::shared_ptr<RegionState> state)
    : world_(world), device_(std::move(device)), state_(std::move(state)) {
  ++world_.host(device_->host).live.regions;
}

SimRegion::~SimRegion() {
  if (open_) {
    if (state_->bound_windows != 0) {
      world_.fault(device_->host, {}, Fault::kBoundWindow);
    }
    forget();
  }
}

core::Result<void> SimRegion::close() {
  if (!open_) {
    return {};
  }
  if (state_->bound_windows != 0) {
    world_.fault(device_->host, {}, Fault::kBoundWindow);
    return core::fail("deregister memory from", device_->model.name, EBUSY);
  }
  const bool gone = device_->removed;
  forget();
  if (gone) {
    return core::fail("deregister memory from", device_->model.name, EIO);
  }
  return {};
}

void SimRegion::forget() {
  open_ = false;
  state_->live = false;
  device_->regions.erase(state_->local_key >> 8U);
  --world_.host(device_->host).live.regions;
}

}  // namespace rdmaboot::sim
