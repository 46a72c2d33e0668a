// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/options.hpp"

#include "program/command_line.hpp"

namespace rdmaboot::ndd {
namespace {

constexpr const char* kHelp =
    "rdma-ndd [--foreground | --systemd] [--debug]\n"
    "Keeps the node description of every RDMA device.\n\n"
    "  -f, --foreground  stay in the foreground\n"
    "  -s, --systemd     the same, for rdma-ndd.service\n"
    "  -d, --debug       say more\n"
    "  -h, --help        print this\n"
    "      --version     print the version\n";

}  // namespace

core::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  return program::read_command_line(argc, argv, "rdma-ndd", kHelp,
                                    {program::flag("foreground", options.background, false, 'f'),
                                     program::flag("systemd", options.background, false, 's'),
                                     program::flag("debug", options.debug, true, 'd')})
      .and_then(program::expect_no_words)
      .map([&options] { return options; });
}

}  // namespace rdmaboot::ndd
