// SPDX-License-Identifier: BSD-2-Clause
#include "engine/verbs_core.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include "engine/verbs_device.hpp"

namespace rdmaboot::engine {

std::string to_string(SocketAddress address) {
  const auto byte = [&](unsigned shift) { return std::to_string(address.ipv4 >> shift & 0xFFU); };
  return byte(24) + '.' + byte(16) + '.' + byte(8) + '.' + byte(0) + ':' +
         std::to_string(address.port);
}

sockaddr_in to_sockaddr(SocketAddress address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(address.ipv4);
  result.sin_port = htons(address.port);
  return result;
}

SocketAddress from_sockaddr(const sockaddr* address) {
  if (address == nullptr || address->sa_family != AF_INET) {
    return {};
  }
  sockaddr_in ipv4{};
  std::memcpy(&ipv4, address, sizeof ipv4);
  return {ntohl(ipv4.sin_addr.s_addr), ntohs(ipv4.sin_port)};
}

EndpointId VerbsCore::new_id() {
  static std::atomic<std::uint64_t> last{0};
  return EndpointId{last.fetch_add(1, std::memory_order_relaxed) + 1};
}

core::Result<CmId> VerbsCore::create_id(EndpointId id) {
  rdma_cm_id* made = nullptr;
  if (rdma_create_id(channel.get(), &made, as_context(id), RDMA_PS_TCP) != 0) {
    return core::fail("create an id of", "rdma_cm", errno);
  }
  return CmId(made);
}

core::Result<CmId> VerbsCore::create_bound_id(EndpointId id, SocketAddress address) {
  auto made = create_id(id);
  if (!made) {
    return made;
  }
  sockaddr_in socket_address = to_sockaddr(address);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof socket_address);
  std::memcpy(&generic, &socket_address, sizeof generic);
  if (rdma_bind_addr(made->get(), &generic) != 0) {
    return core::fail("bind", to_string(address), errno);
  }
  if ((*made)->verbs == nullptr) {
    return core::fail("bind", to_string(address), ENODEV, "an address of an RDMA device");
  }
  return made;
}

core::Result<std::shared_ptr<VerbsDevice>> VerbsCore::device_of(rdma_cm_id* id) {
  if (id->verbs == nullptr) {
    return core::fail("find", "the RDMA device of a connection", ENODEV);
  }
  for (const auto& [serial, device] : devices) {
    if (device->context() == id->verbs) {
      return device->shared_from_this();
    }
  }
  return VerbsDevice::open(*this, from_sockaddr(rdma_get_local_addr(id)).ipv4, id->verbs);
}

void VerbsCore::close_leaving() {
  if (leaving.empty()) {
    return;
  }
  // This call, and none that is cheaper, compares librdmacm's devices with those that there are.
  int count = 0;
  ibv_context** const open = rdma_get_devices(&count);
  if (open == nullptr) {
    leaving.clear();
    return;
  }
  std::erase_if(leaving, [&](const ibv_context* context) {
    return std::find(open, open + count, context) == open + count;
  });
  rdma_free_devices(open);
}

core::Result<void> VerbsCore::watch(int fd, Source source, std::uint32_t device) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return core::fail("make non-blocking", "a descriptor of verbs", errno);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = std::uint64_t{static_cast<std::uint32_t>(source)} << 32 | device;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return core::fail("watch", "a descriptor of verbs", errno);
  }
  return {};
}

void VerbsCore::unwatch(int fd) {
  epoll_event ignored{};
  static_cast<void>(::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, &ignored));
}

}  // namespace rdmaboot::engine
