// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Devices of a simulated host, and the memory registered with them. Inside src/sim only.

#include <memory>
#include <string>

#include "engine/fabric.hpp"
#include "sim/state.hpp"

namespace rdmaboot::sim {

/// Where a remote write may go: the region behind a live key, if range and access fit.
/// @param arrived_on the queue pair here that the write came on, which a window is bound to
/// @return null if refused
[[nodiscard]] std::shared_ptr<RegionState> writable(const DeviceState& device,
                                                    engine::EndpointId arrived_on,
                                                    std::uint32_t remote_key, std::uint64_t address,
                                                    std::uint64_t length);

/// True if the segment lies in a live region with that local key and access.
[[nodiscard]] bool usable(const DeviceState& device, const engine::Segment& segment,
                          engine::Access access);

/// The windows of a queue pair that ends are bound no longer.
void unbind_windows(DeviceState& device, engine::EndpointId endpoint);

/// A device as a process sees it, with its protection domain.
class SimDevice final : public engine::Device {
 public:
  SimDevice(WorldState& world, std::shared_ptr<DeviceState> state);

  [[nodiscard]] const std::string& name() const override { return state_->model.name; }
  [[nodiscard]] const engine::DeviceLimits& limits() const override { return state_->model.limits; }
  [[nodiscard]] core::Result<std::unique_ptr<engine::MemoryRegion>> register_memory(
      std::span<std::byte> memory, engine::Access access) override;
  [[nodiscard]] core::Result<std::unique_ptr<engine::MemoryWindow>> allocate_window() override;

  [[nodiscard]] const std::shared_ptr<DeviceState>& state() const { return state_; }
  /// False after the device or its host went.
  [[nodiscard]] bool works() const;

 private:
  WorldState& world_;
  std::shared_ptr<DeviceState> state_;
  std::uint32_t life_;
};

class SimWindow final : public engine::MemoryWindow {
 public:
  SimWindow(WorldState& world, std::shared_ptr<DeviceState> device,
            std::shared_ptr<WindowState> state);
  SimWindow(const SimWindow&) = delete;
  SimWindow& operator=(const SimWindow&) = delete;
  ~SimWindow() override;
  [[nodiscard]] std::uint32_t next_key() const override {
    return (state_->index << 8U) | state_->next_tag;
  }
  [[nodiscard]] const std::shared_ptr<WindowState>& state() const { return state_; }

 private:
  WorldState& world_;
  std::shared_ptr<DeviceState> device_;
  std::shared_ptr<WindowState> state_;
};

class SimRegion final : public engine::MemoryRegion {
 public:
  SimRegion(WorldState& world, std::shared_ptr<DeviceState> device,
            std::shared_ptr<RegionState> state);
  SimRegion(const SimRegion&) = delete;
  SimRegion& operator=(const SimRegion&) = delete;
  ~SimRegion() override;
  [[nodiscard]] std::uint32_t local_key() const override { return state_->local_key; }
  [[nodiscard]] std::uint32_t remote_key() const override { return state_->remote_key; }
  /// Errors: EBUSY while a window is bound; EIO after the device went, which frees it all the same.
  [[nodiscard]] core::Result<void> close() override;
  [[nodiscard]] const std::shared_ptr<RegionState>& state() const { return state_; }

 private:
  void forget();

  WorldState& world_;
  std::shared_ptr<DeviceState> device_;
  std::shared_ptr<RegionState> state_;
  bool open_ = true;
};

}  // namespace rdmaboot::sim
