// SPDX-License-Identifier: BSD-2-Clause
// rdmactl analyze blame|critical-chain|plot

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "core/text.hpp"
#include "os/systemd_journal.hpp"
#include "os/systemd_units.hpp"
#include "os/udev_facts.hpp"
#include "program/log.hpp"
#include "rdmaboot/device.hpp"
#include "rdmactl/command_line.hpp"
#include "rdmactl/timeline.hpp"

namespace rdmaboot::rdmactl {
namespace {

struct Options {
  std::string since;
  std::string unit = "rdma-hw.target";
  bool json = false;
};

void warn(const core::Error& error) {
  program::log(program::Level::kWarning, error.message());
}

std::vector<DeviceTimes> times_of_devices() {
  device::SnapshotOptions wanted;
  wanted.verbs = wanted.gids = wanted.pkeys = false;
  const auto snapshot = device::take_snapshot(wanted);
  if (!snapshot) {
    warn(snapshot.error());
    return {};
  }
  std::vector<DeviceTimes> all;
  for (const device::Device& device : snapshot->devices) {
    const auto facts = os::udev_facts("infiniband", device.name);
    if (!facts) {
      warn(facts.error());
      continue;
    }
    DeviceTimes times{device.name, facts->protocol, facts->initialized, core::Microseconds(0)};
    for (const device::CharacterDevice& node : device.character_devices) {
      const bool verbs = node.kind == device::CharacterDeviceKind::kUverbs;
      if (const auto known =
              os::udev_facts(verbs ? "infiniband_verbs" : "infiniband_mad", node.name)) {
        times.chardev = std::max(times.chardev, known->initialized);
      }
    }
    all.push_back(std::move(times));
  }
  return all;
}

core::Result<TimelineFacts> gather(const Options& options) {
  TimelineFacts facts;
  os::JournalQuery query = journal_about_modules();
  if (!options.since.empty()) {
    const auto now = std::chrono::duration_cast<core::Microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const auto since = parse_since(options.since, now);
    if (!since) {
      return tl::make_unexpected(since.error());
    }
    query.since = *since;
    const core::Microseconds ago = std::max(now - *since, core::Microseconds(0));
    facts.since = std::max(core::MonotonicClock{}.now() - ago, core::Microseconds(0));
  }
  auto units = os::unit_times({"rdma*", "iwpmd*", "*.service"});
  if (!units) {
    return tl::make_unexpected(std::move(units).error());
  }
  facts.units = std::move(*units);
  if (auto access = os::journal_access(); !access) {
    warn(access.error());
  }
  const auto entries = os::read_journal(query);
  if (!entries) {
    return tl::make_unexpected(entries.error());
  }
  facts.modules = module_runs(*entries);
  facts.devices = times_of_devices();
  return facts;
}

core::Result<int> blame(const Options& options) {
  return gather(options).map([&](const TimelineFacts& facts) {
    const std::vector<Bar> bars = bars_of(facts);
    std::cout << (options.json ? bars_json(bars).dump(2) + "\n"
                               : blame_text(bars, standard_output()));
    return 0;
  });
}

core::Result<int> plot(const Options& options) {
  return gather(options).map([](const TimelineFacts& facts) {
    std::cout << plot_svg(bars_of(facts));
    return 0;
  });
}

core::Result<int> show_chain(const Options& options) {
  const auto facts = gather(options);
  if (!facts) {
    return tl::make_unexpected(facts.error());
  }
  const std::vector<Step> chain = critical_chain(*facts, options.unit);
  if (chain.empty()) {
    return core::fail("find when it became active:", core::printable(options.unit), 0,
                      "systemd knows no activation of such a unit");
  }
  std::cout << chain_text(chain, standard_output());
  return 0;
}

}  // namespace

void add_analyze(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb =
      program.add_subcommand("analyze", "What RDMA cost: at boot, or since a moment");
  verb->require_subcommand(1);
  verb->fallthrough();  // --since may stand after blame, too
  verb->add_option("--since", options->since,
                   "Only what ended later: @SECONDS, -5min or \"2026-11-21 13:02:11\"")
      ->type_name("TIME");
  CLI::App* const first =
      verb->add_subcommand("blame", "Devices, modules and units, slowest first");
  first->add_flag("--json", options->json, "Print JSON (docs/schemas/analyze.json)");
  first->callback([options, &chosen] { chosen.action = [options] { return blame(*options); }; });
  CLI::App* const second =
      verb->add_subcommand("critical-chain", "What a unit waited for last, and what that did");
  second->add_option("UNIT", options->unit, "A unit; rdma-hw.target if none is named");
  second->callback(
      [options, &chosen] { chosen.action = [options] { return show_chain(*options); }; });
  CLI::App* const third = verb->add_subcommand("plot", "The same as an SVG picture");
  third->callback([options, &chosen] { chosen.action = [options] { return plot(*options); }; });
}

}  // namespace rdmaboot::rdmactl
