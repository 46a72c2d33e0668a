// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// /etc/rdma/responder.conf: where to listen, for whom, and how much of it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/engine/engine.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::responder {

/// Most entries of the allow-list.
inline constexpr std::size_t kMostAllowed = 1024;
/// Most wrong lines that are named; the rest is counted.
inline constexpr std::size_t kMostErrors = 20;

struct Settings {
  std::string netdev;                 ///< Device=: a network device; empty: any
  std::optional<std::uint32_t> ipv4;  ///< Address=: empty: the first that is on an RDMA port
  std::uint16_t network = 0;          ///< the number in "@o2ib0"
  std::uint16_t port = 987;
  std::vector<engine::AllowedPeers> allowed;  ///< besides this host itself
  std::uint64_t buffer = 1U << 20;            ///< bytes of the sink and of the source, each
  std::uint32_t max_peers = 256;
  std::uint32_t max_connections = 256;
  std::uint32_t max_connections_of_a_peer = 8;
  std::uint64_t max_memory = 64U << 20;  ///< bytes that the engine registers for itself
};

/// What was read, and what was wrong with the rest.
struct SettingsRead {
  Settings settings;
  std::vector<core::Error> errors;
};

/// Adds what one file says. Total: a wrong line adds an Error that names the file, the line and
/// what was expected; the good lines count.
void add_settings(std::string_view text, std::string_view file, SettingsRead& read);

/// Reads responder.conf and responder.conf.d/*.conf of /etc/rdma, /run/rdma and /usr/lib/rdma below
/// `root` ("" is this machine). Nothing there: the defaults.
[[nodiscard]] SettingsRead read_settings(const std::string& root = {});

}  // namespace rdmaboot::responder
