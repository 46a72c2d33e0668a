// SPDX-License-Identifier: BSD-2-Clause
// Every parser of one attribute's text, on the same bytes. What was understood must come back from
// its own spelling.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "device/protocol.hpp"
#include "device/sysfs_reader.hpp"
#include "os/sysfs.hpp"
#include "rdmaboot/types.hpp"

namespace {

using namespace rdmaboot;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

template <typename T>
void round_trip(std::string_view text) {
  if (const auto value = T::parse(text)) {
    const auto again = T::parse(value->to_string());
    require(again && *again == *value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  round_trip<device::Gid>(text);
  round_trip<device::Guid>(text);
  round_trip<device::PKey>(text);
  round_trip<device::Lid>(text);
  if (const auto number = device::PortNumber::parse(text)) {
    require(number->value != 0);
  }
  if (const auto rate = device::LinkRate::parse(text)) {
    require(rate->megabits_per_second % 500 == 0);
  }
  if (const auto state = device::parse_port_state(text)) {
    require(device::name_of(*state) != "unknown");
  }
  if (const auto state = device::parse_physical_state(text)) {
    require(device::name_of(*state) != "unknown");
  }
  static_cast<void>(device::parse_node_type(text));
  static_cast<void>(device::parse_link_layer(text));
  static_cast<void>(device::parse_gid_type(text, device::LinkLayer::kEthernet));
  if (device::is_netdev_name(text)) {
    require(text.find('/') == std::string_view::npos && text != "..");
  }
  static_cast<void>(device::is_pci_address(text));
  const std::string path = os::resolve_link("/sys/class/infiniband", text);
  require(path.front() == '/' && path.find("/../") == std::string::npos);
  require(os::base_name(path).find('/') == std::string_view::npos);
  return 0;
}
