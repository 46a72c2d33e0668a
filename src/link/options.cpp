// SPDX-License-Identifier: BSD-2-Clause
#include "link/options.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <getopt.h>

#include "os/sysfs.hpp"

namespace rdmaboot::link {
namespace {

constexpr const char* kHelp =
    "rdma-link apply [--if-changed | INTERFACE]\n"
    "rdma-link list [--json]\n"
    "rdma-link check [--root=DIR]\n"
    "Makes the soft-RoCE and soft-iWARP links that links.d/*.conf declare.\n\n"
    "  apply           make what is declared, remove what rdma-link made and is not any more;\n"
    "                  with INTERFACE (a name or its path in sysfs) only there\n"
    "  list            print each link and how it stands\n"
    "  check           read the declarations and print what is wrong in them\n\n"
    "  --if-changed    with apply: do nothing if the declarations are those of the last time\n"
    "  --json          with list: print JSON\n"
    "  --root=DIR      with check: read the tree of another machine\n"
    "  --help          print this\n"
    "  --version       print the version\n";

core::Result<Verb> verb_of(std::string_view word) {
  if (word == "apply") {
    return Verb::kApply;
  }
  if (word == "list") {
    return Verb::kList;
  }
  if (word == "check") {
    return Verb::kCheck;
  }
  return core::fail("read argument", word, 0, "expected apply, list or check, see --help");
}

core::Result<Options> check_together(Options options, int words) {
  if (words == 0) {
    return core::fail("read arguments", "", 0, "expected apply, list or check, see --help");
  }
  if (words > (options.verb == Verb::kApply ? 2 : 1)) {
    return core::fail("read arguments", "", 0, "expected fewer, see --help");
  }
  if (options.if_changed && (options.verb != Verb::kApply || words > 1)) {
    return core::fail("read option", "--if-changed", 0, "expected together with apply alone");
  }
  if (options.json && options.verb != Verb::kList) {
    return core::fail("read option", "--json", 0, "expected together with list");
  }
  if (!options.root.empty() && options.verb != Verb::kCheck) {
    return core::fail("read option", "--root", 0, "expected together with check");
  }
  return options;
}

}  // namespace

core::Result<Options> parse_options(int argc, char** argv) {
  Options options;
  const std::array<option, 6> known = {{{"if-changed", no_argument, nullptr, 'c'},
                                        {"json", no_argument, nullptr, 'j'},
                                        {"root", required_argument, nullptr, 'r'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {"version", no_argument, nullptr, 'v'},
                                        {nullptr, 0, nullptr, 0}}};
  optind = 0;
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, "", known.data(), nullptr)) != -1) {
    switch (choice) {
      case 'c':
        options.if_changed = true;
        break;
      case 'j':
        options.json = true;
        break;
      case 'r':
        options.root = optarg;
        break;
      case 'h':
        static_cast<void>(std::fputs(kHelp, stdout));
        std::exit(EXIT_SUCCESS);
      case 'v':
        static_cast<void>(std::puts("rdma-link " RDMABOOT_VERSION));
        std::exit(EXIT_SUCCESS);
      default:
        return core::fail("read option", argv[optind - 1], 0, "see --help");
    }
  }
  const int words = argc - optind;
  if (words > 0) {
    const auto verb = verb_of(argv[optind]);
    if (!verb) {
      return tl::make_unexpected(verb.error());
    }
    options.verb = *verb;
  }
  if (words > 1) {
    options.netdev = os::base_name(argv[optind + 1]);
  }
  return check_together(std::move(options), words);
}

}  // namespace rdmaboot::link
