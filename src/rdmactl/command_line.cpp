// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/command_line.hpp"

#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.hpp"
#include "rdmactl/completion.hpp"

namespace rdmaboot::rdmactl {

namespace {

/// The library would only say that a verb is missing.
core::Result<void> check_verb(const CLI::App& program, int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') {
    return {};
  }
  std::string verbs;
  for (const CLI::App* const verb : program.get_subcommands({})) {
    if (verb->get_name() == argv[1]) {
      return {};
    }
    verbs += (verbs.empty() ? "one of " : ", ") + verb->get_name();
  }
  return core::fail("understand verb", core::printable(argv[1]), 0, verbs);
}

}  // namespace

core::Result<int> run(int argc, const char* const* argv) {
  CLI::App program("See, check, time and test the RDMA devices of this host.", "rdmactl");
  program.set_version_flag("--version", "rdmactl " RDMABOOT_VERSION);
  program.require_subcommand(1);
  program.footer("Exit status: 0 fine, 1 an error, 2 something was found or is not there yet.");
  Chosen chosen;
  add_status(program, chosen);
  add_doctor(program, chosen);
  add_monitor(program, chosen);
  add_metrics(program, chosen);
  add_mapper(program, chosen);
  add_ping(program, chosen);
  add_bench(program, chosen);
  add_peers(program, chosen);
  add_modules(program, chosen);
  add_analyze(program, chosen);
  add_forwarded(program, chosen);
  if (argc >= 2 && std::string_view(argv[1]) == "--complete") {
    std::vector<std::string> words;  // one by one: g++ 12 takes a copied range for null pointers
    for (int i = 2; i < argc; ++i) {
      words.emplace_back(argv[i]);
    }
    for (const std::string& name : complete(program, words)) {
      std::cout << name << '\n';
    }
    return 0;
  }
  if (auto known = check_verb(program, argc, argv); !known) {
    return tl::make_unexpected(std::move(known).error());
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return program.exit(asked, std::cout, std::cerr);
  } catch (const CLI::ParseError& wrong) {
    return core::fail("understand the command line", "", 0, wrong.what());
  }
  return chosen.action();
}

}  // namespace rdmaboot::rdmactl
