// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/settings.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::iwpm {
namespace {

constexpr std::uint32_t kLargestBuffer = std::numeric_limits<std::int32_t>::max();
/// The kernel waits for 10 s.
constexpr std::uint32_t kLongestPeerTimeout = 10;
constexpr std::uint32_t kLongestCache = 3600;
constexpr std::uint32_t kHighestRate = 1'000'000;
/// Most addresses or networks of a list.
constexpr std::size_t kMostInList = 256;

/// Sets `into` if `value` is a number from `least` to `most`; otherwise says what was expected.
template <typename Into>
std::string take_number(std::string_view value, std::uint32_t least, std::uint32_t most,
                        Into& into) {
  const auto number = core::parse_number<std::uint32_t>(value);
  if (!number || *number < least || *number > most) {
    return "a number from " + std::to_string(least) + " to " + std::to_string(most);
  }
  into = Into(*number);
  return {};
}

/// Adds the items of `value` to `into`.
template <typename Item>
std::string take_list(std::string_view value, std::optional<Item> (*parse)(std::string_view),
                      std::vector<Item>& into, const char* expected) {
  for (const std::string_view part : core::split(value, " ,\t")) {
    const auto item = parse(part);
    if (!item || into.size() >= kMostInList) {
      return expected;
    }
    into.push_back(*item);
  }
  return {};
}

/// Returns what was expected instead; empty if all is well.
std::string take(const std::string& key, std::string_view value, Settings& settings) {
  if (key == "nl_sock_rbuf_size") {
    return take_number(value, 1, kLargestBuffer, settings.netlink_buffer);
  }
  if (key == "peer_timeout") {
    return take_number(value, 1, kLongestPeerTimeout, settings.peer_timeout);
  }
  if (key == "no_mapper_cache") {
    return take_number(value, 0, kLongestCache, settings.no_mapper_cache);
  }
  if (key == "silent_peer_cache") {
    return take_number(value, 0, kLongestCache, settings.silent_peer_cache);
  }
  if (key == "rate_limit") {
    return take_number(value, 0, kHighestRate, settings.rate_limit);
  }
  if (key == "listen_address") {
    return take_list(value, parse_ip, settings.listen, "at most 256 IP addresses");
  }
  if (key == "allow_network") {
    return take_list(value, parse_network, settings.allow,
                     "at most 256 networks such as 10.0.0.0/8 or fd00::/8");
  }
  return "one of nl_sock_rbuf_size, peer_timeout, no_mapper_cache, silent_peer_cache, rate_limit, "
         "listen_address, allow_network";
}

}  // namespace

bool Settings::allows(const Address& peer) const {
  return allow.empty() || std::any_of(allow.begin(), allow.end(), [&](const Network& network) {
           return network.contains(peer);
         });
}

void add_settings(std::string_view text, std::string_view file, SettingsRead& read) {
  core::IniFile ini = core::parse_ini(text, file);
  std::move(ini.errors.begin(), ini.errors.end(), std::back_inserter(read.errors));
  for (const core::IniEntry& entry : ini.entries) {
    const std::string_view value =
        core::trim(std::string_view(entry.value).substr(0, entry.value.find('#')));
    const std::string expected =
        entry.section.empty() ? take(entry.key, value, read.settings) : "no section";
    if (!expected.empty()) {
      read.errors.push_back(
          core::fail("read line " + std::to_string(entry.line) + " of", file, 0,
                     "expected " + expected + ", not " + entry.key + "=" + core::printable(value))
              .value());
    }
  }
}

SettingsRead read_settings(const std::string& root) {
  core::ConfigLayers layers;
  for (const char* const directory : {"/etc", "/run", "/usr/local/lib", "/usr/lib"}) {
    layers.directories.push_back(root + directory);
  }
  core::ConfigFiles files = core::find_config(layers, "iwpmd.conf");
  SettingsRead read;
  read.errors = std::move(files.errors);
  for (const std::string& path : files.paths) {
    if (const auto text = core::read_file(path)) {
      add_settings(*text, path, read);
    } else {
      read.errors.push_back(text.error());
    }
  }
  return read;
}

}  // namespace rdmaboot::iwpm
