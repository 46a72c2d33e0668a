// SPDX-License-Identifier: BSD-2-Clause
// rdmactl metrics

#include <cerrno>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/file.hpp"
#include "device/host_facts.hpp"
#include "os/systemd_journal.hpp"
#include "program/log.hpp"
#include "rdmactl/command_line.hpp"
#include "rdmactl/daemon_client.hpp"
#include "rdmactl/metrics.hpp"

namespace rdmaboot::rdmactl {
namespace {

struct Options {
  std::string output;
  std::string root;
};

void warn(const core::Error& error) {
  program::log(program::Level::kWarning, error.message());
}

/// What a daemon tells; nothing if it does not. One that does not run is no fault: most hosts need
/// neither.
std::optional<nlohmann::json> answer_of(const DaemonSocket& daemon) {
  auto answer = ask_daemon(daemon);
  if (answer) {
    return std::move(*answer);
  }
  const int error = answer.error().error_number;
  if (error != ENOENT && error != ECONNREFUSED) {
    warn(answer.error());
  }
  return std::nullopt;
}

/// What only this machine can tell.
void ask_this_machine(MetricsFacts& facts) {
  if (auto access = os::journal_access(); !access && access.error().error_number == EACCES) {
    warn(access.error());
  }
  if (const auto entries = os::read_journal(journal_about_modules())) {
    facts.modules = last_runs(module_runs(*entries));
  } else {
    warn(entries.error());
  }
  facts.daemons_asked = true;
  facts.mapper = answer_of(mapper_socket());
  facts.responder = answer_of(responder_socket());
}

core::Result<int> write_metrics(const Options& options) {
  device::SnapshotOptions wanted;
  wanted.root = options.root;
  // It runs every minute, and verbs would open each device.
  wanted.verbs = false;
  const auto snapshot = device::take_snapshot(wanted);
  if (!snapshot) {
    return tl::make_unexpected(snapshot.error());
  }
  std::vector<core::Error> unread;
  const device::HostFacts host =
      options.root.empty()
          ? device::HostFactReader{}.read(*snapshot, device::Level::kAddress, unread)
          : device::HostFactReader::read_recorded(*snapshot, options.root);
  for (const core::Error& error : unread) {
    warn(error);
  }
  MetricsFacts facts;
  facts.snapshot = &*snapshot;
  facts.ports = judge_ports(*snapshot, host);
  for (const device::Device& device : snapshot->devices) {
    facts.counters[device.name] = read_counters(device, options.root);
  }
  if (options.root.empty()) {
    ask_this_machine(facts);
  }
  const std::string text = metrics_text(facts);
  if (options.output.empty()) {
    std::cout << text;
    return 0;
  }
  return core::replace_file(options.output, text).map([] { return 0; });
}

}  // namespace

void add_metrics(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb = program.add_subcommand(
      "metrics", "Ports, counters, modules and mapper for Prometheus (node_exporter's textfiles)");
  verb->add_option("--output", options->output, "Replace FILE in one step")->type_name("FILE");
  verb->add_option("--root", options->root, "Tell of the machine whose tree was saved below DIR")
      ->type_name("DIR");
  verb->callback(
      [options, &chosen] { chosen.action = [options] { return write_metrics(*options); }; });
}

}  // namespace rdmaboot::rdmactl
