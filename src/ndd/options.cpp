// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/options.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include <getopt.h>

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
  const std::array<option, 6> known = {{{"foreground", no_argument, nullptr, 'f'},
                                        {"systemd", no_argument, nullptr, 's'},
                                        {"debug", no_argument, nullptr, 'd'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {"version", no_argument, nullptr, 'v'},
                                        {nullptr, 0, nullptr, 0}}};
  optind = 0;
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, "fsdh", known.data(), nullptr)) != -1) {
    switch (choice) {
      case 'f':
      case 's':
        options.background = false;
        break;
      case 'd':
        options.debug = true;
        break;
      case 'h':
        static_cast<void>(std::fputs(kHelp, stdout));
        std::exit(EXIT_SUCCESS);
      case 'v':
        static_cast<void>(std::puts("rdma-ndd " RDMABOOT_VERSION));
        std::exit(EXIT_SUCCESS);
      default:
        return core::fail("read option", argv[optind - 1], 0, "see --help");
    }
  }
  if (optind < argc) {
    return core::fail("read argument", argv[optind], 0, "expected options only, see --help");
  }
  return options;
}

}  // namespace rdmaboot::ndd
