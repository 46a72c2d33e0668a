// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/targets.hpp"

#include <algorithm>
#include <cctype>

#include "core/text.hpp"
#include "device/sysfs_reader.hpp"
#include "os/rdma_netlink.hpp"

namespace rdmaboot::wait_online {
namespace {

using device::Device;
using device::Port;
using device::Readiness;
using Kind = Target::Kind;

/// Longest word that can be a target: two names of 64 bytes at most, escaped.
constexpr std::size_t kLongestTarget = 512;

/// The instance of a unit's name may be written as systemd-escape(1) does: netdev\x3deth0.
std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    constexpr std::size_t kEscape = 4;
    if (text.starts_with("\\x") && text.size() >= kEscape) {
      if (const auto byte = core::parse_number<unsigned char>(text.substr(2, 2), 16)) {
        out += static_cast<char>(*byte);
        text.remove_prefix(kEscape);
        continue;
      }
    }
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

/// Whether this can be the name of an RDMA device: an entry of a directory, printable.
bool is_device_name(std::string_view name) {
  return !name.empty() && name.size() <= os::kDeviceNameLimit && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c <= '~' && c != '/' && c != '='; });
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

core::Result<Target> refuse(std::string_view text, std::string_view expected) {
  return core::fail("read target", "\"" + core::printable(text) + "\"", 0, expected);
}

core::Result<Target> parse_device(std::string_view word, std::string_view text) {
  Target target;
  target.kind = Kind::kDevice;
  target.text = text;
  const std::size_t colon = word.rfind(':');
  target.name = word.substr(0, colon);
  if (colon != std::string_view::npos) {
    const auto port = device::PortNumber::parse(word.substr(colon + 1));
    if (!port) {
      return refuse(text, "expected a port number from 1 after the colon");
    }
    target.port = *port;
  }
  if (!is_device_name(target.name)) {
    return refuse(text,
                  "expected \"all\", \"any\", DEVICE, DEVICE:PORT, netdev=NAME or pci=ADDRESS");
  }
  return target;
}

bool belongs(const Port& port, const std::string& netdev) {
  return std::any_of(port.netdevs.begin(), port.netdevs.end(),
                     [&](const device::Netdev& own) { return own.name == netdev; });
}

bool names(const Target& target, const Device& device) {
  switch (target.kind) {
    case Kind::kDevice:
      return device.name == target.name;
    case Kind::kPci:
      return lower_case(device.pci_address) == target.name;
    default:
      return true;
  }
}

bool names(const Target& target, const Port& port) {
  return (!target.port || *target.port == port.number) &&
         (target.kind != Kind::kNetdev || belongs(port, target.name));
}

std::string_view nothing_there(const Target& target) {
  switch (target.kind) {
    case Kind::kNetdev:
      return "no RDMA port belongs to this netdev";
    case Kind::kPci:
      return "no RDMA device at this PCI address";
    case Kind::kDevice:
      return "no such device";
    default:
      return "no RDMA device is there";
  }
}

void judge_device(const Target& target, const Device& device, const Wanted& wanted,
                  const device::HostFacts& facts, const Paths& paths, std::vector<Line>& lines) {
  bool any = false;
  for (const Port& port : device.ports) {
    if (names(target, port)) {
      any = true;
      Line line{target.text, device.name, port.number,
                device::judge(device, &port, facts, wanted.demand)};
      if (wanted.demand.level == device::Level::kPath &&
          line.verdict.readiness == Readiness::kReady) {
        line.wants_path = true;
        line.verdict = verdict_of(paths, subject_of(line));
      }
      lines.push_back(std::move(line));
    }
  }
  if (any || target.kind == Kind::kNetdev) {
    return;
  }
  Line line{target.text, device.name, std::nullopt,
            device::judge(device, nullptr, facts, wanted.demand)};
  if (target.port) {
    line.port = target.port;
    line.verdict = {Readiness::kNotYet, "the device has no such port"};
  }
  lines.push_back(std::move(line));
}

/// All of a set, or one of it. An empty set is not ready.
Readiness combine(const std::vector<Readiness>& parts, bool one_is_enough) {
  const auto count = [&](Readiness readiness) {
    return static_cast<std::size_t>(std::count(parts.begin(), parts.end(), readiness));
  };
  if (parts.empty()) {
    return Readiness::kNotYet;
  }
  if (one_is_enough) {
    if (count(Readiness::kReady) > 0) {
      return Readiness::kReady;
    }
    return count(Readiness::kBroken) == parts.size() ? Readiness::kBroken : Readiness::kNotYet;
  }
  if (count(Readiness::kBroken) > 0) {
    return Readiness::kBroken;
  }
  return count(Readiness::kReady) == parts.size() ? Readiness::kReady : Readiness::kNotYet;
}

}  // namespace

core::Result<Target> parse_target(std::string_view text) {
  if (text.size() > kLongestTarget) {
    return refuse(text, "expected at most " + std::to_string(kLongestTarget) + " bytes");
  }
  constexpr std::string_view kNetdev = "netdev=";
  constexpr std::string_view kPci = "pci=";
  const std::string word = unescaped(text);
  Target target;
  target.text = text;
  if (word == "all") {
    return target;
  }
  if (word == "any") {
    target.kind = Kind::kAny;
    return target;
  }
  if (word.starts_with(kNetdev)) {
    target.kind = Kind::kNetdev;
    target.name = word.substr(kNetdev.size());
    if (!device::is_netdev_name(target.name)) {
      return refuse(text, "expected the name of a network device after \"netdev=\"");
    }
    return target;
  }
  if (word.starts_with(kPci)) {
    target.kind = Kind::kPci;
    target.name = lower_case(word.substr(kPci.size()));
    if (std::count(target.name.begin(), target.name.end(), ':') == 1) {
      target.name.insert(0, "0000:");
    }
    if (!device::is_pci_address(target.name)) {
      return refuse(text, "expected a PCI address such as 0000:03:00.0 after \"pci=\"");
    }
    return target;
  }
  return parse_device(word, text);
}

Evaluation evaluate(const Wanted& wanted, const device::Snapshot& snapshot,
                    const device::HostFacts& facts, const Paths& paths) {
  Evaluation evaluation;
  std::vector<Readiness> targets;
  for (const Target& target : wanted.targets) {
    std::vector<Line> lines;
    for (const Device& device : snapshot.devices) {
      if (names(target, device)) {
        judge_device(target, device, wanted, facts, paths, lines);
      }
    }
    if (lines.empty()) {
      lines.push_back({target.text,
                       {},
                       std::nullopt,
                       {Readiness::kNotYet, std::string(nothing_there(target))}});
    }
    std::vector<Readiness> ports;
    ports.reserve(lines.size());
    for (Line& line : lines) {
      ports.push_back(line.verdict.readiness);
      evaluation.lines.push_back(std::move(line));
    }
    targets.push_back(combine(ports, wanted.one_is_enough || target.kind == Kind::kAny));
  }
  evaluation.readiness = combine(targets, wanted.one_is_enough);
  return evaluation;
}

std::string subject_of(const Line& line) {
  if (line.device.empty()) {
    return line.target;
  }
  return line.port ? line.device + ":" + std::to_string(line.port->value) : line.device;
}

}  // namespace rdmaboot::wait_online
