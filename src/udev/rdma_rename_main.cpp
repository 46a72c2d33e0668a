// SPDX-License-Identifier: BSD-2-Clause
// rdma_rename: PROGRAM helper of 60-rdma-persistent-naming.rules. Like rdma_id it carries no
// logger, because a udev worker waits for it. Unlike rdma_id it uses syslog(3): udevd drops what a
// PROGRAM says on standard error, and an administrator has to hear that a name was taken.

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <syslog.h>

#include "core/text.hpp"
#include "udev/rdma_rename.hpp"

namespace {

void say(int priority, const std::string& text) {
  constexpr std::size_t kLongestMessage = 1024;
  ::syslog(priority, "%s", rdmaboot::core::printable(text, kLongestMessage).c_str());
}

/// One line for whoever called; the exit status.
int print(const std::string& line) {
  return std::puts(line.c_str()) >= 0 && std::fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

rdmaboot::core::Result<rdmaboot::udev::RenameOutcome> run(
    const rdmaboot::udev::RenameRequest& request) {
  if (request.policy == rdmaboot::udev::NamePolicy::kKernel) {
    return rdmaboot::udev::RenameOutcome{request.device, false, "the policy is to leave it alone"};
  }
  const rdmaboot::core::MonotonicClock clock;
  auto channel = request.root.empty() ? rdmaboot::os::open_rdma_netlink_channel() : nullptr;
  return rdmaboot::udev::rename_device(request, std::move(channel), clock);
}

}  // namespace

int main(int argc, char** argv) {
  ::openlog("rdma_rename", LOG_PERROR | LOG_PID, LOG_DAEMON);
  const auto request =
      rdmaboot::udev::parse_rename_arguments({argv, static_cast<std::size_t>(argc)});
  if (request && request->help) {
    return print(rdmaboot::udev::rename_usage());
  }
  const auto outcome = request.and_then(run);
  if (!outcome) {
    // A device that was unplugged at once is nothing to worry about.
    const int error = outcome.error().error_number;
    say(error == ENODEV || error == ENOENT ? LOG_INFO : LOG_ERR, outcome.error().message());
    return EXIT_FAILURE;
  }
  if (outcome->changed && !request->dry_run) {
    say(LOG_INFO, "renamed " + request->device + " to " + outcome->name);
  } else if (request->verbose && !outcome->reason.empty()) {
    say(LOG_INFO, request->device + " keeps its name: " + outcome->reason);
  }
  return outcome->reason.empty() || request->dry_run ? print(outcome->name) : EXIT_SUCCESS;
}
