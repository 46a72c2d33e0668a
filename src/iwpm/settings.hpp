// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// /etc/iwpmd.conf: rdma-core's one key, and ours.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "iwpm/address.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

struct Settings {
  /// nl_sock_rbuf_size, bytes: receive buffer of the netlink socket. rdma-core ships 400 MiB; an
  /// overrun is no loss here, the kernel is asked again.
  std::uint32_t netlink_buffer = 8U << 20U;
  /// peer_timeout, seconds: how long a connect waits for a peer that says nothing.
  std::chrono::seconds peer_timeout{2};
  /// no_mapper_cache, seconds: how long a host is remembered for having no port mapper.
  std::chrono::seconds no_mapper_cache{5};
  /// silent_peer_cache, seconds: how long a host is remembered for not answering at all.
  std::chrono::seconds silent_peer_cache{60};
  /// rate_limit: requests of one source a second, 0 for no limit.
  std::uint32_t rate_limit = 2000;
  /// listen_address: where requests of peers are received; empty is every address.
  std::vector<Address> listen;
  /// allow_network: whose requests are answered; empty is everybody's.
  std::vector<Network> allow;

  [[nodiscard]] bool allows(const Address& peer) const;
};

/// What was read, and what was wrong with the rest (each error names the file and the line).
struct SettingsRead {
  Settings settings;
  std::vector<core::Error> errors;
};

/// Adds the text of one file to `read`: `key=value` lines, `#` begins a comment. Total.
void add_settings(std::string_view text, std::string_view file, SettingsRead& read);

/// Reads iwpmd.conf and iwpmd.conf.d/*.conf from /etc, /run, /usr/local/lib and /usr/lib below
/// `root`. Nothing there: the defaults.
[[nodiscard]] SettingsRead read_settings(const std::string& root = {});

}  // namespace rdmaboot::iwpm
