// SPDX-License-Identifier: BSD-2-Clause
#include "responder/settings.hpp"

#include <iterator>
#include <limits>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::responder {
namespace {

/// IFNAMSIZ of the kernel, without the end.
constexpr std::size_t kNetdevLimit = 15;
constexpr std::uint64_t kLargestBuffer = 1U << 30;
constexpr std::uint64_t kLeastMemory = 4U << 20;
constexpr std::uint64_t kMostMemory = std::uint64_t{64} << 30;

/// A number with K, M or G behind it, powers of 1024.
std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  unsigned shift = 0;
  if (!text.empty()) {
    const std::size_t unit = std::string_view("KMG").find(text.back());
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(unit) + 1);
      text.remove_suffix(1);
    }
  }
  const auto number = core::parse_number<std::uint64_t>(text);
  if (!number || *number > (std::numeric_limits<std::uint64_t>::max() >> shift)) {
    return std::nullopt;
  }
  return *number << shift;
}

template <typename Into>
std::string take_number(std::optional<std::uint64_t> number, std::uint64_t least,
                        std::uint64_t most, Into& into) {
  if (!number || *number < least || *number > most) {
    return "a number from " + std::to_string(least) + " to " + std::to_string(most);
  }
  into = static_cast<Into>(*number);
  return {};
}

std::string take_device(std::string_view value, Settings& settings) {
  const bool fits = !value.empty() && value.size() <= kNetdevLimit &&
                    value.find_first_of("/ \t") == std::string_view::npos;
  if (!fits || core::printable(value) != value) {
    return "the name of a network device";
  }
  settings.netdev = value;
  return {};
}

std::string take_address(std::string_view value, Settings& settings) {
  const auto nid = engine::parse_nid(value);
  if (!nid) {
    return "an address or a NID, such as 10.0.0.1 or 10.0.0.1@o2ib1";
  }
  settings.ipv4 = nid->ipv4();
  settings.network = nid->network();
  return {};
}

std::string take_allowed(std::string_view value, Settings& settings) {
  for (const std::string_view part : core::split(value, " ,\t")) {
    const auto peers = engine::parse_allowed_peers(part);
    if (!peers || settings.allowed.size() >= kMostAllowed) {
      return "at most " + std::to_string(kMostAllowed) +
             " NIDs and networks, such as 10.0.0.2@o2ib or 10.0.0.0/24@o2ib";
    }
    settings.allowed.push_back(*peers);
  }
  return {};
}

/// Returns what was expected instead; empty if all is well.
std::string take(std::string_view key, std::string_view value, Settings& settings) {
  const auto number = core::parse_number<std::uint64_t>(value);
  if (key == "Device") {
    return take_device(value, settings);
  }
  if (key == "Address") {
    return take_address(value, settings);
  }
  if (key == "Allow") {
    return take_allowed(value, settings);
  }
  if (key == "Port") {
    return take_number(number, 1, 65535, settings.port);
  }
  if (key == "Buffer") {
    return take_number(parse_bytes(value), 4096, kLargestBuffer, settings.buffer);
  }
  if (key == "MaxPeers") {
    return take_number(number, 1, 65536, settings.max_peers);
  }
  if (key == "MaxConnections") {
    return take_number(number, 1, 16384, settings.max_connections);
  }
  if (key == "MaxConnectionsOfAPeer") {
    return take_number(number, 1, 127, settings.max_connections_of_a_peer);
  }
  if (key == "MaxMemory") {
    return take_number(parse_bytes(value), kLeastMemory, kMostMemory, settings.max_memory);
  }
  return "one of Device, Address, Port, Allow, Buffer, MaxPeers, MaxConnections, "
         "MaxConnectionsOfAPeer, MaxMemory";
}

}  // namespace

void add_settings(std::string_view text, std::string_view file, SettingsRead& read) {
  core::IniFile ini = core::parse_ini(text, file);
  std::move(ini.errors.begin(), ini.errors.end(), std::back_inserter(read.errors));
  for (const core::IniEntry& entry : ini.entries) {
    const std::string expected = entry.section == "Responder"
                                     ? take(entry.key, core::trim(entry.value), read.settings)
                                     : "section [Responder]";
    if (!expected.empty()) {
      read.errors.push_back(core::fail("read line " + std::to_string(entry.line) + " of", file, 0,
                                       expected + ", not " + core::printable(entry.key) + "=" +
                                           core::printable(entry.value))
                                .value());
    }
  }
}

SettingsRead read_settings(const std::string& root) {
  core::ConfigFiles files = core::find_config(core::ConfigLayers::rdma("", root), "responder.conf");
  SettingsRead read;
  read.errors = std::move(files.errors);
  for (const std::string& path : files.paths) {
    if (const auto text = core::read_file(path)) {
      add_settings(*text, path, read);
    } else {
      read.errors.push_back(text.error());
    }
  }
  if (read.errors.size() > kMostErrors) {
    const std::size_t more = read.errors.size() - kMostErrors;
    read.errors.resize(kMostErrors);
    read.errors.push_back(
        core::fail("read configuration", "responder.conf", 0, std::to_string(more) + " more errors")
            .value());
  }
  return read;
}

}  // namespace rdmaboot::responder
