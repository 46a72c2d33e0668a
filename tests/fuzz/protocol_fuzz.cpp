// SPDX-License-Identifier: BSD-2-Clause
// What sysfs says of a device, and the properties made of it. The input is a list of lines:
// node_type, netlink's word, driver, hca_type, board_id, then one link_layer a line.
#include <cstdint>
#include <cstdlib>
#include <string_view>

// link: udev-policy
#include "core/text.hpp"
#include "udev/id_properties.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot;
  const std::string_view input(static_cast<const char*>(static_cast<const void*>(data)), size);
  const auto lines = core::split(input, "\n");
  const auto line = [&lines](std::size_t at) {
    return at < lines.size() ? lines[at] : std::string_view{};
  };
  udev::IdFacts facts;
  facts.evidence.node_type = device::parse_node_type(line(0));
  if (!line(1).starts_with('-')) {
    facts.evidence.netlink = std::string(line(1));
  }
  facts.evidence.driver = line(2);
  facts.hca_type = line(3);
  facts.board_id = line(4);
  facts.has_parent_device = size % 2 == 0;
  facts.has_parent_netdev = size % 3 == 0;
  bool ethernet_only = lines.size() > 5;
  for (std::size_t i = 5; i < lines.size(); ++i) {
    const auto link = device::parse_link_layer(lines[i]);
    if (link) {
      facts.evidence.link_layers.push_back(*link);
    }
    ethernet_only = ethernet_only && link == device::LinkLayer::kEthernet;
  }
  const auto properties = udev::id_properties(facts);
  for (const auto& [key, value] : properties) {
    const bool unsafe = value.empty() || value.size() > udev::kPropertyValueLimit ||
                        value.find_first_of("\n\"'\\ $%") != std::string::npos;
    if (unsafe || (ethernet_only && key == "ID_RDMA_INFINIBAND")) {
      std::abort();
    }
  }
  return 0;
}
