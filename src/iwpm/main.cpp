// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/daemon.hpp"
#include "iwpm/dump_socket.hpp"
#include "iwpm/options.hpp"
#include "program/run_main.hpp"

int main(int argc, char** argv) {
  using namespace rdmaboot;
  return program::run_main([&]() -> core::Result<int> {
    const auto verb = iwpm::parse_options(argc, argv);
    if (!verb) {
      return tl::make_unexpected(verb.error());
    }
    return *verb == iwpm::Verb::kDump ? iwpm::print_dump() : iwpm::serve();
  });
}
