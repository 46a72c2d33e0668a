// SPDX-License-Identifier: BSD-2-Clause
// rdmactl doctor

#include <iostream>
#include <memory>
#include <optional>

#include "core/text.hpp"
#include "program/log.hpp"
#include "rdmactl/command_line.hpp"
#include "rdmactl/doctor/archive.hpp"
#include "rdmactl/doctor/gather.hpp"
#include "rdmactl/doctor/report.hpp"

namespace rdmaboot::rdmactl {
namespace {

struct Options {
  std::string root;
  std::string from;
  std::string snapshot;
  std::vector<std::string> ignored;
  bool json = false;
};

core::Result<int> save(const Options& options) {
  doctor::Tree tree(options.root);
  std::vector<core::Error> notes;
  const auto examined = doctor::gather(tree, notes);
  if (!examined) {
    return tl::make_unexpected(examined.error());
  }
  doctor::record_devices(tree, examined->devices);
  if (auto saved = doctor::save_snapshot(tree.seen(), examined->live, options.snapshot); !saved) {
    return tl::make_unexpected(std::move(saved).error());
  }
  for (const core::Error& note : notes) {
    program::log(program::Level::kWarning, note.message());
  }
  std::cout << tree.seen().size() << " files and links in " << core::printable(options.snapshot)
            << '\n';
  return 0;
}

core::Result<int> examine(const Options& options) {
  std::string root = options.root;
  std::optional<doctor::PrivateDirectory> unpacked;
  if (!options.from.empty()) {
    auto made = doctor::PrivateDirectory::make();
    if (!made) {
      return tl::make_unexpected(std::move(made).error());
    }
    unpacked.emplace(std::move(*made));
    root = unpacked->path();
    if (auto done = doctor::unpack_snapshot(options.from, root); !done) {
      return tl::make_unexpected(std::move(done).error());
    }
  }
  doctor::Tree tree(root);
  std::vector<core::Error> notes;
  const auto examined = doctor::gather(tree, notes);
  if (!examined) {
    return tl::make_unexpected(examined.error());
  }
  const auto outcomes =
      doctor::run_checks(*examined, {options.ignored.begin(), options.ignored.end()});
  if (options.json) {
    std::cout << doctor::report_json(*examined, outcomes, notes).dump(2) << '\n';
  } else {
    for (const core::Error& note : notes) {
      program::log(program::Level::kWarning, note.message());
    }
    std::cout << doctor::report_text(outcomes, standard_output());
  }
  return doctor::found_any(outcomes) ? kFound : 0;
}

std::set<std::string> ids() {
  std::set<std::string> all;
  for (const doctor::Check& check : doctor::checks()) {
    all.emplace(check.id);
  }
  return all;
}

}  // namespace

void add_doctor(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb = program.add_subcommand("doctor", "Find what is wrong, and say what to do");
  CLI::Option* const snapshot =
      verb->add_option("--snapshot", options->snapshot,
                       "Save what is needed to examine this host elsewhere in FILE, a new one")
          ->type_name("FILE");
  CLI::Option* const from =
      verb->add_option("--from", options->from, "Examine the host whose snapshot is in FILE")
          ->type_name("FILE");
  verb->add_option("--root", options->root, "Examine the machine whose tree was saved below DIR")
      ->type_name("DIR")
      ->excludes(from);
  CLI::Option* const json =
      verb->add_flag("--json", options->json, "Print JSON (docs/schemas/doctor.json)");
  verb->add_option("--ignore", options->ignored, "Leave out these checks, separated by commas")
      ->type_name("ID")
      ->delimiter(',')
      ->check(CLI::IsMember(ids()));
  snapshot->excludes(from)->excludes(json);
  verb->callback([options, &chosen] {
    chosen.action = [options] {
      return options->snapshot.empty() ? examine(*options) : save(*options);
    };
  });
}

}  // namespace rdmaboot::rdmactl
