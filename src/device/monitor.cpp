// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/monitor.hpp"

#include <utility>

#include "device/uevent.hpp"
#include "os/udev_monitor.hpp"

namespace rdmaboot::device {

struct Monitor::State {
  std::unique_ptr<os::UeventSource> source;
};

Monitor::Monitor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Monitor::Monitor(Monitor&&) noexcept = default;
Monitor& Monitor::operator=(Monitor&&) noexcept = default;
Monitor::~Monitor() = default;

core::Result<Monitor> Monitor::open(const MonitorOptions& options) {
  std::vector<std::string> subsystems = {"infiniband", "infiniband_verbs", "infiniband_mad"};
  if (options.netdevs) {
    subsystems.emplace_back("net");
  }
  auto source =
      os::open_udev_monitor(options.source == MonitorOptions::Source::kUdev ? "udev" : "kernel",
                            subsystems, options.receive_buffer);
  if (!source) {
    return tl::make_unexpected(std::move(source).error());
  }
  return Monitor(std::make_unique<State>(State{std::move(*source)}));
}

int Monitor::fd() const {
  return state_->source->fd();
}

core::Result<std::optional<Change>> Monitor::next() {
  return change_from(state_->source->receive());
}

}  // namespace rdmaboot::device
