// SPDX-License-Identifier: BSD-2-Clause
// Verbs that other programs of this package do: rdmactl runs them in its place, with what follows
// the verb as their arguments.

#include <cerrno>
#include <string>
#include <vector>

#include <unistd.h>

#include "rdmactl/command_line.hpp"

namespace rdmaboot::rdmactl {
namespace {

struct Forwarded {
  const char* verb;
  const char* summary;
  const char* program;
};

/// Becomes the program; returns only if that failed.
core::Result<int> become(const Forwarded& which, const std::vector<std::string>& rest) {
  std::vector<std::string> words{which.program};
  words.insert(words.end(), rest.begin(), rest.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  ::execv(which.program, pointers.data());
  return core::fail("run", which.program, errno);
}

}  // namespace

void add_forwarded(CLI::App& program, Chosen& chosen) {
  const std::vector<Forwarded> all = {
      {"wait", "Wait until ports are ready: rdma-wait-online(8)",
       RDMABOOT_SBIN "/rdma-wait-online"},
      {"link", "Declared soft-RoCE and soft-iWARP links: apply, list, check",
       RDMABOOT_LIBEXEC "/rdma-link"},
  };
  for (const Forwarded& one : all) {
    CLI::App* const verb = program.add_subcommand(one.verb, one.summary);
    verb->prefix_command();
    verb->set_help_flag();  // --help is the program's own
    verb->callback([one, verb, &chosen] {
      chosen.action = [one, rest = verb->remaining()] { return become(one, rest); };
    });
  }
}

}  // namespace rdmaboot::rdmactl
