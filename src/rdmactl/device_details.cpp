// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/device_details.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "os/sysfs.hpp"

namespace rdmaboot::rdmactl {
namespace {

constexpr std::size_t kTitleWidth = 15;
/// Lines of the journal that are shown.
constexpr std::size_t kJournalLines = 10;

std::optional<PciLink> link_in(const os::Directory& pci, const char* speed, const char* width) {
  const auto speed_text = pci.attribute(speed);
  const auto width_text = pci.attribute(width);
  if (!speed_text || !width_text) {
    return std::nullopt;
  }
  const auto lanes = core::parse_number<std::uint32_t>(core::trim(*width_text));
  // A link that is down has width 0 and speed "Unknown"; a virtual function shows the same.
  if (!lanes || *lanes == 0) {
    return std::nullopt;
  }
  return PciLink{std::string(core::trim(*speed_text)), *lanes};
}

void read_folder(const os::Directory& port, const char* folder, std::uint32_t number, bool hardware,
                 std::vector<PortCounter>& counters) {
  const auto directory = port.subdirectory(folder);
  if (!directory) {
    return;  // not every device counts
  }
  const auto names = directory->entries();
  if (!names) {
    return;  // the device goes
  }
  for (const std::string& name : *names) {
    const auto text = directory->attribute(name);
    const auto value = text ? core::parse_number<std::uint64_t>(core::trim(*text))
                            : std::optional<std::uint64_t>{};
    if (value) {
      counters.push_back({number, name, *value, hardware});
    }
  }
}

std::string link_text(const PciLink& link) {
  return core::printable(link.speed) + " x" + std::to_string(link.width);
}

void add_line(std::string& out, std::string_view title, const std::string& value) {
  if (!value.empty()) {
    out += std::string(kTitleWidth - std::min(kTitleWidth, title.size()), ' ') +
           std::string(title) + ": " + value + "\n";
  }
}

/// "mlx5_core, used by mlx5_ib, mlx5_vdpa"
std::string modules_text(const DeviceDetails& details) {
  std::string text = core::printable(details.module);
  for (const std::string& user : details.users) {
    text += (&user == &details.users.front() ? ", used by " : ", ") + core::printable(user);
  }
  return text;
}

nlohmann::json link_json(const std::optional<PciLink>& link) {
  if (!link) {
    return {};
  }
  return {{"speed", core::printable(link->speed)}, {"width", link->width}};
}

}  // namespace

bool is_trouble(std::string_view counter) {
  constexpr std::array<std::string_view, 13> kSigns = {
      "error", "err", "discard", "drop",    "retry",   "retries",  "timeout",
      "nak",   "rnr", "downed",  "out_of_", "overrun", "excessive"};
  // Limits and set-ups that only sound like it.
  constexpr std::array<std::string_view, 2> kNot = {"lifespan", "_enable"};
  const auto has = [&](std::string_view sign) { return counter.find(sign) != counter.npos; };
  return std::any_of(kSigns.begin(), kSigns.end(), has) &&
         std::none_of(kNot.begin(), kNot.end(), has);
}

std::vector<PortCounter> read_counters(const device::Device& device, const std::string& root) {
  std::vector<PortCounter> counters;
  const auto tree = os::Tree::open(root);
  for (const device::Port& port : device.ports) {
    const std::string path = device.sysfs_path + "/ports/" + std::to_string(port.number.value);
    const auto directory = tree ? tree->directory(path) : tl::make_unexpected(tree.error());
    if (directory) {
      read_folder(*directory, "counters", port.number.value, false, counters);
      read_folder(*directory, "hw_counters", port.number.value, true, counters);
    }
  }
  return counters;
}

DeviceDetails read_details(const device::Device& device, const std::string& root) {
  DeviceDetails details;
  const auto tree = os::Tree::open(root);
  if (!tree) {
    details.notes.push_back(tree.error());
    return details;
  }
  if (!device.parent_path.empty()) {
    if (const auto parent = tree->directory(device.parent_path)) {
      details.link = link_in(*parent, "current_link_speed", "current_link_width");
      details.capable = link_in(*parent, "max_link_speed", "max_link_width");
    }
    if (const auto driver = tree->directory(device.parent_path + "/driver")) {
      if (const auto module = driver->link("module")) {
        details.module = os::base_name(*module);
        if (const auto users = tree->directory("/sys/module/" + details.module + "/holders")) {
          details.users = users->entries().value_or(std::vector<std::string>());
        }
      }
    }
  }
  details.errors = read_counters(device, root);
  std::erase_if(details.errors, [](const PortCounter& counter) {
    return counter.value == 0 || !is_trouble(counter.name);
  });
  return details;
}

os::JournalQuery journal_about(const device::Device& device) {
  os::JournalQuery query;
  query.any_of = {{"RDMA_DEVICE=" + device.name}, {"_KERNEL_DEVICE=+infiniband:" + device.name}};
  if (!device.pci_address.empty()) {
    query.any_of.push_back({"_KERNEL_DEVICE=+pci:" + device.pci_address});
  }
  query.fields = {"MESSAGE", "SYSLOG_IDENTIFIER", "PRIORITY"};
  query.most = kJournalLines;
  return query;
}

std::string details_text(const device::Device& device, const std::vector<PortStatus>& ports,
                         const DeviceDetails& details, const Terminal& terminal) {
  std::string out;
  add_line(out, "device", core::printable(device.name));
  add_line(out, "index", device.index ? std::to_string(*device.index) : std::string{});
  add_line(out, "protocol", std::string(protocol_name(device.protocol)));
  add_line(out, "node GUID", device.node_guid ? device.node_guid->to_string() : std::string{});
  add_line(out, "description", core::printable(device.node_description.value_or("")));
  add_line(out, "firmware", core::printable(device.firmware_version.value_or("")));
  add_line(out, "board", core::printable(device.board_id.value_or("")));
  add_line(out, "driver", core::printable(device.driver));
  add_line(out, "module", modules_text(details));
  add_line(out, "PCI function", core::printable(device.pci_address));
  if (details.link) {
    std::string link = link_text(*details.link);
    if (details.capable && *details.link != *details.capable) {
      link += coloured(" (the device can do " + link_text(*details.capable) + ")", Colour::kYellow,
                       terminal);
    }
    add_line(out, "PCI link", link);
  }
  add_line(out, "NUMA node", device.numa_node ? std::to_string(*device.numa_node) : std::string{});
  for (const PortStatus& port : ports) {
    if (!port.missing.empty()) {
      add_line(out, std::string(device::name_of(port.readiness)),
               name_of(port) + ": " + port.missing);
    }
  }
  for (const device::CharacterDevice& node : device.character_devices) {
    add_line(out, "node", core::printable(node.node));
  }
  for (const device::Port& port : device.ports) {
    for (const device::GidEntry& entry : port.gids) {
      add_line(out, "GID " + std::to_string(port.number.value) + "/" + std::to_string(entry.index),
               entry.gid.to_string() + "  " + std::string(device::name_of(entry.type)) +
                   (entry.netdev.empty() ? "" : "  " + core::printable(entry.netdev)));
    }
  }
  for (const PortCounter& counter : details.errors) {
    add_line(out, "port " + std::to_string(counter.port),
             coloured(core::printable(counter.name) + " " + std::to_string(counter.value),
                      Colour::kYellow, terminal));
  }
  for (const os::JournalEntry& entry : details.journal) {
    const std::string line = time_text(entry.realtime) + " " +
                             core::printable(entry.field("SYSLOG_IDENTIFIER")) + ": " +
                             core::printable(entry.field("MESSAGE"));
    const std::size_t room =
        terminal.width > kTitleWidth + 2 ? terminal.width - kTitleWidth - 2 : line.size();
    add_line(out, "journal", cut_to(line, room));
  }
  return out;
}

nlohmann::json details_json(const DeviceDetails& details) {
  nlohmann::json counters = nlohmann::json::array();
  for (const PortCounter& counter : details.errors) {
    counters.push_back({{"port", counter.port},
                        {"name", core::printable(counter.name)},
                        {"value", counter.value},
                        {"hardware", counter.hardware}});
  }
  nlohmann::json journal = nlohmann::json::array();
  for (const os::JournalEntry& entry : details.journal) {
    journal.push_back({{"usec", entry.realtime.count()},
                       {"identifier", core::printable(entry.field("SYSLOG_IDENTIFIER"))},
                       {"message", core::printable(entry.field("MESSAGE"))}});
  }
  nlohmann::json users = nlohmann::json::array();
  for (const std::string& user : details.users) {
    users.push_back(core::printable(user));
  }
  return {{"pci_link", link_json(details.link)},
          {"pci_capable", link_json(details.capable)},
          {"module", details.module.empty() ? nlohmann::json()
                                            : nlohmann::json(core::printable(details.module))},
          {"module_users", users},
          {"counters", counters},
          {"journal", journal}};
}

}  // namespace rdmaboot::rdmactl
