// SPDX-License-Identifier: BSD-2-Clause
#include "device/protocol.hpp"

#include <algorithm>
#include <cstddef>

#include "core/text.hpp"

namespace rdmaboot::device {
namespace {

/// The five words of the kernel's fill_dev_info() (drivers/infiniband/core/nldev.c).
Protocol from_netlink(std::string_view word) {
  if (word == "ib") {
    return Protocol::kInfiniBand;
  }
  if (word == "roce") {
    return Protocol::kRoce;
  }
  if (word == "iw") {
    return Protocol::kIwarp;
  }
  if (word == "opa") {
    return Protocol::kOpa;
  }
  if (word == "usnic") {
    return Protocol::kUsnic;
  }
  return Protocol::kUnknown;
}

/// What holds for all ports of a device because the node type says it; kUnknown where the ports of
/// one device may differ.
Protocol from_node_type(const ProtocolEvidence& evidence) {
  if (!evidence.node_type) {
    return Protocol::kUnknown;
  }
  switch (*evidence.node_type) {
    case NodeType::kRnic:
      return Protocol::kIwarp;
    case NodeType::kUsnic:
    case NodeType::kUsnicUdp:
      return Protocol::kUsnic;
    case NodeType::kUnspecified:
      return evidence.driver == "efa" ? Protocol::kEfa : Protocol::kUnknown;
    case NodeType::kCa:
    case NodeType::kSwitch:
    case NodeType::kRouter:
    case NodeType::kOther:
      break;
  }
  return Protocol::kUnknown;
}

bool has_infiniband_transport(NodeType type) {
  return type == NodeType::kCa || type == NodeType::kSwitch || type == NodeType::kRouter;
}

/// What the link of one port says on its own.
Protocol from_link(LinkLayer link, const ProtocolEvidence& evidence) {
  if (!evidence.node_type || !has_infiniband_transport(*evidence.node_type)) {
    return Protocol::kUnknown;
  }
  switch (link) {
    case LinkLayer::kInfiniBand:
      // sysfs shows Omni-Path as InfiniBand; where netlink is silent only the driver tells.
      return evidence.driver == "hfi1" ? Protocol::kOpa : Protocol::kInfiniBand;
    case LinkLayer::kEthernet:
      return evidence.netlink == std::string{} ? Protocol::kUnknown : Protocol::kRoce;
    case LinkLayer::kUnknown:
      break;
  }
  return Protocol::kUnknown;
}

bool fits(Protocol protocol, LinkLayer link) {
  const bool needs_own_link = protocol == Protocol::kInfiniBand || protocol == Protocol::kOpa;
  const bool needs_ethernet = protocol == Protocol::kRoce || protocol == Protocol::kIwarp;
  return !(needs_own_link && link == LinkLayer::kEthernet) &&
         !(needs_ethernet && link == LinkLayer::kInfiniBand);
}

}  // namespace

std::string_view protocol_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kInfiniBand:
      return "infiniband";
    case Protocol::kRoce:
      return "roce";
    case Protocol::kIwarp:
      return "iwarp";
    case Protocol::kOpa:
      return "opa";
    case Protocol::kUsnic:
      return "usnic";
    case Protocol::kEfa:
      return "efa";
    case Protocol::kUnknown:
      break;
  }
  return "unknown";
}

NodeType node_type_from_number(unsigned number) {
  return number <= static_cast<unsigned>(NodeType::kUnspecified) ? static_cast<NodeType>(number)
                                                                 : NodeType::kOther;
}

std::optional<NodeType> parse_node_type(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  const auto number = core::parse_number<unsigned>(text.substr(0, colon));
  if (!number) {
    return std::nullopt;
  }
  return node_type_from_number(*number);
}

std::optional<LinkLayer> parse_link_layer(std::string_view text) {
  const std::string_view word = core::trim(text);
  if (word == "InfiniBand") {
    return LinkLayer::kInfiniBand;
  }
  if (word == "Ethernet") {
    return LinkLayer::kEthernet;
  }
  constexpr std::size_t kLongestWord = 32;
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (word.empty() || word.size() > kLongestWord || !std::ranges::all_of(word, is_letter)) {
    return std::nullopt;
  }
  return LinkLayer::kUnknown;
}

std::vector<Protocol> decide_protocols(const ProtocolEvidence& evidence) {
  const Protocol whole_device = from_node_type(evidence);
  const Protocol said = evidence.netlink ? from_netlink(*evidence.netlink) : Protocol::kUnknown;
  // iWARP, OPA and usNIC are properties of the whole device, so what netlink says of the first port
  // holds for the others. mlx4 alone can have InfiniBand on one port and Ethernet on the other.
  const bool said_for_all =
      said == Protocol::kIwarp || said == Protocol::kOpa || said == Protocol::kUsnic;

  std::vector<LinkLayer> links = evidence.link_layers;
  if (links.empty()) {
    links.push_back(LinkLayer::kUnknown);
  }
  std::vector<Protocol> protocols;
  protocols.reserve(links.size());
  for (const LinkLayer link : links) {
    const bool netlink_speaks = protocols.empty() || said_for_all;
    if (netlink_speaks && said != Protocol::kUnknown && fits(said, link)) {
      protocols.push_back(said);
    } else if (whole_device != Protocol::kUnknown) {
      protocols.push_back(whole_device);
    } else {
      protocols.push_back(from_link(link, evidence));
    }
  }
  return protocols;
}

}  // namespace rdmaboot::device
