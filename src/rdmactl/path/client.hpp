// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell of ping and bench: an engine on the RDMA port that leads to a peer.

#include <memory>
#include <string>

#include "engine/verbs_fabric.hpp"
#include "rdmactl/path/session.hpp"

namespace rdmaboot::rdmactl {

/// The NID of a peer as an administrator names it (path/address.hpp). Blocks as long as the
/// resolver does. Errors: a name that cannot be understood or resolved.
[[nodiscard]] core::Result<engine::Nid> resolve_peer(const std::string& text);

struct ClientOptions {
  std::string from;          ///< an address of this host; empty: that of the route
  std::string on;            ///< a device or a port of it to ask from; empty: any
  std::uint16_t port = 987;  ///< where the peer listens
};

/// Belongs to one thread.
class Client {
 public:
  /// Finds the port that leads to the peer, and starts an engine that listens to nobody.
  /// Errors: no RDMA port on the way; the kernel's LNet may be known under this host's address (it
  /// is not to be confused by a second host of that name: --from); those of open_verbs_fabric() and
  /// Engine::start().
  [[nodiscard]] static core::Result<std::unique_ptr<Client>> open(engine::Nid peer,
                                                                  const ClientOptions& options);

  [[nodiscard]] engine::Nid self() const { return engine_->settings().nid; }
  [[nodiscard]] std::string device() const { return engine_->device_name(); }
  [[nodiscard]] Session session() { return {*engine_, clock_, rest_}; }

 private:
  /// poll() on the engine's descriptor.
  class PollRest final : public Rest {
   public:
    explicit PollRest(const core::Clock& clock) : clock_(clock) {}
    void rest(const engine::Engine& engine, core::Microseconds until) override;

   private:
    const core::Clock& clock_;
  };
  Client() : rest_(clock_) {}

  core::MonotonicClock clock_;
  PollRest rest_;
  std::unique_ptr<engine::Fabric> fabric_;
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace rdmaboot::rdmactl
