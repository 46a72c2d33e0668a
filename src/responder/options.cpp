// SPDX-License-Identifier: BSD-2-Clause
#include "responder/options.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include <getopt.h>

namespace rdmaboot::responder {
namespace {

constexpr const char* kHelp =
    "rdma-responder [--debug]\n"
    "Answers LNet ping and benchmark transfers over RDMA. Runs in the foreground.\n\n"
    "  -d, --debug    say more\n"
    "  -h, --help     print this\n"
    "      --version  print the version\n";

}  // namespace

core::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  const std::array<option, 4> known = {{{"debug", no_argument, nullptr, 'd'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {"version", no_argument, nullptr, 'v'},
                                        {nullptr, 0, nullptr, 0}}};
  optind = 0;
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, "dh", known.data(), nullptr)) != -1) {
    switch (choice) {
      case 'd':
        options.debug = true;
        break;
      case 'h':
        static_cast<void>(std::fputs(kHelp, stdout));
        std::exit(EXIT_SUCCESS);
      case 'v':
        static_cast<void>(std::puts("rdma-responder " RDMABOOT_VERSION));
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

}  // namespace rdmaboot::responder
