// SPDX-License-Identifier: BSD-2-Clause
// rdmactl mapper

#include <iostream>
#include <memory>

#include "rdmactl/command_line.hpp"
#include "rdmactl/daemon_client.hpp"
#include "rdmactl/mapper.hpp"

namespace rdmaboot::rdmactl {

void add_mapper(CLI::App& program, Chosen& chosen) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* const verb = program.add_subcommand("mapper", "The iWARP port mapper's table");
  verb->add_flag("--json", *json, "Print JSON (docs/schemas/mapper.json)");
  verb->callback([json, &chosen] {
    chosen.action = [json]() -> core::Result<int> {
      const auto answer = ask_daemon(mapper_socket());
      if (!answer) {
        return tl::make_unexpected(answer.error());
      }
      std::cout << (*json ? answer->dump(2) + "\n" : mapper_text(*answer, standard_output()));
      return 0;
    };
  });
}

}  // namespace rdmaboot::rdmactl
