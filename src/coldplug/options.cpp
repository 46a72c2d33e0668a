// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/options.hpp"

#include <chrono>
#include <string>

#include "core/text.hpp"
#include "program/command_line.hpp"

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
  const auto take_timeout = [&options](const char* value) -> core::Result<void> {
    const auto seconds = core::parse_number<unsigned>(value);
    if (!seconds || *seconds == 0 || *seconds > kLongestTimeout) {
      return core::fail("read option", std::string("--timeout=") + value, 0,
                        "expected seconds from 1 to 86400");
    }
    options.timeout = std::chrono::seconds(*seconds);
    return {};
  };
  const auto read = program::read_command_line(argc, argv, "rdma-coldplug", kHelp,
                                               {{"timeout", true, take_timeout},
                                                program::flag("list", options.list),
                                                program::text("root", options.root)})
                        .and_then(program::expect_no_words);
  if (!read) {
    return tl::make_unexpected(read.error());
  }
  if (!options.root.empty() && !options.list) {
    return core::fail("read option", "--root", 0, "expected together with --list");
  }
  return options;
}

}  // namespace rdmaboot::coldplug
