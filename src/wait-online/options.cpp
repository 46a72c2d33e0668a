// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/options.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <getopt.h>

namespace rdmaboot::wait_online {
namespace {

constexpr const char* kHelp =
    "rdma-wait-online [OPTIONS] [TARGET...]\n"
    "Waits until RDMA ports are ready, then ends.\n\n"
    "A target is DEVICE, DEVICE:PORT, netdev=NAME, pci=ADDRESS, all or any. Without one those of\n"
    "/etc/rdma/wait-online.conf are taken, and without these all ports that are there.\n\n"
    "  --level=LEVEL      device, chardev, port (default) or address\n"
    "  --address=IP[/N]   level address: this address, or one of this prefix\n"
    "  --any              one ready port is enough\n"
    "  --timeout=SECONDS  give up after this long (default 120, 0 is never)\n"
    "  --json             print the result as one JSON object\n"
    "  --quiet            print nothing, the exit status says it\n"
    "  --root=DIR         judge the tree of another machine, once, without waiting\n"
    "  --help             print this\n"
    "  --version          print the version\n\n"
    "Exit status: 0 ready, 1 not ready in time, 2 broken (port disabled, device failed).\n";

/// Takes a value that was understood into `into`.
template <typename T, typename Into>
core::Result<void> take(core::Result<T> value, Into& into) {
  if (!value) {
    return tl::make_unexpected(std::move(value).error());
  }
  into = std::move(*value);
  return {};
}

core::Result<void> take_option(int choice, const char* value, Options& options) {
  switch (choice) {
    case 'l':
      return take(parse_level(value), options.settings.level);
    case 'a':
      return take(device::AddressMatch::parse(value), options.settings.address);
    case 't':
      return take(parse_timeout(value), options.settings.timeout);
    case 'o':
      options.settings.one_is_enough = true;
      return {};
    case 'j':
      options.json = true;
      return {};
    case 'q':
      options.quiet = true;
      return {};
    default:
      options.root = value;
      return {};
  }
}

}  // namespace

core::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  const std::array<option, 10> known = {{{"level", required_argument, nullptr, 'l'},
                                         {"address", required_argument, nullptr, 'a'},
                                         {"timeout", required_argument, nullptr, 't'},
                                         {"any", no_argument, nullptr, 'o'},
                                         {"json", no_argument, nullptr, 'j'},
                                         {"quiet", no_argument, nullptr, 'q'},
                                         {"root", required_argument, nullptr, 'r'},
                                         {"help", no_argument, nullptr, 'h'},
                                         {"version", no_argument, nullptr, 'v'},
                                         {nullptr, 0, nullptr, 0}}};
  optind = 0;
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, "", known.data(), nullptr)) != -1) {
    if (choice == '?') {
      return core::fail("read option", argv[optind - 1], 0, "see --help");
    }
    if (choice == 'h') {
      static_cast<void>(std::fputs(kHelp, stdout));
      std::exit(EXIT_SUCCESS);
    }
    if (choice == 'v') {
      static_cast<void>(std::puts("rdma-wait-online " RDMABOOT_VERSION));
      std::exit(EXIT_SUCCESS);
    }
    if (auto taken = take_option(choice, optarg, options); !taken) {
      return tl::make_unexpected(std::move(taken).error());
    }
  }
  for (; optind < argc; ++optind) {
    auto target = parse_target(argv[optind]);
    if (!target) {
      return tl::make_unexpected(std::move(target).error());
    }
    if (options.settings.targets.size() >= kMostTargets) {
      return core::fail("add target", argv[optind], 0,
                        "expected at most " + std::to_string(kMostTargets) + " targets");
    }
    options.settings.targets.push_back(std::move(*target));
  }
  if (options.settings.address &&
      options.settings.level.value_or(device::Level::kAddress) != device::Level::kAddress) {
    return core::fail("read option", "--address", 0, "expected together with --level=address");
  }
  return options;
}

}  // namespace rdmaboot::wait_online
