// SPDX-License-Identifier: BSD-2-Clause
#include "udev/rdma_rename.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "device/protocol.hpp"
#include "udev/rdma_id.hpp"

namespace rdmaboot::udev {
namespace {

using core::fail;
using core::Result;

/// The path of the directory above.
std::string above(const std::string& path) {
  return os::resolve_link(path, "..");
}

/// The bus of a device ("pci", "auxiliary"); empty if it has none.
std::string bus_of(const os::Directory& device) {
  return std::string(os::base_name(device.link("subsystem").value_or(std::string{})));
}

std::optional<std::uint32_t> number_in(const os::Directory& directory, const std::string& name) {
  return directory.attribute(name)
      .map([](const std::string& text) { return parse_attribute_number(text); })
      .value_or(std::nullopt);
}

/// The number of the virtual function at `address`, by the links that its physical function has.
std::optional<std::uint32_t> number_of_virtual_function(const os::Directory& physical,
                                                        std::string_view address) {
  for (const std::string& entry : physical.entries().value_or(std::vector<std::string>{})) {
    const std::optional<std::uint32_t> number = parse_virtual_function(entry);
    if (number && os::base_name(physical.link(entry).value_or(std::string{})) == address) {
      return number;
    }
  }
  return std::nullopt;
}

/// Where the PCI function at `path` is; nothing if sysfs does not tell it whole.
std::optional<PciLocation> locate_function(const os::Tree& tree, std::string path) {
  PciLocation location;
  auto function = tree.directory(path);
  if (!function) {
    return std::nullopt;
  }
  if (const Result<std::string> physical = function->link("physfn"); physical) {
    const std::string address(os::base_name(path));
    path = os::resolve_link(path, *physical);
    function = tree.directory(path);
    if (!function) {
      return std::nullopt;
    }
    location.virtual_function = number_of_virtual_function(*function, address);
    if (!location.virtual_function) {
      return std::nullopt;  // without it the name would be the physical function's
    }
  }
  const std::optional<PciAddress> address = parse_pci_address(os::base_name(path));
  if (!address) {
    return std::nullopt;
  }
  location.address = *address;
  location.ari = number_in(*function, "ari_enabled") == 1U;
  location.multi_function =
      is_multi_function(function->attribute("config").value_or(std::string{}));
  return location;
}

/// Where the device at `path` is: on the PCI bus itself, or a sub-function of something there.
std::optional<PciLocation> locate(const os::Tree& tree, const std::string& path) {
  const auto parent = tree.directory(path);
  if (!parent) {
    return std::nullopt;
  }
  const std::string bus = bus_of(*parent);
  if (bus == "pci") {
    return locate_function(tree, path);
  }
  const std::optional<std::uint32_t> number = number_in(*parent, "sfnum");
  const auto grandparent = tree.directory(above(path));
  if (bus != "auxiliary" || !number || !grandparent || bus_of(*grandparent) != "pci") {
    return std::nullopt;
  }
  std::optional<PciLocation> location = locate_function(tree, above(path));
  if (location) {
    location->sub_function = number;
  }
  return location;
}

Result<RenameRequest> usage_error(std::string_view what) {
  return fail("understand", what, EINVAL, rename_usage());
}

}  // namespace

std::string rename_usage() {
  return "usage: rdma_rename [-v] [--dry-run] [--root=DIR] DEVICE NAME_KERNEL | NAME_FALLBACK | "
         "NAME_ONBOARD | NAME_PCI | NAME_GUID | NAME_FIXED NAME, or rdma_rename --help";
}

Result<RenameRequest> parse_rename_arguments(std::span<const char* const> arguments) {
  constexpr std::string_view kRootOption = "--root=";
  RenameRequest request;
  std::vector<std::string_view> words;
  for (const std::string_view argument :
       arguments.subspan(std::min<std::size_t>(1, arguments.size()))) {
    if (argument == "--help" || argument == "-h") {
      request.help = true;
      return request;
    }
    if (argument == "-v") {
      request.verbose = true;
    } else if (argument == "--dry-run") {
      request.dry_run = true;
    } else if (argument.starts_with(kRootOption)) {
      request.root = argument.substr(kRootOption.size());
      request.dry_run = true;
    } else if (argument.starts_with('-')) {
      return usage_error(argument);
    } else {
      words.push_back(argument);
    }
  }
  constexpr std::size_t kDeviceAndPolicy = 2;
  if (words.size() < kDeviceAndPolicy) {
    return usage_error("the command line");
  }
  // The name the device has may be anything that the kernel has taken, but a path it must not be.
  if (words[0].empty() || words[0].size() > os::kDeviceNameLimit || words[0] == "." ||
      words[0] == ".." || words[0].find('/') != std::string_view::npos) {
    return fail("understand", words[0], EINVAL, "expected an RDMA device's name");
  }
  const std::optional<NamePolicy> policy = parse_name_policy(words[1]);
  if (!policy) {
    return usage_error(words[1]);
  }
  const bool has_name = *policy == NamePolicy::kFixed;
  if (words.size() != kDeviceAndPolicy + (has_name ? 1 : 0)) {
    return usage_error(has_name && words.size() == kDeviceAndPolicy ? "NAME_FIXED without a name"
                                                                    : words.back());
  }
  request.device = words[0];
  request.policy = *policy;
  if (has_name) {
    if (Result<void> good = check_device_name(words[2]); !good) {
      return tl::make_unexpected(std::move(good.error()));
    }
    request.fixed_name = words[2];
  }
  return request;
}

Result<NameFacts> gather_name_facts(const os::Tree& tree, const std::string& root,
                                    const std::string& device,
                                    const std::optional<os::NetlinkDevice>& netlink) {
  constexpr const char* kClass = "/sys/class/infiniband";
  const Result<std::string> link = tree.directory(kClass).and_then(
      [&device](const os::Directory& devices) { return devices.link(device); });
  if (!link) {
    return tl::make_unexpected(link.error());
  }
  const std::string path = os::resolve_link(kClass, *link);
  const Result<os::Directory> directory = tree.directory(path);
  if (!directory) {
    return tl::make_unexpected(directory.error());
  }
  // The same evidence and the same decision as the ID_RDMA_* properties, which do not exist yet
  // when udev asks for the name.
  const Result<IdFacts> facts = gather_facts({root, device}, netlink);
  if (!facts) {
    return tl::make_unexpected(facts.error());
  }
  NameFacts named;
  named.current = device;
  named.protocol = device::decide_protocols(facts->evidence).front();
  named.user_named = netlink && netlink->name_assign_type == os::NameAssignType::kUser;
  named.node_guid = directory->attribute("node_guid")
                        .map([](const std::string& text) { return parse_node_guid(text); })
                        .value_or(std::nullopt);
  // PARENT/infiniband/NAME
  const std::string parent_path = above(above(path));
  named.pci = locate(tree, parent_path);
  if (const auto parent = tree.directory(parent_path); parent) {
    // ACPI's number comes first; where the file is there, SMBIOS's does not count.
    named.onboard_index =
        parent->attribute("acpi_index")
            .map([](const std::string& text) { return parse_attribute_number(text); })
            .value_or(number_in(*parent, "index"));
  }
  return named;
}

Result<RenameOutcome> rename_device(const RenameRequest& request,
                                    Result<std::unique_ptr<os::NetlinkChannel>> channel,
                                    const core::Clock& clock) {
  std::optional<os::RdmaNetlink> netlink;
  std::optional<os::NetlinkDevice> known;
  if (request.root.empty()) {
    if (!channel) {
      return tl::make_unexpected(std::move(channel.error()));
    }
    netlink.emplace(std::move(*channel), clock, kRenameBudget);
    Result<std::vector<os::NetlinkDevice>> devices = netlink->devices();
    if (!devices) {
      return tl::make_unexpected(std::move(devices.error()));
    }
    const auto found = std::ranges::find(*devices, request.device, &os::NetlinkDevice::name);
    if (found == devices->end()) {
      return fail("rename", request.device, ENODEV);
    }
    known = std::move(*found);
  }

  NameFacts facts;
  facts.current = request.device;
  // A fixed name needs no facts, and must not fail for want of them.
  if (request.policy != NamePolicy::kFixed) {
    Result<NameFacts> gathered = os::Tree::open(request.root).and_then([&](const os::Tree& tree) {
      return gather_name_facts(tree, request.root, request.device, known);
    });
    if (!gathered) {
      return tl::make_unexpected(std::move(gathered.error()));
    }
    facts = std::move(*gathered);
  }
  const Result<NameChoice> choice = choose_name(facts, request.policy, request.fixed_name);
  if (!choice) {
    return tl::make_unexpected(choice.error());
  }
  const bool changed = choice->name != request.device;
  if (changed && !request.dry_run) {
    // By the index: the name may be another device's by now, the index never.
    if (const Result<void> renamed = netlink->rename(known->index, choice->name); !renamed) {
      return fail("rename", request.device + " to " + choice->name, renamed.error().error_number,
                  renamed.error().error_number == EEXIST ? "another device has that name"
                                                         : renamed.error().detail);
    }
  }
  return RenameOutcome{choice->name, changed, choice->reason};
}

}  // namespace rdmaboot::udev
