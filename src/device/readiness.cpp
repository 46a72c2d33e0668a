// SPDX-License-Identifier: BSD-2-Clause
#include "device/readiness.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/text.hpp"

namespace rdmaboot::device {
namespace {

constexpr unsigned kGidBits = 128;
/// ::ffff:a.b.c.d: the bits before the IPv4 address.
constexpr unsigned kMappedBits = 96;

Verdict not_yet(std::string missing) {
  return {Readiness::kNotYet, std::move(missing)};
}

const Verdict kReadyVerdict{Readiness::kReady, {}};

bool is_infiniband(Protocol protocol) {
  return protocol == Protocol::kInfiniBand || protocol == Protocol::kOpa;
}

Verdict judge_node(const std::string& path, CharacterDeviceKind kind, const HostFacts& facts) {
  const auto found = facts.nodes.find(path);
  const int error = found == facts.nodes.end() ? ENOENT : found->second;
  if (error == 0) {
    return kReadyVerdict;
  }
  if (error == ENOENT || error == ENXIO || error == ENODEV) {
    return not_yet(path + " is not there");
  }
  // EPERM is a device policy around this program, not around those who will use the node. umad is
  // for root alone, so EACCES is all that others ever see of it.
  if (error == EPERM || (error == EACCES && kind == CharacterDeviceKind::kUmad)) {
    return kReadyVerdict;
  }
  return not_yet(path + " does not open: " + std::strerror(error));
}

Verdict judge_nodes(const Device& device, const Port* port, const HostFacts& facts) {
  const auto is_uverbs = [](const CharacterDevice& node) {
    return node.kind == CharacterDeviceKind::kUverbs;
  };
  const auto& nodes = device.character_devices;
  if (std::none_of(nodes.begin(), nodes.end(), is_uverbs)) {
    return not_yet("no uverbs node, ib_uverbs is not loaded");
  }
  for (const CharacterDevice& node : nodes) {
    const bool of_this_port =
        node.kind == CharacterDeviceKind::kUmad && port != nullptr && node.port == port->number;
    // Never an issm node: opening it makes the fabric believe in a subnet manager here.
    if (!is_uverbs(node) && !of_this_port) {
      continue;
    }
    if (Verdict verdict = judge_node(node.node, node.kind, facts);
        verdict.readiness != Readiness::kReady) {
      return verdict;
    }
  }
  return judge_node(HostFacts::kConnectionManagerNode, CharacterDeviceKind::kUverbs, facts);
}

/// The netdevs of a port for a sentence: "netdev eth0", or empty.
std::string netdevs_of(const Port& port) {
  std::string text;
  for (const Netdev& netdev : port.netdevs) {
    text += (text.empty() ? "netdev " : ", ") + netdev.name;
  }
  return text;
}

Verdict judge_infiniband_state(PortState state, const Port& port) {
  const std::string text = "port " + std::string(name_of(state));
  switch (state) {
    case PortState::kInit:
      return not_yet(text + ", waiting for a subnet manager");
    case PortState::kArmed:
      return not_yet(text + ", the subnet manager has not made it active");
    default:
      return not_yet(text + (port.physical_state
                                 ? ", physical state " + std::string(name_of(*port.physical_state))
                                 : std::string()));
  }
}

Verdict judge_port(const Port& port) {
  const bool disabled = port.physical_state == PhysicalState::kDisabled;
  if (disabled && port.link_layer == LinkLayer::kInfiniBand) {
    return {Readiness::kBroken, "port disabled"};
  }
  if (!port.state) {
    return not_yet("port in no known state");
  }
  if (*port.state != PortState::kActive && *port.state != PortState::kActiveDefer) {
    if (is_infiniband(port.protocol) || port.link_layer == LinkLayer::kInfiniBand) {
      return judge_infiniband_state(*port.state, port);
    }
    const std::string netdevs = netdevs_of(port);
    return not_yet("port " + std::string(name_of(*port.state)) +
                   (netdevs.empty() ? ", it has no netdev here"
                                    : ", " + netdevs + " is down or has no carrier"));
  }
  if (port.physical_state && *port.physical_state != PhysicalState::kLinkUp) {
    return not_yet("port " + std::string(name_of(*port.state)) + ", but its physical state is " +
                   std::string(name_of(*port.physical_state)));
  }
  return kReadyVerdict;
}

/// Whether an address says nothing about the network: fe80::/10, 169.254.0.0/16 (RFC 3927).
bool is_local(const Gid& address) {
  const auto& bytes = address.bytes;
  return address.is_link_local() || address.is_zero() ||
         (address.is_ipv4_mapped() && bytes[12] == 169 && bytes[13] == 254);
}

bool counts(const Gid& address, const std::optional<AddressMatch>& wanted) {
  return wanted ? wanted->matches(address) : !is_local(address);
}

bool gid_table_has(const Port& port, const std::optional<AddressMatch>& wanted) {
  return std::any_of(port.gids.begin(), port.gids.end(),
                     [&](const GidEntry& entry) { return counts(entry.gid, wanted); });
}

bool netdevs_have(const Port& port, const HostFacts& facts,
                  const std::optional<AddressMatch>& wanted) {
  return std::any_of(port.netdevs.begin(), port.netdevs.end(), [&](const Netdev& netdev) {
    const auto found = facts.netdev_addresses.find(netdev.name);
    return found != facts.netdev_addresses.end() &&
           std::any_of(found->second.begin(), found->second.end(),
                       [&](const Gid& address) { return counts(address, wanted); });
  });
}

Verdict judge_infiniband_address(const Port& port, const HostFacts& facts, const Demand& demand) {
  if (!port.lid || port.lid->is_zero()) {
    return not_yet("no LID, waiting for a subnet manager");
  }
  if (port.pkeys.empty()) {
    return not_yet("no P_Key");
  }
  // The GIDs of InfiniBand are made from GUIDs: an IP address is one of IP over InfiniBand.
  if (demand.address && !gid_table_has(port, demand.address) &&
      !netdevs_have(port, facts, demand.address)) {
    const std::string netdevs = netdevs_of(port);
    return not_yet("no address " + demand.address->text +
                   (netdevs.empty() ? ", the port has no netdev" : " on " + netdevs));
  }
  return kReadyVerdict;
}

Verdict judge_address(const Port& port, const HostFacts& facts, const Demand& demand) {
  if (is_infiniband(port.protocol)) {
    return judge_infiniband_address(port, facts, demand);
  }
  const std::string netdevs = netdevs_of(port);
  const std::string on = netdevs.empty() ? ", the port has no netdev" : " on " + netdevs;
  switch (port.protocol) {
    case Protocol::kIwarp:
      // Its GID is made from the MAC; who connects uses the IP address of the netdev.
      return netdevs_have(port, facts, demand.address)
                 ? kReadyVerdict
                 : not_yet((demand.address ? "no address " + demand.address->text
                                           : "no address but link-local ones") +
                           on);
    case Protocol::kEfa:
    case Protocol::kUsnic:
      // Their GIDs are their own, and link-local ones are all there is.
      if (!demand.address && !port.gids.empty()) {
        return kReadyVerdict;
      }
      break;
    default:
      break;
  }
  return gid_table_has(port, demand.address)
             ? kReadyVerdict
             : not_yet((demand.address ? "no GID for " + demand.address->text
                                       : "no GID but link-local ones") +
                       on);
}

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kDevice:
      return "device";
    case Level::kChardev:
      return "chardev";
    case Level::kPort:
      return "port";
    case Level::kAddress:
      return "address";
    case Level::kPath:
      break;
  }
  return "path";
}

std::string_view name_of(Readiness readiness) {
  switch (readiness) {
    case Readiness::kReady:
      return "ready";
    case Readiness::kNotYet:
      return "not yet";
    case Readiness::kBroken:
      break;
  }
  return "broken";
}

core::Result<AddressMatch> AddressMatch::parse(std::string_view text) {
  constexpr std::size_t kLongest = 64;  // of an IPv6 address with its prefix: 49
  constexpr std::string_view kExpected =
      "expected an IPv4 or IPv6 address, or a prefix such as 192.0.2.0/24";
  const auto refuse = [&](std::string_view expected) {
    return core::fail("read address", "\"" + core::printable(text, kLongest) + "\"", 0, expected);
  };
  if (text.size() > kLongest) {
    return refuse(kExpected);
  }
  const std::size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  const bool is_ipv4 = address.find(':') == std::string_view::npos;
  const auto gid = Gid::parse(is_ipv4 ? "::ffff:" + std::string(address) : std::string(address));
  if (!gid) {
    return refuse(kExpected);
  }
  AddressMatch match{*gid, kGidBits, std::string(text)};
  if (slash != std::string_view::npos) {
    const unsigned most = is_ipv4 ? kGidBits - kMappedBits : kGidBits;
    const auto bits = core::parse_number<unsigned>(text.substr(slash + 1));
    if (!bits || *bits > most) {
      return refuse("expected a prefix length from 0 to " + std::to_string(most));
    }
    match.prefix_bits = *bits + (is_ipv4 ? kMappedBits : 0);
  }
  if (match.value.is_link_local()) {
    return refuse("expected an address that is not link-local: every port has one of those");
  }
  return match;
}

bool AddressMatch::matches(const Gid& address) const {
  constexpr unsigned kByte = 8;
  const unsigned whole = prefix_bits / kByte;
  if (!std::equal(value.bytes.begin(), value.bytes.begin() + whole, address.bytes.begin())) {
    return false;
  }
  const unsigned rest = prefix_bits % kByte;
  if (rest == 0) {
    return true;
  }
  const unsigned differing =
      static_cast<unsigned>(value.bytes.at(whole)) ^ static_cast<unsigned>(address.bytes.at(whole));
  return differing >> (kByte - rest) == 0;
}

Verdict judge(const Device& device, const Port* port, const HostFacts& facts,
              const Demand& demand) {
  if (facts.fatal_devices.contains(device.name)) {
    return {Readiness::kBroken, "the device has reported a fatal error"};
  }
  Verdict verdict = kReadyVerdict;
  if (demand.level >= Level::kChardev) {
    verdict = judge_nodes(device, port, facts);
  }
  if (demand.level >= Level::kPort && verdict.readiness == Readiness::kReady) {
    verdict = port != nullptr ? judge_port(*port) : not_yet("the device has shown no port");
  }
  if (demand.level >= Level::kAddress && verdict.readiness == Readiness::kReady) {
    verdict = judge_address(*port, facts, demand);
  }
  // What is disabled stays so whatever else is missing before.
  if (port != nullptr && demand.level >= Level::kPort && verdict.readiness == Readiness::kNotYet) {
    if (Verdict of_port = judge_port(*port); of_port.readiness == Readiness::kBroken) {
      return of_port;
    }
  }
  return verdict;
}

}  // namespace rdmaboot::device
