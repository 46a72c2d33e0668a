// SPDX-License-Identifier: BSD-2-Clause
#include "os/netdev_addresses.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {

core::Result<std::vector<NetdevAddress>> netdev_addresses() {
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) {
    return core::fail("list", "addresses of network devices", errno);
  }
  const core::UniqueHandle<ifaddrs, ::freeifaddrs> list(raw);
  std::vector<NetdevAddress> addresses;
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_name == nullptr) {
      continue;
    }
    NetdevAddress address;
    const std::string label = entry->ifa_name;
    address.netdev = label.substr(0, label.find(':'));
    if (entry->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 ipv6{};
      std::memcpy(&ipv6, entry->ifa_addr, sizeof ipv6);
      std::copy(std::begin(ipv6.sin6_addr.s6_addr), std::end(ipv6.sin6_addr.s6_addr),
                address.bytes.begin());
    } else if (entry->ifa_addr->sa_family == AF_INET) {
      sockaddr_in ipv4{};
      std::memcpy(&ipv4, entry->ifa_addr, sizeof ipv4);
      constexpr std::size_t kMarkAt = 10;
      constexpr std::size_t kAddressAt = 12;
      address.bytes[kMarkAt] = address.bytes[kMarkAt + 1] = 0xff;
      std::memcpy(address.bytes.data() + kAddressAt, &ipv4.sin_addr, sizeof ipv4.sin_addr);
    } else {
      continue;
    }
    addresses.push_back(std::move(address));
  }
  return addresses;
}

std::optional<std::uint32_t> ipv4_of(const NetdevAddress& address) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin())) {
    return std::nullopt;
  }
  std::uint32_t ipv4 = 0;
  for (std::size_t index = kMapped.size(); index < address.bytes.size(); ++index) {
    ipv4 = ipv4 << 8U | address.bytes.at(index);
  }
  return ipv4;
}

}  // namespace rdmaboot::os
