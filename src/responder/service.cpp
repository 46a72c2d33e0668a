// SPDX-License-Identifier: BSD-2-Clause
#include "responder/service.hpp"

#include <cerrno>
#include <utility>

#include "rdmaboot/engine/responder.hpp"

namespace rdmaboot::responder {

core::Result<Buffer> Buffer::allocate(std::size_t bytes) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return core::fail("allocate", std::to_string(bytes) + " bytes", errno);
  }
  static_cast<void>(::madvise(memory, bytes, MADV_DONTFORK));
  return Buffer(static_cast<std::byte*>(memory), bytes);
}

core::Result<std::unique_ptr<Service>> Service::start(const engine::Settings& settings,
                                                      std::size_t buffer, engine::Fabric& fabric,
                                                      const core::Clock& clock) {
  auto sink = Buffer::allocate(buffer);
  auto source = Buffer::allocate(buffer);
  if (!sink || !source) {
    return tl::make_unexpected(!sink ? sink.error() : source.error());
  }
  for (std::size_t offset = 0; offset < buffer; ++offset) {
    source->span()[offset] = engine::responder_source_byte(offset);
  }
  std::unique_ptr<Service> service(new Service(std::move(*sink), std::move(*source)));
  auto engine = engine::Engine::start(settings, fabric, clock);
  if (!engine) {
    return tl::make_unexpected(engine.error());
  }
  service->engine_ = std::move(*engine);
  for (const bool puts : {true, false}) {
    const std::span<std::byte> memory = (puts ? service->sink_ : service->source_).span();
    if (auto registered = service->engine_->register_memory(memory); !registered) {
      return tl::make_unexpected(registered.error());
    }
    engine::ExposeOptions options;
    options.portal = engine::kResponderPortal;
    options.match_bits = puts ? engine::kResponderSinkBits : engine::kResponderSourceBits;
    options.puts = puts;
    options.gets = !puts;
    const iovec range{memory.data(), memory.size()};
    if (auto exposed = service->engine_->expose(std::span(&range, 1), options); !exposed) {
      return tl::make_unexpected(exposed.error());
    }
  }
  return service;
}

}  // namespace rdmaboot::responder
