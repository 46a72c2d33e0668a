// SPDX-License-Identifier: BSD-2-Clause
// rdmactl peers

#include <iostream>
#include <memory>

#include "rdmactl/command_line.hpp"
#include "rdmactl/daemon_client.hpp"
#include "rdmactl/peers.hpp"

namespace rdmaboot::rdmactl {

void add_peers(CLI::App& program, Chosen& chosen) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* const verb = program.add_subcommand("peers", "Whom rdma-responder talks to");
  verb->add_flag("--json", *json, "Print JSON (docs/schemas/peers.json)");
  verb->callback([json, &chosen] {
    chosen.action = [json]() -> core::Result<int> {
      const auto answer = ask_daemon(responder_socket());
      if (!answer) {
        return tl::make_unexpected(answer.error());
      }
      std::cout << (*json ? answer->dump(2) + "\n" : peers_text(*answer, standard_output()));
      return 0;
    };
  });
}

}  // namespace rdmaboot::rdmactl
