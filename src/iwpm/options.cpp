// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/options.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include <getopt.h>

namespace rdmaboot::iwpm {
namespace {

constexpr const char* kHelp =
    "iwpmd [--systemd] [--dump]\n"
    "iWARP port mapper: keeps the ports of iWARP connections apart from those of TCP, and tells "
    "peers\n"
    "which is which. Runs in the foreground.\n\n"
    "  --systemd  accepted for compatibility, it changes nothing\n"
    "  --dump     print the table of the running iwpmd as JSON\n"
    "  --help     print this\n"
    "  --version  print the version\n";

}  // namespace

core::Result<Verb> parse_options(int argc, char** argv) {
  const std::array<option, 5> known = {{{"systemd", no_argument, nullptr, 's'},
                                        {"dump", no_argument, nullptr, 'd'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {"version", no_argument, nullptr, 'v'},
                                        {nullptr, 0, nullptr, 0}}};
  Verb verb = Verb::kServe;
  optind = 0;
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, "sf", known.data(), nullptr)) != -1) {
    switch (choice) {
      case 's':
      case 'f':
        break;
      case 'd':
        verb = Verb::kDump;
        break;
      case 'h':
        static_cast<void>(std::fputs(kHelp, stdout));
        std::exit(EXIT_SUCCESS);
      case 'v':
        static_cast<void>(std::puts("iwpmd " RDMABOOT_VERSION));
        std::exit(EXIT_SUCCESS);
      default:
        return core::fail("read option", argv[optind - 1], 0, "see --help");
    }
  }
  if (optind < argc) {
    return core::fail("read argument", argv[optind], 0, "expected options only, see --help");
  }
  return verb;
}

}  // namespace rdmaboot::iwpm
