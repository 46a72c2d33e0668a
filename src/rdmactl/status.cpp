// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/status.hpp"

#include "core/text.hpp"
#include "rdmactl/table.hpp"

namespace rdmaboot::rdmactl {
namespace {

using device::Level;
using device::Readiness;

/// Longest node description is 64 bytes (IBTA NodeDescription); names are shorter.
constexpr std::size_t kTextLimit = 64;

/// What is missing is cut to this before other columns are left out: with the device's name as
/// argument it is told in full.
constexpr std::size_t kLeastMissing = 24;

std::string shown(std::string_view text) {
  return core::printable(text, kTextLimit);
}

Colour colour_of(Readiness readiness) {
  switch (readiness) {
    case Readiness::kReady:
      return Colour::kGreen;
    case Readiness::kNotYet:
      return Colour::kYellow;
    case Readiness::kBroken:
      break;
  }
  return Colour::kRed;
}

std::string netdevs_of(const device::Port& port) {
  std::string text;
  for (const device::Netdev& netdev : port.netdevs) {
    text += (text.empty() ? "" : ",") + shown(netdev.name);
  }
  return text;
}

/// ACTIVE, or with the physical state where that says more: "DOWN/Disabled".
std::string state_of(const device::Port& port) {
  if (!port.state) {
    return {};
  }
  std::string text(device::name_of(*port.state));
  const bool usual = *port.state == device::PortState::kActive &&
                     port.physical_state == device::PhysicalState::kLinkUp;
  if (!usual && port.physical_state) {
    text += "/" + std::string(device::name_of(*port.physical_state));
  }
  return text;
}

std::string rate_of(const device::Port& port) {
  if (!port.rate || port.rate->megabits_per_second == 0) {
    return {};
  }
  return speed_text(port.rate->megabits_per_second);
}

/// LIDs are of InfiniBand and Omni-Path.
std::string lid_of(const device::Port& port) {
  const bool has =
      port.protocol == device::Protocol::kInfiniBand || port.protocol == device::Protocol::kOpa;
  return has && port.lid ? port.lid->to_string() : std::string{};
}

std::vector<Cell> row_of(const PortStatus& status) {
  const device::Device& device = *status.device;
  const Colour colour = colour_of(status.readiness);
  std::vector<Cell> row{{"●", colour}, {name_of(status)}};
  if (status.port == nullptr) {
    row.push_back({std::string(protocol_name(device.protocol))});
    row.resize(row.size() + 6);
  } else {
    const device::Port& port = *status.port;
    row.push_back({std::string(protocol_name(port.protocol))});
    row.push_back({netdevs_of(port)});
    row.push_back({state_of(port)});
    row.push_back({rate_of(port)});
    row.push_back({port.active_mtu ? std::to_string(*port.active_mtu) : std::string{}});
    row.push_back({std::to_string(port.gids.size())});
    row.push_back({lid_of(port)});
  }
  row.push_back({status.reached ? std::string(device::name_of(*status.reached)) : "none", colour});
  row.push_back({device.node_description ? shown(*device.node_description) : std::string{}});
  row.push_back({status.missing, status.missing.empty() ? Colour::kNone : colour});
  return row;
}

}  // namespace

std::string speed_text(std::uint32_t megabits_per_second) {
  constexpr std::uint32_t kGiga = 1000;
  if (megabits_per_second < kGiga) {
    return std::to_string(megabits_per_second) + " Mb/s";
  }
  std::string text = std::to_string(megabits_per_second / kGiga);
  if (const std::uint32_t tenths = megabits_per_second % kGiga / 100; tenths != 0) {
    text += "." + std::to_string(tenths);
  }
  return text + " Gb/s";
}

std::string name_of(const PortStatus& port) {
  std::string name = shown(port.device->name);
  return port.port == nullptr ? name : name + ":" + std::to_string(port.port->number.value);
}

std::vector<PortStatus> judge_ports(const device::Snapshot& snapshot,
                                    const device::HostFacts& facts) {
  std::vector<PortStatus> all;
  const auto judge_one = [&](const device::Device& device, const device::Port* port) {
    PortStatus status{&device, port, std::nullopt, Readiness::kReady, {}};
    for (const Level level : {Level::kDevice, Level::kChardev, Level::kPort, Level::kAddress}) {
      const device::Verdict verdict = judge(device, port, facts, {level, std::nullopt});
      if (verdict.readiness != Readiness::kReady) {
        status.readiness = verdict.readiness;
        status.missing = core::printable(verdict.missing);
        break;
      }
      status.reached = level;
    }
    all.push_back(std::move(status));
  };
  for (const device::Device& device : snapshot.devices) {
    if (device.ports.empty()) {
      judge_one(device, nullptr);
    }
    for (const device::Port& port : device.ports) {
      judge_one(device, &port);
    }
  }
  return all;
}

std::string status_text(const std::vector<PortStatus>& ports, const Terminal& terminal) {
  if (ports.empty()) {
    return "No RDMA device.\n";
  }
  using enum Column::Side;
  Table table({{"", kLeft, 0},
               {"PORT", kLeft, 0},
               {"PROTOCOL", kLeft, 5},
               {"NETDEV", kLeft, 2},
               {"STATE", kLeft, 0},
               {"SPEED", kRight, 3},
               {"MTU", kRight, 7},
               {"GIDS", kRight, 6},
               {"LID", kRight, 4},
               {"READY", kLeft, 0},
               {"DESCRIPTION", kLeft, 8},
               {"NOT YET", kLeft, 0, kLeastMissing}});
  for (const PortStatus& port : ports) {
    table.add(row_of(port));
  }
  return table.text(terminal);
}

}  // namespace rdmaboot::rdmactl
