// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl ping`: LNet's ping over a connection of the engine, and what is told of it.

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmactl/path/session.hpp"

namespace rdmaboot::rdmactl {

struct PingOptions {
  engine::Nid peer;
  unsigned count = 3;
  core::Microseconds interval = std::chrono::seconds(1);  ///< from one ping to the next
  core::Microseconds timeout = std::chrono::seconds(5);   ///< of each
};

/// One ping and how it ended.
struct Ping {
  unsigned number = 0;     ///< from 1
  bool connected = false;  ///< a connection was there before: `took` is the way there and back
  core::Microseconds took{0};
  engine::TransferStatus status = engine::TransferStatus::kOk;
  std::string
      why;  ///< why there is no connection, as far as the engine knows; "" if it was answered
  engine::PingReply reply;

  [[nodiscard]] bool answered() const { return status == engine::TransferStatus::kOk; }
};

/// Asks the peer as often as wanted, also after a ping that was not answered.
/// @param told called with each ping when it ended
[[nodiscard]] std::vector<Ping> run_pings(Session& session, const PingOptions& options,
                                          const std::function<void(const Ping&)>& told = {});

/// Why a transfer to the peer did not end well: its status, and what the engine knows of the last
/// connection. Printable.
[[nodiscard]] std::string why_not(const engine::Engine& engine, engine::Nid peer,
                                  engine::TransferStatus status);

// ---- Pure

/// The line of one ping, with its end: "1: connected and answered in 3.1 ms", "2: 61 µs",
/// "3: no answer: timed out waiting for a connection (no reply in time)".
[[nodiscard]] std::string ping_line(const Ping& ping);

/// What follows the lines: how many were answered and how fast, and the NIDs of the peer.
[[nodiscard]] std::string ping_summary(const std::vector<Ping>& pings);

/// docs/schemas/ping.json. @param from the NID of this side; @param device the one it is on
[[nodiscard]] nlohmann::json ping_json(const std::vector<Ping>& pings, engine::Nid from,
                                       engine::Nid peer, const std::string& device);

}  // namespace rdmaboot::rdmactl
