// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/run.hpp"

#include <cerrno>
#include <cstdlib>

#include <unistd.h>

#include "ndd/daemon.hpp"
#include "program/log.hpp"
#include "program/notify.hpp"
#include "program/rest.hpp"

namespace rdmaboot::ndd {
namespace {

/// Room for a burst of events (bytes); an overrun costs a look at all devices, no more.
constexpr std::size_t kReceiveBuffer = 1U << 20U;

void notify(std::string_view state) {
  if (const auto sent = program::notify(state); !sent) {
    program::log(program::Level::kWarning, sent.error().message());
  }
}

}  // namespace

core::Result<int> run(const Options& options) {
  if (options.debug) {
    program::set_log_level(program::Level::kDebug);
  }
  auto tree = os::Tree::open("");
  if (!tree) {
    return tl::make_unexpected(tree.error());
  }
  SysfsHost host(std::move(*tree));
  const core::MonotonicClock clock;
  Seams seams;
  // After the rules, and filtered by the kernel: rules may rename a device, and the events of
  // everything else must not wake a daemon that has nothing to do.
  seams.subscribe = [] { return os::open_udev_monitor("udev", {"infiniband"}, kReceiveBuffer); };
  seams.read_config = [] {
    return device::read_description_config("", std::getenv("RDMA_NDD_ND_FORMAT"));
  };
  seams.notify = notify;
  seams.host = &host;
  seams.clock = &clock;
  seams.rest = program::release_program_text;
  Daemon daemon(std::move(seams));
  return daemon.run([&]() -> core::Result<void> {
    if (options.background && ::daemon(0, 0) != 0) {
      return core::fail("go", "into the background", errno);
    }
    return {};
  });
}

}  // namespace rdmaboot::ndd
