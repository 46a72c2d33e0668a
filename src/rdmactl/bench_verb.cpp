// SPDX-License-Identifier: BSD-2-Clause
// rdmactl bench PEER

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "rdmactl/command_line.hpp"
#include "rdmactl/path/bench.hpp"
#include "rdmactl/path/client.hpp"
#include "rdmactl/path_options.hpp"

namespace rdmaboot::rdmactl {
namespace {

struct Options {
  std::string peer;
  ClientOptions client;
  std::string size = "1M";
  unsigned depth = kUsualDepth;
  double time = 2;
  double timeout = 10;
  bool json = false;
};

/// A line of standard error that replaces itself, where that is a terminal.
class ProgressLine {
 public:
  explicit ProgressLine(std::size_t width) : width_(width) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    if (shown_) {
      std::cerr << kClear << std::flush;
    }
  }
  void show(const Progress& progress) {
    if (is_terminal_) {
      shown_ = true;
      std::cerr << kClear << progress_text(progress, width_ > 0 ? width_ - 1 : kUsualWidth)
                << std::flush;
    }
  }

 private:
  static constexpr const char* kClear = "\r\x1b[K";
  static constexpr std::size_t kUsualWidth = 79;
  bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
  std::size_t width_;
};

core::Result<int> bench(const Options& options) {
  BenchOptions wanted;
  const auto size = parse_size(options.size);
  const auto time = seconds(options.time, "--time");
  const auto timeout = seconds(options.timeout, "--timeout");
  if (!size) {
    return tl::make_unexpected(size.error());
  }
  if (!time || !timeout) {
    return tl::make_unexpected(!time ? time.error() : timeout.error());
  }
  wanted.size = *size;
  wanted.depth = options.depth;
  wanted.time = *time;
  wanted.timeout = *timeout;
  const auto peer = resolve_peer(options.peer);
  if (!peer) {
    return tl::make_unexpected(peer.error());
  }
  wanted.peer = *peer;
  Bench bench(wanted);  // before the engine, which may write to its memory until its end
  const auto client = Client::open(wanted.peer, options.client);
  if (!client) {
    return tl::make_unexpected(client.error());
  }
  const engine::Nid self = (*client)->self();
  const std::string device = (*client)->device();
  const Terminal terminal = standard_output();
  if (!options.json) {
    std::cout << "bench " << to_string(wanted.peer) << " from " << to_string(self) << " on "
              << device << '\n'
              << std::flush;
  }
  Session session = (*client)->session();
  core::Result<std::vector<Measured>> results;
  {
    ProgressLine line(terminal.width);
    results = bench.run(session, [&](const Progress& progress) { line.show(progress); });
  }
  if (!results) {
    return tl::make_unexpected(results.error());
  }
  std::cout << (options.json ? bench_json(*results, self, wanted.peer, device).dump(2) + "\n"
                             : bench_text(*results, terminal));
  return 0;
}

}  // namespace

void add_bench(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb = program.add_subcommand(
      "bench", "How fast data goes to a peer's rdma-responder and back, and that it is right");
  verb->add_option("PEER", options->peer, "A NID (10.0.0.1@o2ib), an address or a host")
      ->required();
  verb->add_option("--size", options->size, "Of the transfers for bandwidth: bytes, 64K, 1M")
      ->type_name("SIZE");
  verb->add_option("--depth", options->depth, "So many of them at once; 4 if it is not said")
      ->check(CLI::Range(1U, kDeepest))
      ->type_name("N");
  verb->add_option("--time", options->time, "Of each of the four measurements; 2")
      ->type_name("SECONDS");
  verb->add_option("--timeout", options->timeout, "Give up a transfer after so long; 10")
      ->type_name("SECONDS");
  add_client_options(*verb, options->client);
  verb->add_flag("--json", options->json, "Print JSON (docs/schemas/bench.json)");
  verb->callback([options, &chosen] { chosen.action = [options] { return bench(*options); }; });
}

}  // namespace rdmaboot::rdmactl
