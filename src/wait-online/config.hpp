// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// wait-online.conf: what rdma-wait-online(8) waits for when the command line does not say.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wait-online/targets.hpp"

namespace rdmaboot::wait_online {

/// Longest time to wait: a day. More is a typing error.
inline constexpr std::chrono::seconds kLongestTimeout{86400};

/// What was said, by the command line or by files; what was not is left to the other.
struct Settings {
  std::vector<Target> targets;
  std::optional<bool> one_is_enough;
  std::optional<device::Level> level;
  std::optional<device::AddressMatch> address;
  std::vector<std::string> peers;
  std::optional<std::chrono::seconds> timeout;  ///< 0: for ever
};

/// Parses "device", "chardev", "port", "address" or "path". Errors: anything else.
[[nodiscard]] core::Result<device::Level> parse_level(std::string_view text);

/// Adds a peer (path.hpp). Errors: no name of a peer; more than kMostPeers.
[[nodiscard]] core::Result<void> add_peer(std::string_view word, std::vector<std::string>& peers);

/// Parses seconds from 0 (for ever) to kLongestTimeout.
[[nodiscard]] core::Result<std::chrono::seconds> parse_timeout(std::string_view text);

/// Adds what one file says to `settings`; each wrong line is an Error that names `file` and the
/// line, and the good ones still apply. Section [Wait]: Targets= (words separated by spaces; adds
/// to those before, an empty one clears them), Require= (all, any), Level=, Address=, Peers= (as
/// Targets=), Timeout=. Total.
void parse_config(std::string_view text, std::string_view file, Settings& settings,
                  std::vector<core::Error>& errors);

/// Reads wait-online.conf and its drop-ins from the layers of /etc/rdma below `root`.
[[nodiscard]] Settings read_config(const std::string& root, std::vector<core::Error>& errors);

/// `first` where it says something, otherwise `second`, otherwise the defaults: all, level port. An
/// address without a level is one of level address, a peer one of level path.
/// Errors: level path without a peer.
[[nodiscard]] core::Result<Wanted> settle(const Settings& first, const Settings& second);

}  // namespace rdmaboot::wait_online
