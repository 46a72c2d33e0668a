// SPDX-License-Identifier: BSD-2-Clause
#include "os/network_interfaces.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <libudev.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

using core::Result;
using Udev = core::UniqueHandle<udev, udev_unref>;
using UdevDevice = core::UniqueHandle<udev_device, udev_device_unref>;

constexpr std::size_t kEthernetAddress = 6;
/// MAX_ADDR_LEN of the kernel: InfiniBand's is 20.
constexpr std::size_t kLongestAddress = 32;
/// NET_ADDR_STOLEN of include/uapi/linux/netdevice.h.
constexpr std::string_view kStolen = "2";

std::string spelt(const unsigned char* bytes, std::size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += text.empty() ? "" : ":";
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

/// ETHTOOL_GPERMADDR, which needs no privilege and works on a socket of any family. Empty where
/// the interface has no permanent address: the kernel then gives zeros.
std::string permanent_address(int socket, const std::string& name) {
  // The structure ends in an array without a length, for which room is made here.
  alignas(ethtool_perm_addr) std::array<unsigned char, sizeof(ethtool_perm_addr) + kLongestAddress>
      bytes{};
  ethtool_perm_addr head{};
  head.cmd = ETHTOOL_GPERMADDR;
  head.size = kLongestAddress;
  std::memcpy(bytes.data(), &head, sizeof head);
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) {
    return {};
  }
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_data = static_cast<char*>(static_cast<void*>(bytes.data()));
  if (::ioctl(socket, SIOCETHTOOL, &request) != 0) {
    return {};
  }
  std::memcpy(&head, bytes.data(), sizeof head);
  const unsigned char* const address = bytes.data() + sizeof head;
  if (head.size != kEthernetAddress ||
      std::all_of(address, address + kEthernetAddress, [](unsigned char b) { return b == 0; })) {
    return {};
  }
  return spelt(address, kEthernetAddress);
}

std::string id_path(udev* context, const std::string& name) {
  const UdevDevice device(::udev_device_new_from_subsystem_sysname(context, "net", name.c_str()));
  const char* const path =
      device ? ::udev_device_get_property_value(device.get(), "ID_PATH") : nullptr;
  return path != nullptr ? path : "";
}

std::optional<NetworkInterface> read_interface(const Tree& tree, const std::string& name,
                                               int socket) {
  const auto directory = tree.directory("/sys/class/net/" + name);
  if (!directory) {
    return std::nullopt;  // gone, or the file bonding_masters
  }
  NetworkInterface found;
  found.name = name;
  const auto index = directory->attribute("ifindex");
  const auto number = index ? core::parse_number<std::uint32_t>(*index) : std::nullopt;
  if (!number) {
    return std::nullopt;
  }
  found.index = *number;
  if (socket >= 0) {
    found.address = permanent_address(socket, name);
  }
  const auto assigned = directory->attribute("addr_assign_type");
  if (found.address.empty() && !(assigned && *assigned == kStolen)) {
    if (const auto address = directory->attribute("address")) {
      found.address = *address;
    }
  }
  return found;
}

}  // namespace

Result<std::vector<NetworkInterface>> network_interfaces(const Tree& tree, bool with_paths) {
  std::vector<NetworkInterface> interfaces;
  const auto directory = tree.directory("/sys/class/net");
  if (!directory) {
    return interfaces;
  }
  const auto names = directory->entries();
  if (!names) {
    return tl::make_unexpected(names.error());
  }
  core::UniqueFd socket;
  Udev context;
  if (tree.is_live()) {
    socket.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    context.reset(with_paths ? ::udev_new() : nullptr);
  }
  for (const std::string& name : *names) {
    if (auto found = read_interface(tree, name, socket.get())) {
      if (context) {
        found->path = id_path(context.get(), name);
      }
      interfaces.push_back(std::move(*found));
    }
  }
  std::sort(interfaces.begin(), interfaces.end(),
            [](const NetworkInterface& a, const NetworkInterface& b) { return a.index < b.index; });
  return interfaces;
}

}  // namespace rdmaboot::os
