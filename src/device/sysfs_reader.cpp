// SPDX-License-Identifier: BSD-2-Clause
#include "device/sysfs_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "core/text.hpp"
#include "device/protocol.hpp"

namespace rdmaboot::device {
namespace {

using core::fail;
using core::parse_number;
using core::Result;
using os::Directory;

/// Most notes kept of one snapshot: enough for a person, and a bound for a tree full of rubbish.
constexpr std::size_t kNoteLimit = 1000;
/// `type` of a netdev: ARPHRD_ETHER and ARPHRD_INFINIBAND of <linux/if_arp.h>.
constexpr std::string_view kEthernetType = "1";
constexpr std::string_view kIpoibType = "32";

Result<std::uint32_t> parse_capabilities(std::string_view text) {
  const auto value = Lid::parse(text);  // the same spelling: "0x2651e848"
  if (!value) {
    return fail("parse", "capability mask \"" + core::printable(text, 64) + "\"", 0,
                "expected a number of at most 32 bits");
  }
  return value->value;
}

Result<std::uint8_t> parse_lid_mask(std::string_view text) {
  constexpr unsigned kLargest = 7;  // LMC has three bits (IBTA 14.2.5.6)
  const auto value = parse_number<unsigned>(core::trim(text));
  if (!value || *value > kLargest) {
    return fail("parse", "LID mask count \"" + core::printable(text, 64) + "\"", 0,
                "expected a number from 0 to 7");
  }
  return static_cast<std::uint8_t>(*value);
}

/// "231:192" as major and minor number.
std::pair<std::uint32_t, std::uint32_t> parse_device_number(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return {0, 0};
  }
  const auto major = parse_number<std::uint32_t>(text.substr(0, colon));
  const auto minor = parse_number<std::uint32_t>(text.substr(colon + 1));
  return major && minor ? std::pair{*major, *minor} : std::pair{0U, 0U};
}

bool means_absent(const core::Error& error) {
  return error.error_number == ENOENT || error.error_number == ENOTDIR;
}

}  // namespace

bool is_pci_address(std::string_view text) {
  // At least DDDD:BB:SS.F
  constexpr std::size_t kTail = 8;
  if (text.size() < 4 + kTail || text.size() > 8 + kTail) {
    return false;
  }
  const std::size_t domain = text.size() - kTail;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t at = i - domain;  // wraps in the domain, where no separator is
    const char c = text[i];
    const bool hexadecimal = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    const char separator = at == 0 || at == 3 ? ':' : at == 6 ? '.' : '\0';
    if (separator != '\0' ? c != separator : !hexadecimal) {
      return false;
    }
  }
  return true;
}

bool is_netdev_name(std::string_view text) {
  constexpr std::size_t kLongest = 15;  // IFNAMSIZ without the end
  return !text.empty() && text.size() <= kLongest && text != "." && text != ".." &&
         text.find_first_of("/: \t\n\v\f\r") == std::string_view::npos &&
         text.find('\0') == std::string_view::npos;
}

void SysfsReader::note(core::Error error) {
  if (notes_->size() < kNoteLimit) {
    notes_->push_back(std::move(error));
  }
}

std::optional<std::string> SysfsReader::text(const Directory& directory, const std::string& name,
                                             Missing missing) {
  auto value = directory.attribute(name);
  if (value) {
    return std::move(*value);
  }
  if (missing == Missing::kIsNoted || !means_absent(value.error())) {
    note(std::move(value).error());
  }
  return std::nullopt;
}

template <typename T>
std::optional<T> SysfsReader::parsed(const Directory& directory, const std::string& name,
                                     Result<T> (*parse)(std::string_view)) {
  const auto value = text(directory, name, Missing::kIsNoted);
  if (!value) {
    return std::nullopt;
  }
  auto result = parse(*value);
  if (!result) {
    core::Error error = std::move(result).error();
    error.object += " in " + directory.path() + "/" + name;
    note(std::move(error));
    return std::nullopt;
  }
  return std::move(*result);
}

std::optional<Directory> SysfsReader::directory_of(const std::string& path) {
  auto opened = tree_->directory(path);
  if (opened) {
    return std::move(*opened);
  }
  if (!means_absent(opened.error())) {
    note(std::move(opened).error());
  }
  return std::nullopt;
}

std::optional<Directory> SysfsReader::subdirectory_of(const Directory& directory,
                                                      const std::string& name) {
  auto opened = directory.subdirectory(name);
  if (opened) {
    return std::move(*opened);
  }
  if (!means_absent(opened.error())) {
    note(std::move(opened).error());
  }
  return std::nullopt;
}

std::vector<std::string> SysfsReader::entries_of(const Directory& directory) {
  auto names = directory.entries();
  if (names) {
    return std::move(*names);
  }
  note(std::move(names).error());
  return {};
}

std::vector<std::uint32_t> SysfsReader::table_of(const Directory& directory) {
  std::vector<std::uint32_t> indexes;
  for (const std::string& name : entries_of(directory)) {
    if (const auto index = parse_number<std::uint32_t>(name)) {
      indexes.push_back(*index);
    }
  }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

Device SysfsReader::read_device(const Directory& directory, std::string name,
                                const std::string& link, Tables tables) {
  Device device;
  device.name = std::move(name);
  device.sysfs_path = os::resolve_link(kRdmaClass, link.empty() ? device.name : link);
  if (const auto type = text(directory, "node_type", Missing::kIsNoted)) {
    device.node_type = parse_node_type(*type);
    if (!device.node_type) {
      note(fail("parse", "node type \"" + core::printable(*type, 64) + "\" of " + device.name, 0,
                "expected a text like \"1: CA\"")
               .value());
    }
  }
  device.node_guid = parsed<Guid>(directory, "node_guid", Guid::parse);
  device.sys_image_guid = parsed<Guid>(directory, "sys_image_guid", Guid::parse);
  device.node_description = text(directory, "node_desc", Missing::kIsNoted);
  device.firmware_version = text(directory, "fw_ver", Missing::kIsNormal);
  device.hca_type = text(directory, "hca_type", Missing::kIsNormal);
  device.board_id = text(directory, "board_id", Missing::kIsNormal);
  if (const auto parent = directory.link("device")) {
    device.parent_path = os::resolve_link(device.sysfs_path, *parent);
    read_parent(device);
  }
  read_ports(device, directory, tables);
  return device;
}

void SysfsReader::read_parent(Device& device) {
  // The parent may be an auxiliary device (a sub-function): the PCI function is further up.
  std::string path = device.parent_path;
  while (path.size() > 1 && !is_pci_address(os::base_name(path))) {
    path = os::resolve_link(path, "..");
  }
  if (const auto parent = directory_of(device.parent_path)) {
    if (const auto driver = parent->link("driver")) {
      device.driver = os::base_name(*driver);
    }
  }
  if (path.size() <= 1) {
    return;
  }
  device.pci_address = os::base_name(path);
  if (const auto function = directory_of(path)) {
    if (const auto physical = function->link("physfn")) {
      device.physical_function = os::base_name(*physical);
    }
    if (const auto node = text(*function, "numa_node", Missing::kIsNormal)) {
      // -1: the firmware does not say.
      device.numa_node = parse_number<std::uint32_t>(core::trim(*node));
    }
  }
}

void SysfsReader::read_ports(Device& device, const Directory& directory, Tables tables) {
  const auto ports = subdirectory_of(directory, "ports");
  if (!ports) {
    return;
  }
  for (const std::string& name : entries_of(*ports)) {
    const auto number = PortNumber::parse(name);
    if (!number) {
      core::Error error = number.error();
      error.object += " in " + ports->path();
      note(std::move(error));
      continue;
    }
    if (const auto port = subdirectory_of(*ports, name)) {
      device.ports.push_back(read_port(*port, *number));
      if (tables.gids) {
        read_port_gids(*port, device.ports.back());
      }
      if (tables.pkeys) {
        read_port_pkeys(*port, tables.most_pkeys, device.ports.back());
      }
    }
  }
  // "01" and "1" would be one port twice.
  std::stable_sort(device.ports.begin(), device.ports.end(),
                   [](const Port& a, const Port& b) { return a.number < b.number; });
  const auto twice = std::unique(device.ports.begin(), device.ports.end(),
                                 [](const Port& a, const Port& b) { return a.number == b.number; });
  device.ports.erase(twice, device.ports.end());
}

Port SysfsReader::read_port(const Directory& directory, PortNumber number) {
  Port port;
  port.number = number;
  if (const auto layer = text(directory, "link_layer", Missing::kIsNoted)) {
    port.link_layer = parse_link_layer(*layer).value_or(LinkLayer::kUnknown);
  }
  port.state = parsed<PortState>(directory, "state", parse_port_state);
  port.physical_state = parsed<PhysicalState>(directory, "phys_state", parse_physical_state);
  port.rate = parsed<LinkRate>(directory, "rate", LinkRate::parse);
  port.lid = parsed<Lid>(directory, "lid", Lid::parse);
  port.lid_mask = parsed<std::uint8_t>(directory, "lid_mask_count", parse_lid_mask);
  port.sm_lid = parsed<Lid>(directory, "sm_lid", Lid::parse);
  port.capabilities = parsed<std::uint32_t>(directory, "cap_mask", parse_capabilities);
  return port;
}

void SysfsReader::read_gids(Device& device) {
  for (Port& port : device.ports) {
    const std::string path = device.sysfs_path + "/ports/" + std::to_string(port.number.value);
    if (const auto directory = directory_of(path)) {
      read_port_gids(*directory, port);
    }
  }
}

void SysfsReader::read_port_gids(const Directory& port_directory, Port& port) {
  const auto gids = subdirectory_of(port_directory, "gids");
  if (!gids) {
    return;
  }
  const auto attributes = subdirectory_of(port_directory, "gid_attrs");
  const auto types = attributes ? subdirectory_of(*attributes, "types") : std::nullopt;
  const auto netdevs = attributes ? subdirectory_of(*attributes, "ndevs") : std::nullopt;
  for (const std::uint32_t index : table_of(*gids)) {
    const std::string name = std::to_string(index);
    const auto gid = parsed<Gid>(*gids, name, Gid::parse);
    if (!gid || gid->is_zero()) {
      continue;
    }
    GidEntry entry;
    entry.index = index;
    entry.gid = *gid;
    // The kernel answers EINVAL where an entry has no type or no netdev, and the entry may be gone
    // since its GID was read: neither is worth a note.
    if (const auto type = types ? types->attribute(name) : Result<std::string>{}) {
      entry.type = parse_gid_type(*type, port.link_layer);
    }
    if (const auto netdev = netdevs ? netdevs->attribute(name) : Result<std::string>{};
        netdev && is_netdev_name(*netdev)) {
      entry.netdev = *netdev;
    }
    port.gids.push_back(std::move(entry));
  }
}

void SysfsReader::read_port_pkeys(const Directory& port_directory, std::size_t most, Port& port) {
  const auto pkeys = subdirectory_of(port_directory, "pkeys");
  if (!pkeys) {
    return;  // iWARP has none
  }
  // Entry 0 is nearly always in use: who wants no more is spared the list of a long table.
  if (most == 1) {
    const auto known = pkeys->attribute("0").and_then(PKey::parse);
    if (known && known->partition() != 0) {
      port.pkeys.push_back({0, *known});
      return;
    }
  }
  for (const std::uint32_t index : table_of(*pkeys)) {
    if (port.pkeys.size() >= most) {
      return;
    }
    const auto pkey = parsed<PKey>(*pkeys, std::to_string(index), PKey::parse);
    if (pkey && pkey->partition() != 0) {
      port.pkeys.push_back({index, *pkey});
    }
  }
}

std::map<std::string, std::vector<CharacterDevice>> SysfsReader::read_character_devices() {
  std::map<std::string, std::vector<CharacterDevice>> by_device;
  read_character_class(CharacterDeviceKind::kIssm, "/sys/class/infiniband_mad", "issm", by_device);
  read_character_class(CharacterDeviceKind::kUmad, "/sys/class/infiniband_mad", "umad", by_device);
  read_character_class(CharacterDeviceKind::kUverbs, "/sys/class/infiniband_verbs", "uverbs",
                       by_device);
  return by_device;
}

void SysfsReader::read_character_class(
    CharacterDeviceKind kind, const std::string& class_path, std::string_view prefix,
    std::map<std::string, std::vector<CharacterDevice>>& by_device) {
  const auto members = directory_of(class_path);
  if (!members) {
    return;  // the module is not loaded
  }
  for (const std::string& name : entries_of(*members)) {
    if (!name.starts_with(prefix)) {
      continue;
    }
    std::string path = class_path;
    path += '/';
    path += name;
    const auto directory = directory_of(path);
    if (!directory) {
      continue;
    }
    CharacterDevice node;
    node.kind = kind;
    node.name = name;
    node.node = "/dev/infiniband/" + name;
    if (const auto number = text(*directory, "dev", Missing::kIsNormal)) {
      std::tie(node.major, node.minor) = parse_device_number(*number);
    }
    if (kind != CharacterDeviceKind::kUverbs) {
      node.port = parsed<PortNumber>(*directory, "port", PortNumber::parse);
    }
    if (const auto device = text(*directory, "ibdev", Missing::kIsNoted)) {
      by_device[*device].push_back(std::move(node));
    }
  }
}

std::vector<SysfsReader::Sibling> SysfsReader::siblings_of(const Device& device) {
  std::vector<Sibling> siblings;
  const auto netdevs = directory_of(device.parent_path + "/net");
  if (!netdevs) {
    return siblings;
  }
  for (const std::string& name : entries_of(*netdevs)) {
    const auto netdev = subdirectory_of(*netdevs, name);
    if (!netdev) {
      continue;
    }
    const auto type = text(*netdev, "type", Missing::kIsNormal);
    const auto place = text(*netdev, "dev_port", Missing::kIsNormal);  // counted from 0
    const auto port = place ? parse_number<std::uint32_t>(core::trim(*place)) : std::nullopt;
    if (!type || !port || *port >= std::numeric_limits<std::uint32_t>::max()) {
      continue;
    }
    Sibling sibling;
    sibling.name = name;
    sibling.port = *port + 1;
    if (core::trim(*type) == kEthernetType) {
      sibling.layer = LinkLayer::kEthernet;
    } else if (core::trim(*type) == kIpoibType && !netdev->attribute("parent")) {
      // An IPoIB child shares the port's number, and says whose child it is.
      sibling.layer = LinkLayer::kInfiniBand;
    }
    siblings.push_back(std::move(sibling));
  }
  return siblings;
}

void SysfsReader::add_netdev(Port& port, const std::string& name) {
  const auto known = std::find_if(port.netdevs.begin(), port.netdevs.end(),
                                  [&name](const Netdev& netdev) { return netdev.name == name; });
  if (!is_netdev_name(name) || known != port.netdevs.end()) {
    return;
  }
  const auto [index, is_new] = netdev_indexes_.try_emplace(name);
  if (is_new) {
    if (const auto directory = directory_of("/sys/class/net/" + name)) {
      if (const auto number = text(*directory, "ifindex", Missing::kIsNormal)) {
        index->second = parse_number<std::uint32_t>(core::trim(*number));
      }
    }
  }
  port.netdevs.push_back({name, index->second});
}

void SysfsReader::read_netdevs(Device& device) {
  std::vector<Sibling> siblings;
  std::optional<std::string> below;
  if (!device.parent_path.empty()) {
    siblings = siblings_of(device);
  } else if (const auto directory = directory_of(device.sysfs_path)) {
    below = text(*directory, "parent", Missing::kIsNormal);  // what soft-RoCE sits on
  }
  for (Port& port : device.ports) {
    const auto is_own = [&port](const Sibling& sibling) {
      return sibling.port == port.number.value && sibling.layer == port.link_layer;
    };
    const auto own = std::find_if(siblings.begin(), siblings.end(), is_own);
    // Representors sit beside the port's own netdev with the same number: better no answer than a
    // wrong one.
    const bool only_one =
        own != siblings.end() && std::find_if(own + 1, siblings.end(), is_own) == siblings.end();
    if (port.netdevs.empty() && only_one && port.link_layer != LinkLayer::kUnknown) {
      add_netdev(port, own->name);
    } else if (port.netdevs.empty() && below) {
      add_netdev(port, *below);
    }
    for (const GidEntry& entry : port.gids) {
      add_netdev(port, entry.netdev);
    }
  }
}

}  // namespace rdmaboot::device
