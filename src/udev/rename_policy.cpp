// SPDX-License-Identifier: BSD-2-Clause
#include "udev/rename_policy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "core/text.hpp"
#include "os/rdma_netlink.hpp"

namespace rdmaboot::udev {
namespace {

using core::fail;
using core::Result;
using device::Protocol;

constexpr int kHex = 16;

constexpr std::array<std::pair<std::string_view, NamePolicy>, 6> kPolicies = {{
    {"NAME_KERNEL", NamePolicy::kKernel},
    {"NAME_FALLBACK", NamePolicy::kFallback},
    {"NAME_ONBOARD", NamePolicy::kOnboard},
    {"NAME_PCI", NamePolicy::kPci},
    {"NAME_GUID", NamePolicy::kGuid},
    {"NAME_FIXED", NamePolicy::kFixed},
}};

/// What names of a protocol begin with: the kernel's word for it, or "rdma" where it has none.
std::string_view prefix_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::kInfiniBand:
      return "ib";
    case Protocol::kRoce:
      return "roce";
    case Protocol::kIwarp:
      return "iw";
    case Protocol::kOpa:
      return "opa";
    case Protocol::kUsnic:
      return "usnic";
    case Protocol::kEfa:
    case Protocol::kUnknown:
      break;
  }
  return "rdma";
}

/// Exactly `digits` hexadecimal digits (small ones, as the kernel writes them) as a number.
template <typename T>
std::optional<T> fixed_hex(std::string_view text, std::size_t digits) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() != digits || !std::ranges::all_of(text, is_digit)) {
    return std::nullopt;
  }
  return core::parse_number<T>(text, kHex);
}

Result<std::string> onboard_name(const NameFacts& facts) {
  if (!facts.onboard_index) {
    return fail("name", facts.current, ENODATA, "expected a device with a number of the firmware");
  }
  if (*facts.onboard_index > kOnboardIndexLimit) {
    return fail("name", facts.current, ENODATA,
                "expected the firmware's number " + std::to_string(*facts.onboard_index) +
                    " to be at most " + std::to_string(kOnboardIndexLimit));
  }
  return std::string(prefix_of(facts.protocol)) + "o" + std::to_string(*facts.onboard_index);
}

Result<std::string> pci_name(const NameFacts& facts) {
  if (!facts.pci) {
    return fail("name", facts.current, ENODATA, "expected a device on a PCI bus");
  }
  const PciLocation& pci = *facts.pci;
  constexpr unsigned kFunctionsPerSlot = 8;
  const unsigned function =
      pci.address.function + (pci.ari ? pci.address.slot * kFunctionsPerSlot : 0U);
  std::string name(prefix_of(facts.protocol));
  const auto add = [&name](char letter, std::uint32_t number) {
    name += letter + std::to_string(number);
  };
  if (pci.address.domain != 0) {
    add('P', pci.address.domain);
  }
  add('p', pci.address.bus);
  add('s', pci.address.slot);
  if (function != 0 || pci.multi_function) {
    add('f', function);
  }
  if (pci.virtual_function) {
    add('v', *pci.virtual_function);
  }
  if (pci.sub_function) {
    add('S', *pci.sub_function);
  }
  return name;
}

Result<std::string> guid_name(const NameFacts& facts) {
  if (!facts.node_guid) {
    return fail("name", facts.current, ENODATA, "expected a node GUID that can be read");
  }
  if (*facts.node_guid == 0) {
    // Virtual functions have none until the administrator or the subnet manager gives them one.
    return fail("name", facts.current, ENODATA, "expected a node GUID other than 0");
  }
  std::array<char, kHex + 1> digits{};
  static_cast<void>(std::snprintf(digits.data(), digits.size(), "%016llx",
                                  static_cast<unsigned long long>(*facts.node_guid)));
  return std::string(prefix_of(facts.protocol)) + "x" + digits.data();
}

}  // namespace

std::optional<NamePolicy> parse_name_policy(std::string_view word) {
  const auto* const found =
      std::ranges::find(kPolicies, word, &std::pair<std::string_view, NamePolicy>::first);
  if (found == kPolicies.end()) {
    return std::nullopt;
  }
  return found->second;
}

std::optional<PciAddress> parse_pci_address(std::string_view text) {
  // DDDD:BB:SS.F, where the domain has further digits if it needs them.
  constexpr std::string_view kTail = ":00:00.0";
  constexpr std::size_t kDomainDigits = 4;
  constexpr std::size_t kMostDomainDigits = 8;
  constexpr std::uint8_t kSlots = 32;
  constexpr std::uint8_t kFunctions = 8;
  if (text.size() < kDomainDigits + kTail.size()) {
    return std::nullopt;
  }
  const std::size_t digits = text.size() - kTail.size();
  const std::string_view tail = text.substr(digits);
  if (digits > kMostDomainDigits || tail[0] != ':' || tail[3] != ':' || tail[6] != '.') {
    return std::nullopt;
  }
  const auto domain = fixed_hex<std::uint32_t>(text.substr(0, digits), digits);
  const auto bus = fixed_hex<std::uint8_t>(tail.substr(1, 2), 2);
  const auto slot = fixed_hex<std::uint8_t>(tail.substr(4, 2), 2);
  const auto function = fixed_hex<std::uint8_t>(tail.substr(7, 1), 1);
  if (!domain || !bus || !slot || !function || *slot >= kSlots || *function >= kFunctions) {
    return std::nullopt;
  }
  return PciAddress{*domain, *bus, *slot, *function};
}

std::optional<std::uint32_t> parse_virtual_function(std::string_view link) {
  constexpr std::string_view kName = "virtfn";
  return link.starts_with(kName) ? core::parse_number<std::uint32_t>(link.substr(kName.size()))
                                 : std::nullopt;
}

std::optional<std::uint32_t> parse_attribute_number(std::string_view text) {
  return core::parse_number<std::uint32_t>(core::trim(text));
}

std::optional<std::uint64_t> parse_node_guid(std::string_view text) {
  constexpr std::size_t kGroup = 4;
  constexpr std::size_t kLength = 19;  // four groups and three colons
  const std::string_view trimmed = core::trim(text);
  if (trimmed.size() != kLength) {
    return std::nullopt;
  }
  std::uint64_t guid = 0;
  for (std::size_t at = 0; at < kLength; at += kGroup + 1) {
    const auto group = fixed_hex<std::uint16_t>(trimmed.substr(at, kGroup), kGroup);
    if (!group || (at != 0 && trimmed[at - 1] != ':')) {
      return std::nullopt;
    }
    guid = guid << 16U | *group;
  }
  return guid;
}

bool is_multi_function(std::string_view configuration) {
  constexpr std::size_t kHeaderType = 0x0e;
  constexpr unsigned kMultiFunction = 0x80;
  return configuration.size() > kHeaderType &&
         (static_cast<unsigned char>(configuration[kHeaderType]) & kMultiFunction) != 0;
}

Result<void> check_device_name(std::string_view name) {
  if (name.size() > os::kDeviceNameLimit) {
    return fail("use the name", name, ENAMETOOLONG,
                "expected at most " + std::to_string(os::kDeviceNameLimit) + " characters");
  }
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const auto is_allowed = [&](char c) { return is_plain(c) || c == '-' || c == '_' || c == '.'; };
  if (name.empty() || !is_plain(name.front()) || !std::ranges::all_of(name, is_allowed)) {
    return fail("use the name", name, EINVAL,
                "expected letters, digits, '-', '_' and '.', first a letter or a digit");
  }
  return {};
}

Result<NameChoice> choose_name(const NameFacts& facts, NamePolicy policy,
                               std::string_view fixed_name) {
  if (policy == NamePolicy::kKernel) {
    return NameChoice{facts.current, "the policy is to leave it alone"};
  }
  if (policy == NamePolicy::kFixed) {
    return check_device_name(fixed_name).map([fixed_name] {
      return NameChoice{std::string(fixed_name), {}};
    });
  }
  if (facts.user_named) {
    return NameChoice{facts.current, "a user gave it its name"};
  }
  const auto choice = [](std::string name) { return NameChoice{std::move(name), {}}; };
  switch (policy) {
    case NamePolicy::kOnboard:
      return onboard_name(facts).map(choice);
    case NamePolicy::kPci:
      return pci_name(facts).map(choice);
    case NamePolicy::kGuid:
      return guid_name(facts).map(choice);
    case NamePolicy::kFallback:
    case NamePolicy::kKernel:
    case NamePolicy::kFixed:
      break;
  }
  // NAME_FALLBACK: the first of the two that has something to go by. Not the GUID, which rdma-core
  // leaves out too.
  for (const auto name_of : {onboard_name, pci_name}) {
    if (Result<std::string> name = name_of(facts); name) {
      return choice(std::move(*name));
    }
  }
  return NameChoice{facts.current, "it has neither an on-board number nor a PCI address"};
}

}  // namespace rdmaboot::udev
