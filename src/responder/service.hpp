// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// One running engine with what it serves. Works on any fabric, so that a simulated one can drive
// it.

#include <memory>
#include <span>

#include <sys/mman.h>

#include "core/clock.hpp"
#include "engine/fabric.hpp"
#include "rdmaboot/engine/engine.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::responder {

/// Memory of its own pages, all zero. Not copied to children: a fork must not take the pages away
/// from the adapter.
class Buffer {
 public:
  /// Errors: errno of mmap.
  [[nodiscard]] static core::Result<Buffer> allocate(std::size_t bytes);
  [[nodiscard]] std::span<std::byte> span() const {
    return {memory_.get(), memory_.get_deleter().bytes};
  }

 private:
  struct Unmap {
    std::size_t bytes = 0;
    void operator()(std::byte* memory) const noexcept { ::munmap(memory, bytes); }
  };
  explicit Buffer(std::byte* memory, std::size_t bytes) : memory_(memory, Unmap{bytes}) {}
  std::unique_ptr<std::byte, Unmap> memory_;
};

/// Serves until its end. Not thread-safe.
class Service {
 public:
  /// Starts an engine on `fabric` and exposes the sink and the source
  /// (rdmaboot/engine/responder.hpp), `buffer` bytes each.
  /// @param fabric and clock outlive the service
  /// Errors: those of Engine::start(), Engine::register_memory() and Engine::expose(); ENOMEM.
  [[nodiscard]] static core::Result<std::unique_ptr<Service>> start(
      const engine::Settings& settings, std::size_t buffer, engine::Fabric& fabric,
      const core::Clock& clock);

  [[nodiscard]] engine::Engine& engine() { return *engine_; }

 private:
  Service(Buffer sink, Buffer source) : sink_(std::move(sink)), source_(std::move(source)) {}

  // The engine goes first: memory that an adapter may write outlives it.
  Buffer sink_;
  Buffer source_;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace rdmaboot::responder
