// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Two hosts of a simulated network, what rdma-responder serves on the first, and an engine on the
// second that asks.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <gtest/gtest.h>

#include "rdmaboot/engine/engine.hpp"
#include "rdmactl/path/session.hpp"
#include "responder/service.hpp"
#include "sim/world.hpp"

namespace rdmaboot::test {

inline constexpr std::uint32_t kServer = 0x0a000001;
inline constexpr std::uint32_t kClient = 0x0a000002;

/// The network's time, and the server's, passes while the client rests.
class ServedClient : public testing::Test, public rdmactl::Rest {
 protected:
  static engine::Settings settings_of(std::uint32_t address) {
    engine::Settings settings;
    settings.nid = engine::Nid::o2ib(address);
    settings.incarnation = address;
    return settings;
  }

  void serve(const engine::Settings& settings, std::size_t buffer) {
    auto started = responder::Service::start(settings, buffer, *server_fabric_, world_.clock());
    ASSERT_TRUE(started) << started.error().message();
    service_ = std::move(*started);
  }
  /// The client listens to nobody, as rdmactl's.
  void start() {
    engine::Settings own = settings_of(kClient);
    own.listen_anywhere = true;
    auto started = engine::Engine::start(own, *client_fabric_, world_.clock());
    ASSERT_TRUE(started) << started.error().message();
    client_ = std::move(*started);
  }
  rdmactl::Session session() { return {*client_, world_.clock(), *this}; }

  void rest(const engine::Engine& engine, core::Microseconds until) override {
    static_cast<void>(engine);
    engine::Engine* const server = service_ ? &service_->engine() : server_engine_;
    if (server != nullptr && server->process()) {
      return;
    }
    core::Microseconds next = std::min(until, world_.next_time().value_or(until));
    if (server != nullptr) {
      next = std::min(next, server->next_deadline().value_or(next));
    }
    world_.run_until(std::max(next, world_.clock().now() + core::Microseconds(1)));
  }

  sim::World world_{1};
  sim::HostId server_ = world_.add_host("server");
  sim::HostId client_host_ = world_.add_host("client");
  std::unique_ptr<engine::Fabric> server_fabric_ = add(server_, kServer);
  std::unique_ptr<engine::Fabric> client_fabric_ = add(client_host_, kClient);
  std::unique_ptr<responder::Service> service_;
  engine::Engine* server_engine_ = nullptr;  ///< where there is no service
  std::unique_ptr<engine::Engine> client_;

 private:
  std::unique_ptr<engine::Fabric> add(sim::HostId host, std::uint32_t address) {
    sim::DeviceModel model;
    model.name = "sim0";
    world_.give_address(world_.add_device(host, model), address);
    return world_.fabric(host);
  }
};

}  // namespace rdmaboot::test
