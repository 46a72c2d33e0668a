// SPDX-License-Identifier: BSD-2-Clause
#include "udev/id_properties.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace rdmaboot::udev {
namespace {

using device::Protocol;

/// Each protocol once, in the order of the ports; kUnknown is no protocol.
std::vector<Protocol> spoken(const device::ProtocolEvidence& evidence) {
  std::vector<Protocol> protocols;
  for (const Protocol protocol : device::decide_protocols(evidence)) {
    if (protocol != Protocol::kUnknown &&
        std::ranges::find(protocols, protocol) == protocols.end()) {
      protocols.push_back(protocol);
    }
  }
  return protocols;
}

/// The property that other software's rules look at; upstream's names where upstream has one.
std::string_view flag_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::kInfiniBand:
      return "ID_RDMA_INFINIBAND";
    case Protocol::kRoce:
      return "ID_RDMA_ROCE";
    case Protocol::kIwarp:
      return "ID_RDMA_IWARP";
    case Protocol::kOpa:
      return "ID_RDMA_OPA";
    case Protocol::kUsnic:
      return "ID_RDMA_USNIC";
    case Protocol::kEfa:
      return "ID_RDMA_EFA";
    case Protocol::kUnknown:
      break;
  }
  return {};
}

/// What a device without hardware under it is, or nothing.
std::string_view software_model(const IdFacts& facts, const std::vector<Protocol>& protocols) {
  if (facts.has_parent_device || protocols.size() != 1) {
    return {};
  }
  if (protocols.front() == Protocol::kRoce && facts.has_parent_netdev) {
    return "Soft-RoCE";
  }
  return protocols.front() == Protocol::kIwarp ? "Soft-iWARP" : std::string_view{};
}

}  // namespace

std::string property_value(std::string_view text) {
  constexpr std::string_view kAlsoSafe = "#+-.:=@_/";
  std::string value(core::trim(text).substr(0, kPropertyValueLimit));
  for (char& c : value) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      kAlsoSafe.find(c) != std::string_view::npos;
    if (!safe) {
      c = '_';
    }
  }
  return value;
}

std::vector<Property> id_properties(const IdFacts& facts) {
  const std::vector<Protocol> protocols = spoken(facts.evidence);
  std::vector<Property> properties;
  std::string names;
  for (const Protocol protocol : protocols) {
    properties.emplace_back(flag_of(protocol), "1");
    names += (names.empty() ? "" : ",");
    names += device::protocol_name(protocol);
  }
  properties.emplace_back("ID_RDMA_PROTOCOL",
                          names.empty() ? device::protocol_name(Protocol::kUnknown) : names);

  const auto add = [&properties](std::string_view key, std::string_view text) {
    if (std::string value = property_value(text); !value.empty()) {
      properties.emplace_back(key, std::move(value));
    }
  };
  add("ID_RDMA_DRIVER", facts.evidence.driver);
  add("ID_RDMA_BOARD_ID", facts.board_id);
  if (const std::string_view model = software_model(facts, protocols); !model.empty()) {
    add("ID_VENDOR", "Linux");
    add("ID_MODEL", model);
  } else {
    add("ID_MODEL", facts.hca_type);
  }
  return properties;
}

std::string format_properties(const std::vector<Property>& properties) {
  std::string lines;
  for (const auto& [key, value] : properties) {
    lines.append(key).append("=").append(value).append("\n");
  }
  return lines;
}

}  // namespace rdmaboot::udev
