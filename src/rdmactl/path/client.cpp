// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/path/client.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <linux/capability.h>
#include <netdb.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "device/address_lookup.hpp"
#include "os/netdev_addresses.hpp"
#include "rdmaboot/device.hpp"
#include "rdmactl/path/address.hpp"

namespace rdmaboot::rdmactl {
namespace {

using Addresses = core::UniqueHandle<addrinfo, ::freeaddrinfo>;

/// The kernel's o2iblnd, while it is loaded.
constexpr const char* kKernelLnet = "/sys/module/ko2iblnd";

/// Of no meaning, but connect() wants one.
constexpr std::uint16_t kSomePort = 9;

/// The first IPv4 address of a name.
core::Result<std::uint32_t> resolve(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int status = ::getaddrinfo(host.c_str(), nullptr, &wanted, &raw);
  const Addresses found(raw);
  if (status != 0 || !found) {
    return core::fail("find the address of", core::printable(host), 0, ::gai_strerror(status));
  }
  sockaddr_in address{};
  std::copy_n(static_cast<const char*>(static_cast<const void*>(found->ai_addr)), sizeof(address),
              static_cast<char*>(static_cast<void*>(&address)));
  return ntohl(address.sin_addr.s_addr);
}

/// The address that this host sends from to `peer`: the kernel says it, nothing is sent.
std::optional<std::uint32_t> route_source(std::uint32_t peer) {
  const core::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kSomePort);
  address.sin_addr.s_addr = htonl(peer);
  auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  socklen_t length = sizeof(address);
  if (!fd || ::connect(fd.get(), generic, sizeof(address)) != 0 ||
      ::getsockname(fd.get(), generic, &length) != 0) {
    return std::nullopt;
  }
  return ntohl(address.sin_addr.s_addr);
}

core::Result<device::AddressedPort> find_source(std::uint32_t peer,
                                                std::optional<std::uint32_t> from,
                                                const std::string& on) {
  // Verbs would open every device; the address is in the GID table of the kernel as well.
  const auto snapshot = device::take_snapshot({.root = {}, .verbs = false, .pkeys = false});
  if (!snapshot) {
    return tl::make_unexpected(snapshot.error());
  }
  const auto all = os::netdev_addresses();
  if (!all) {
    return tl::make_unexpected(all.error());
  }
  std::vector<device::NetdevIpv4> addresses;
  for (const os::NetdevAddress& address : *all) {
    if (const auto ipv4 = os::ipv4_of(address)) {
      addresses.push_back({address.netdev, *ipv4});
    }
  }
  const auto ports = device::addressed_ports(*snapshot, addresses);
  if (on.empty()) {
    return choose_source(ports, peer, from, route_source(peer));
  }
  return ports_on(ports, on).and_then(
      [&](const auto& some) { return choose_source(some, peer, from, route_source(peer), true); });
}

engine::Settings settings_of(const ClientOptions& options, engine::Nid self) {
  engine::Settings settings;
  settings.nid = self;
  settings.port = options.port;
  settings.listen_anywhere = true;
  settings.incarnation = engine::incarnation_now();
  // Peers that want a privileged port are told so by their refusal.
  // Root in a sandbox may not have one.
  settings.use_privileged_port =
      ::geteuid() == 0 && ::prctl(PR_CAPBSET_READ, CAP_NET_BIND_SERVICE, 0, 0, 0) == 1;
  // One peer, and messages and bounce buffers alone: what is transferred is registered.
  settings.max_memory = 16U << 20U;
  settings.reconnect_longest = std::chrono::seconds(1);
  return settings;
}

}  // namespace

void Client::PollRest::rest(const engine::Engine& engine, core::Microseconds until) {
  pollfd input{engine.fd(), POLLIN, 0};
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.now());
  static_cast<void>(::poll(&input, 1, static_cast<int>(std::max<std::int64_t>(0, wait.count()))));
}

core::Result<engine::Nid> resolve_peer(const std::string& text) {
  const auto name = parse_peer(text);
  if (!name) {
    return tl::make_unexpected(name.error());
  }
  return resolve(name->host).map([&](std::uint32_t address) {
    return engine::Nid::o2ib(address, name->network);
  });
}

core::Result<std::unique_ptr<Client>> Client::open(engine::Nid peer, const ClientOptions& options) {
  std::optional<std::uint32_t> from;
  if (!options.from.empty()) {
    const auto own = resolve_peer(options.from);
    if (!own) {
      return tl::make_unexpected(own.error());
    }
    from = own->ipv4();
  }
  const auto port = find_source(peer.ipv4(), from, options.on);
  if (!port) {
    return tl::make_unexpected(port.error());
  }
  const engine::Nid self = engine::Nid::o2ib(port->ipv4, peer.network());
  if (!from && ::access(kKernelLnet, F_OK) == 0) {
    return core::fail("use", to_string(self), 0,
                      "the kernel's LNet (ko2iblnd) may have this name, and its peers would take "
                      "this program for that host after a restart; choose an address of this "
                      "host that LNet does not use with --from");
  }
  std::unique_ptr<Client> client(new Client);
  auto fabric = engine::open_verbs_fabric();
  if (!fabric) {
    return tl::make_unexpected(fabric.error());
  }
  client->fabric_ = std::move(*fabric);
  auto started =
      engine::Engine::start(settings_of(options, self), *client->fabric_, client->clock_);
  if (!started) {
    return tl::make_unexpected(started.error());
  }
  client->engine_ = std::move(*started);
  return client;
}

}  // namespace rdmaboot::rdmactl
