// SPDX-License-Identifier: BSD-2-Clause
// rdmactl ping PEER

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "rdmactl/command_line.hpp"
#include "rdmactl/path/client.hpp"
#include "rdmactl/path/ping.hpp"
#include "rdmactl/path_options.hpp"

namespace rdmaboot::rdmactl {
namespace {

constexpr unsigned kMostPings = 10'000;

struct Options {
  std::string peer;
  ClientOptions client;
  unsigned count = PingOptions{}.count;
  double interval = 1;
  double timeout = 5;
  bool json = false;
};

core::Result<int> ping(const Options& options) {
  PingOptions wanted;
  wanted.count = options.count;
  const auto interval = seconds(options.interval, "--interval");
  const auto timeout = seconds(options.timeout, "--timeout");
  if (!interval || !timeout) {
    return tl::make_unexpected(!interval ? interval.error() : timeout.error());
  }
  wanted.interval = *interval;
  wanted.timeout = *timeout;
  const auto peer = resolve_peer(options.peer);
  if (!peer) {
    return tl::make_unexpected(peer.error());
  }
  wanted.peer = *peer;
  const auto client = Client::open(wanted.peer, options.client);
  if (!client) {
    return tl::make_unexpected(client.error());
  }
  const engine::Nid self = (*client)->self();
  const std::string device = (*client)->device();
  if (!options.json) {
    std::cout << "ping " << to_string(wanted.peer) << " from " << to_string(self) << " on "
              << device << '\n'
              << std::flush;
  }
  Session session = (*client)->session();
  const std::vector<Ping> pings = run_pings(session, wanted, [&](const Ping& one) {
    if (!options.json) {
      std::cout << ping_line(one) << std::flush;
    }
  });
  std::cout << (options.json ? ping_json(pings, self, wanted.peer, device).dump(2) + "\n"
                             : ping_summary(pings));
  const bool all =
      std::all_of(pings.begin(), pings.end(), [](const Ping& one) { return one.answered(); });
  return all ? 0 : kFound;
}

}  // namespace

void add_ping(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb =
      program.add_subcommand("ping", "Whether a peer answers over RDMA, and how fast");
  verb->add_option("PEER", options->peer, "A NID (10.0.0.1@o2ib), an address or a host")
      ->required();
  verb->add_option("--count", options->count, "So many pings; 3 if it is not said")
      ->check(CLI::Range(1U, kMostPings))
      ->type_name("N");
  verb->add_option("--interval", options->interval, "From one ping to the next; 1")
      ->type_name("SECONDS");
  verb->add_option("--timeout", options->timeout, "Wait so long for each answer; 5")
      ->type_name("SECONDS");
  add_client_options(*verb, options->client);
  verb->add_flag("--json", options->json, "Print JSON (docs/schemas/ping.json)");
  verb->callback([options, &chosen] { chosen.action = [options] { return ping(*options); }; });
}

}  // namespace rdmaboot::rdmactl
