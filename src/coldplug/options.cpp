// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/options.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include <getopt.h>

#include "core/text.hpp"

namespace rdmaboot::coldplug {
namespace {

// A day: more is a typing error.
constexpr unsigned kLongestTimeout = 86400;

constexpr const char* kHelp =
    "rdma-coldplug [--timeout=SECONDS] [--list [--root=DIR]]\n"
    "Waits at boot for RDMA devices that are certain to come, then ends.\n\n"
    "  --timeout=SECONDS  wait at most this long (default 30)\n"
    "  --list             print what would be waited for and do not wait\n"
    "  --root=DIR         with --list: read the tree of another machine\n"
    "  --help             print this\n"
    "  --version          print the version\n";

}  // namespace

core::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  const std::array<option, 6> known = {{{"timeout", required_argument, nullptr, 't'},
                                        {"list", no_argument, nullptr, 'l'},
                                        {"root", required_argument, nullptr, 'r'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {"version", no_argument, nullptr, 'v'},
                                        {nullptr, 0, nullptr, 0}}};
  optind = 0;
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, "", known.data(), nullptr)) != -1) {
    switch (choice) {
      case 't': {
        const auto seconds = core::parse_number<unsigned>(optarg);
        if (!seconds || *seconds == 0 || *seconds > kLongestTimeout) {
          return core::fail("read option", std::string("--timeout=") + optarg, 0,
                            "expected seconds from 1 to 86400");
        }
        options.timeout = std::chrono::seconds(*seconds);
        break;
      }
      case 'l':
        options.list = true;
        break;
      case 'r':
        options.root = optarg;
        break;
      case 'h':
        static_cast<void>(std::fputs(kHelp, stdout));
        std::exit(EXIT_SUCCESS);
      case 'v':
        static_cast<void>(std::puts("rdma-coldplug " RDMABOOT_VERSION));
        std::exit(EXIT_SUCCESS);
      default:
        return core::fail("read option", argv[optind - 1], 0, "see --help");
    }
  }
  if (optind < argc) {
    return core::fail("read argument", argv[optind], 0, "expected options only, see --help");
  }
  if (!options.root.empty() && !options.list) {
    return core::fail("read option", "--root", 0, "expected together with --list");
  }
  return options;
}

}  // namespace rdmaboot::coldplug
