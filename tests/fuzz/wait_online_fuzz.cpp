// SPDX-License-Identifier: BSD-2-Clause
// link: wait-online-policy
// wait-online.conf, its targets and addresses: whatever the bytes are, what was understood is
// within its limits, every mistake names the file, and the answer of the predicate is one of three.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "wait-online/config.hpp"
#include "wait-online/report.hpp"
#include "wait-online/targets.hpp"

namespace {

using namespace rdmaboot;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

device::Snapshot machine() {
  device::Device device;
  device.name = "mlx5_0";
  device.pci_address = "0000:03:00.0";
  device::Port port;
  port.number = {1};
  port.protocol = device::Protocol::kRoce;
  port.state = device::PortState::kActive;
  port.gids.push_back({0, device::Gid::parse("::ffff:192.0.2.7").value(), {}, "eth0"});
  port.netdevs.push_back({"eth0", 2});
  device.ports.push_back(port);
  device::Snapshot snapshot;
  snapshot.devices.push_back(device);
  return snapshot;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  wait_online::Settings settings;
  std::vector<core::Error> errors;
  wait_online::parse_config(text, "wait-online.conf", settings, errors);
  for (const core::Error& error : errors) {
    require(error.message().find("wait-online.conf") != std::string::npos);
  }
  require(settings.targets.size() <= wait_online::kMostTargets);
  require(!settings.timeout || *settings.timeout <= wait_online::kLongestTimeout);
  if (settings.address) {
    require(settings.address->prefix_bits <= 128);
    require(settings.address->matches(settings.address->value));
  }
  if (auto target = wait_online::parse_target(text)) {
    require(!target->port || target->port->value > 0);
    settings.targets.push_back(std::move(*target));
  }
  require(settings.peers.size() <= wait_online::kMostPeers);
  const auto settled = wait_online::settle(settings, {});
  if (!settled) {
    require(settings.level == device::Level::kPath && settings.peers.empty());
    return 0;
  }
  const wait_online::Wanted& wanted = *settled;
  require(!wanted.targets.empty());
  static const device::Snapshot snapshot = machine();
  const auto evaluation = wait_online::evaluate(wanted, snapshot, {});
  require(!evaluation.lines.empty());
  if (wait_online::summary(evaluation).empty()) {
    require(evaluation.readiness == device::Readiness::kReady);
  }
  require(!wait_online::to_json(evaluation, wanted.demand.level, {}).empty());
  return 0;
}
