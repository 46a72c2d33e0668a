// SPDX-License-Identifier: BSD-2-Clause
// What rdma_rename parses, and the names made of it. The input is a list of lines: policy, fixed
// name, PCI address, virtfn link, sfnum, on-board number, node GUID, then the start of the
// configuration space.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// link: udev-policy
#include "core/text.hpp"
#include "udev/rename_policy.hpp"

namespace {

/// The text up to the next line end, which is taken away with it.
std::string_view take_line(std::string_view& input) {
  const std::string_view line = input.substr(0, input.find('\n'));
  input.remove_prefix(line.size() == input.size() ? line.size() : line.size() + 1);
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot;
  std::string_view input(static_cast<const char*>(static_cast<const void*>(data)), size);
  const auto policy = udev::parse_name_policy(take_line(input));
  const std::string_view fixed = take_line(input);
  udev::NameFacts facts;
  facts.current = "current0";
  facts.protocol = static_cast<device::Protocol>(size % 7);
  const auto address = udev::parse_pci_address(take_line(input));
  const auto virtual_function = udev::parse_virtual_function(take_line(input));
  const auto sub_function = udev::parse_attribute_number(take_line(input));
  if (address) {
    facts.pci = udev::PciLocation{*address, false, size % 2 == 0, virtual_function, sub_function};
  }
  facts.onboard_index = udev::parse_attribute_number(take_line(input));
  facts.node_guid = udev::parse_node_guid(take_line(input));
  if (facts.pci) {
    facts.pci->multi_function = udev::is_multi_function(input);
  }
  if (!policy) {
    return 0;
  }
  const auto choice = udev::choose_name(facts, *policy, fixed);
  // Whatever is chosen, the kernel and everybody who makes a path of it can bear.
  if (choice && !udev::check_device_name(choice->name)) {
    std::abort();
  }
  if (!choice && (*policy == udev::NamePolicy::kFallback || *policy == udev::NamePolicy::kKernel)) {
    std::abort();
  }
  return 0;
}
