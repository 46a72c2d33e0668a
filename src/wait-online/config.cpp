// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/config.hpp"

#include <utility>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::wait_online {
namespace {

using core::Error;

core::Result<bool> parse_require(std::string_view text) {
  if (text == "all" || text == "any") {
    return text == "any";
  }
  return core::fail("read", "\"" + core::printable(text) + "\"", 0, "expected \"all\" or \"any\"");
}

/// Takes a value, or adds the reason why not.
template <typename T>
void take(core::Result<T> value, std::optional<T>& into, std::vector<Error>& problems) {
  if (value) {
    into = std::move(*value);
  } else {
    problems.push_back(std::move(value).error());
  }
}

void take_targets(std::string_view value, Settings& settings, std::vector<Error>& problems) {
  const auto words = core::split(value, " \t,");
  if (words.empty()) {
    settings.targets.clear();
  }
  for (const std::string_view word : words) {
    auto target = parse_target(word);
    if (!target) {
      problems.push_back(std::move(target).error());
    } else if (settings.targets.size() >= kMostTargets) {
      problems.push_back(core::fail("add target", word, 0,
                                    "expected at most " + std::to_string(kMostTargets) + " targets")
                             .value());
      return;
    } else {
      settings.targets.push_back(std::move(*target));
    }
  }
}

void take_peers(std::string_view value, Settings& settings, std::vector<Error>& problems) {
  const auto words = core::split(value, " \t,");
  if (words.empty()) {
    settings.peers.clear();
  }
  for (const std::string_view word : words) {
    if (auto added = add_peer(word, settings.peers); !added) {
      problems.push_back(std::move(added).error());
    }
  }
}

void take_entry(const core::IniEntry& entry, Settings& settings, std::vector<Error>& problems) {
  if (entry.section != "Wait") {
    problems.push_back(
        core::fail("use section", "[" + core::printable(entry.section) + "]", 0, "expected [Wait]")
            .value());
  } else if (entry.key == "Targets") {
    take_targets(entry.value, settings, problems);
  } else if (entry.key == "Require") {
    take(parse_require(entry.value), settings.one_is_enough, problems);
  } else if (entry.key == "Level") {
    take(parse_level(entry.value), settings.level, problems);
  } else if (entry.key == "Address") {
    take(device::AddressMatch::parse(entry.value), settings.address, problems);
  } else if (entry.key == "Peers") {
    take_peers(entry.value, settings, problems);
  } else if (entry.key == "Timeout") {
    take(parse_timeout(entry.value), settings.timeout, problems);
  } else {
    problems.push_back(core::fail("use key", "\"" + core::printable(entry.key) + "\"", 0,
                                  "expected Targets, Require, Level, Address, Peers or Timeout")
                           .value());
  }
}

}  // namespace

core::Result<device::Level> parse_level(std::string_view text) {
  for (const device::Level level :
       {device::Level::kDevice, device::Level::kChardev, device::Level::kPort,
        device::Level::kAddress, device::Level::kPath}) {
    if (text == name_of(level)) {
      return level;
    }
  }
  return core::fail("read level", "\"" + core::printable(text) + "\"", 0,
                    "expected device, chardev, port, address or path");
}

core::Result<std::chrono::seconds> parse_timeout(std::string_view text) {
  const auto seconds = core::parse_number<unsigned>(text);
  if (!seconds || std::chrono::seconds(*seconds) > kLongestTimeout) {
    return core::fail(
        "read time-out", "\"" + core::printable(text) + "\"", 0,
        "expected seconds from 0 (for ever) to " + std::to_string(kLongestTimeout.count()));
  }
  return std::chrono::seconds(*seconds);
}

void parse_config(std::string_view text, std::string_view file, Settings& settings,
                  std::vector<Error>& errors) {
  core::IniFile ini = core::parse_ini(text, file);
  std::move(ini.errors.begin(), ini.errors.end(), std::back_inserter(errors));
  for (const core::IniEntry& entry : ini.entries) {
    std::vector<Error> problems;
    take_entry(entry, settings, problems);
    for (Error& problem : problems) {
      problem.attempt =
          std::string(file) + ":" + std::to_string(entry.line) + ": " + problem.attempt;
      errors.push_back(std::move(problem));
    }
  }
}

Settings read_config(const std::string& root, std::vector<Error>& errors) {
  Settings settings;
  core::ConfigFiles files =
      core::find_config(core::ConfigLayers::rdma({}, root), "wait-online.conf");
  std::move(files.errors.begin(), files.errors.end(), std::back_inserter(errors));
  for (const std::string& path : files.paths) {
    if (const auto text = core::read_file(path)) {
      parse_config(*text, path, settings, errors);
    } else {
      errors.push_back(text.error());
    }
  }
  return settings;
}

core::Result<void> add_peer(std::string_view word, std::vector<std::string>& peers) {
  auto peer = parse_peer(word);
  if (!peer) {
    return tl::make_unexpected(std::move(peer).error());
  }
  if (peers.size() >= kMostPeers) {
    return core::fail("add peer", word, 0,
                      "expected at most " + std::to_string(kMostPeers) + " peers");
  }
  peers.push_back(std::move(*peer));
  return {};
}

core::Result<Wanted> settle(const Settings& first, const Settings& second) {
  Wanted wanted;
  wanted.targets = first.targets.empty() ? second.targets : first.targets;
  if (wanted.targets.empty()) {
    wanted.targets.push_back({Target::Kind::kAll, {}, std::nullopt, "all"});
  }
  wanted.one_is_enough =
      first.one_is_enough.value_or(first.targets.empty() && second.one_is_enough.value_or(false));
  wanted.demand.address = first.address ? first.address : second.address;
  wanted.peers = first.peers.empty() ? second.peers : first.peers;
  const auto told_by = [](const Settings& settings) {
    return settings.level            ? settings.level
           : !settings.peers.empty() ? std::optional(device::Level::kPath)
           : settings.address        ? std::optional(device::Level::kAddress)
                                     : std::nullopt;
  };
  const auto level = told_by(first);
  wanted.demand.level = level ? *level : told_by(second).value_or(device::Level::kPort);
  if (wanted.demand.level == device::Level::kPath && wanted.peers.empty()) {
    return core::fail("wait for level", "path", 0,
                      "expected a peer to ask: --peer, or Peers= in wait-online.conf");
  }
  return wanted;
}

}  // namespace rdmaboot::wait_online
