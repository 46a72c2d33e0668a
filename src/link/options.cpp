// SPDX-License-Identifier: BSD-2-Clause
#include "link/options.hpp"

#include <cstddef>
#include <string_view>
#include <utility>

#include "os/sysfs.hpp"
#include "program/command_line.hpp"

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

core::Result<Options> check_together(Options options, std::size_t words) {
  if (words == 0) {
    return core::fail("read arguments", "", 0, "expected apply, list or check, see --help");
  }
  if (words > (options.verb == Verb::kApply ? 2U : 1U)) {
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
  const auto words = program::read_command_line(
      argc, argv, "rdma-link", kHelp,
      {program::flag("if-changed", options.if_changed), program::flag("json", options.json),
       program::text("root", options.root)});
  if (!words) {
    return tl::make_unexpected(words.error());
  }
  if (!words->empty()) {
    const auto verb = verb_of(words->front());
    if (!verb) {
      return tl::make_unexpected(verb.error());
    }
    options.verb = *verb;
  }
  if (words->size() > 1) {
    options.netdev = os::base_name((*words)[1]);
  }
  return check_together(std::move(options), words->size());
}

}  // namespace rdmaboot::link
