// SPDX-License-Identifier: BSD-2-Clause
// rdmactl modules [LIST...]

#include <cerrno>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "os/program_output.hpp"
#include "os/systemd_journal.hpp"
#include "program/log.hpp"
#include "rdmactl/command_line.hpp"
#include "rdmactl/module_plan.hpp"
#include "rdmactl/module_runs.hpp"

namespace rdmaboot::rdmactl {
namespace {

/// Longest plan that is read (bytes); one of all modules of a kernel has 5 MB.
constexpr std::size_t kPlanLimit = 64U << 20U;

struct Options {
  std::vector<std::string> lists;
  std::vector<std::string> modules;
  std::string root;
  std::string kernel;
  bool json = false;
  bool dot = false;
};

core::Result<std::string> ask_loader(const Options& options) {
  std::vector<std::string> words = {RDMABOOT_LIBEXEC "/rdma-load-modules", "--dry-run", "--format",
                                    "json"};
  for (const std::string& module : options.modules) {
    words.insert(words.end(), {"--module", module});
  }
  if (!options.root.empty()) {
    words.insert(words.end(), {"--root", options.root});
  }
  if (!options.kernel.empty()) {
    words.insert(words.end(), {"--kernel", options.kernel});
  }
  words.emplace_back("--");
  words.insert(words.end(), options.lists.begin(), options.lists.end());
  auto said = os::run_program(words, kPlanLimit, false);
  if (!said) {
    return tl::make_unexpected(std::move(said).error());
  }
  if (said->text.empty()) {
    return core::fail("make", "a plan", 0, "rdma-load-modules has said why");
  }
  return std::move(said->text);
}

/// None of another machine.
std::vector<ModuleRun> runs_of_this_boot(const Options& options) {
  if (!options.root.empty()) {
    return {};
  }
  if (auto access = os::journal_access(); !access && access.error().error_number == EACCES) {
    program::log(program::Level::kWarning, access.error().message());
  }
  const auto entries = os::read_journal(journal_about_modules());
  if (!entries) {
    program::log(program::Level::kWarning, entries.error().message());
    return {};
  }
  return module_runs(*entries);
}

core::Result<int> show(const Options& options) {
  const auto said = ask_loader(options);
  if (!said) {
    return tl::make_unexpected(said.error());
  }
  const auto plan = read_plan(*said, runs_of_this_boot(options));
  if (!plan) {
    return tl::make_unexpected(plan.error());
  }
  if (options.json) {
    std::cout << plan_json(*plan).dump(2) << '\n';
  } else {
    std::cout << (options.dot ? plan_dot(*plan) : plan_text(*plan, standard_output()));
  }
  return 0;
}

}  // namespace

void add_modules(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb = program.add_subcommand(
      "modules", "What would be loaded for lists, why, and what the last runs took");
  verb->add_option("LIST", options->lists, "Names of lists; rdma if none is named");
  verb->add_option("--module", options->modules, "This module too, a name or an alias")
      ->type_name("MODULE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--root", options->root, "Plan for the machine whose tree is below DIR")
      ->type_name("DIR");
  verb->add_option("--kernel", options->kernel, "Plan for this kernel instead of the running one")
      ->type_name("RELEASE");
  CLI::Option* const json =
      verb->add_flag("--json", options->json, "Print JSON (docs/schemas/modules.json)");
  verb->add_flag("--dot", options->dot, "Print a graph for dot(1)")->excludes(json);
  verb->callback([options, &chosen] { chosen.action = [options] { return show(*options); }; });
}

}  // namespace rdmaboot::rdmactl
