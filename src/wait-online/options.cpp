// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/options.hpp"

#include <string>
#include <utility>
#include <vector>

#include "program/command_line.hpp"

namespace rdmaboot::wait_online {
namespace {

constexpr const char* kHelp =
    "rdma-wait-online [OPTIONS] [TARGET...]\n"
    "Waits until RDMA ports are ready, then ends.\n\n"
    "A target is DEVICE, DEVICE:PORT, netdev=NAME, pci=ADDRESS, all or any. Without one those of\n"
    "/etc/rdma/wait-online.conf are taken, and without these all ports that are there.\n\n"
    "  --level=LEVEL      device, chardev, port (default), address or path\n"
    "  --address=IP[/N]   from level address on: this address, or one of this prefix\n"
    "  --peer=NID|HOST    level path: ask this peer over RDMA; of several one has to answer\n"
    "  --any              one ready port is enough\n"
    "  --timeout=SECONDS  give up after this long (default 120, 0 is never)\n"
    "  --json             print the result as one JSON object\n"
    "  --quiet            print nothing, the exit status says it\n"
    "  --root=DIR         judge the tree of another machine, once, without waiting\n"
    "  --help             print this\n"
    "  --version          print the version\n\n"
    "Exit status: 0 ready, 1 not ready in time, 2 broken (port disabled, device failed).\n";

/// Takes a value that was understood into `into`.
template <typename T, typename Into>
core::Result<void> take(core::Result<T> value, Into& into) {
  if (!value) {
    return tl::make_unexpected(std::move(value).error());
  }
  into = std::move(*value);
  return {};
}

/// An option whose value `read` understands.
template <typename Read, typename Into>
program::Option valued(const char* name, Read read, Into& into) {
  return {name, true, [read, &into](const char* value) { return take(read(value), into); }};
}

core::Result<void> add_target(const std::string& word, std::vector<Target>& targets) {
  auto target = parse_target(word);
  if (!target) {
    return tl::make_unexpected(std::move(target).error());
  }
  if (targets.size() >= kMostTargets) {
    return core::fail("add target", word, 0,
                      "expected at most " + std::to_string(kMostTargets) + " targets");
  }
  targets.push_back(std::move(*target));
  return {};
}

}  // namespace

core::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  bool any = false;
  const auto words = program::read_command_line(
      argc, argv, "rdma-wait-online", kHelp,
      {valued("level", parse_level, options.settings.level),
       valued("address", device::AddressMatch::parse, options.settings.address),
       {"peer", true, [&](const char* word) { return add_peer(word, options.settings.peers); }},
       valued("timeout", parse_timeout, options.settings.timeout),
       program::flag("any", any),
       program::flag("json", options.json),
       program::flag("quiet", options.quiet),
       program::text("root", options.root)});
  if (!words) {
    return tl::make_unexpected(words.error());
  }
  if (any) {
    options.settings.one_is_enough = true;
  }
  for (const std::string& word : *words) {
    if (auto added = add_target(word, options.settings.targets); !added) {
      return tl::make_unexpected(std::move(added).error());
    }
  }
  const auto level = options.settings.level.value_or(device::Level::kPath);
  if (options.settings.address && level < device::Level::kAddress) {
    return core::fail("read option", "--address", 0,
                      "expected together with --level=address or --level=path");
  }
  if (!options.settings.peers.empty() && level != device::Level::kPath) {
    return core::fail("read option", "--peer", 0, "expected together with --level=path");
  }
  return options;
}

}  // namespace rdmaboot::wait_online
