// SPDX-License-Identifier: BSD-2-Clause
#include <utility>

#include "core/clock.hpp"
#include "engine/verbs_fabric.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

core::Result<std::unique_ptr<Engine>> start_on_verbs(Settings settings) {
  auto fabric = open_verbs_fabric();
  if (!fabric) {
    return tl::unexpected(fabric.error());
  }
  if (settings.incarnation == 0) {
    settings.incarnation = incarnation_now();
  }
  return Engine::start(settings, std::move(*fabric), std::make_unique<core::MonotonicClock>());
}

}  // namespace rdmaboot::engine
