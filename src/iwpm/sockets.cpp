// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/sockets.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <unistd.h>

namespace rdmaboot::iwpm {
namespace {

using core::fail;
using core::Result;

/// Room for the control messages that are asked for: IP_PKTINFO or IP_RECVERR with its offender.
constexpr std::size_t kControlSize = 256;
/// Enough to tell a datagram of any length from one of the right length.
constexpr std::size_t kDatagramSize = 128;

/// An address as the socket calls want it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const {
    return static_cast<const sockaddr*>(static_cast<const void*>(&storage));
  }
  [[nodiscard]] sockaddr* get() { return static_cast<sockaddr*>(static_cast<void*>(&storage)); }
};

SocketAddress to_socket(const Address& address) {
  SocketAddress out;
  if (address.family == Family::kIpv4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::memcpy(&in.sin_addr, address.ip.data(), sizeof(in.sin_addr));
    std::memcpy(&out.storage, &in, sizeof(in));
    out.length = sizeof(in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(address.port);
    in.sin6_scope_id = address.scope;
    std::memcpy(&in.sin6_addr, address.ip.data(), sizeof(in.sin6_addr));
    std::memcpy(&out.storage, &in, sizeof(in));
    out.length = sizeof(in);
  }
  return out;
}

std::optional<Address> from_socket(const sockaddr_storage& storage) {
  Address address;
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof(in));
    address.port = ntohs(in.sin_port);
    std::memcpy(address.ip.data(), &in.sin_addr, sizeof(in.sin_addr));
    return address;
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &storage, sizeof(in));
    address.family = Family::kIpv6;
    address.port = ntohs(in.sin6_port);
    address.scope = in.sin6_scope_id;
    std::memcpy(address.ip.data(), &in.sin6_addr, sizeof(in.sin6_addr));
    return address;
  }
  return std::nullopt;
}

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/// More than net.core.rmem_max needs CAP_NET_ADMIN; without it that is the most.
void set_receive_buffer(int fd, int size) {
  if (!set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, size)) {
    set_option(fd, SOL_SOCKET, SO_RCVBUF, size);
  }
}

/// One recvmsg with room for everything.
struct Received {
  sockaddr_storage from{};
  alignas(cmsghdr) std::array<std::byte, kControlSize> control{};
  std::array<std::byte, kDatagramSize> payload{};
  iovec part{};
  msghdr message{};

  /// The length, or -1.
  ssize_t receive(int fd, int flags) {
    part = {payload.data(), payload.size()};
    message = {};
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    return ::recvmsg(fd, &message, flags | MSG_DONTWAIT);
  }
};

Destination destination_of(msghdr& message) {
  Destination to;
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(at), sizeof(info));
      std::memcpy(to.ip.data(), &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(at), sizeof(info));
      std::memcpy(to.ip.data(), &info.ipi6_addr, sizeof(info.ipi6_addr));
      to.interface = info.ipi6_ifindex;
    }
  }
  return to;
}

/// Puts the source into the control part of `message`, whose buffer is `control`.
void put_source(msghdr& message, std::span<std::byte> control, Family family,
                const Destination& source) {
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const at = CMSG_FIRSTHDR(&message);
  if (family == Family::kIpv4) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.ip.data(), sizeof(info.ipi_spec_dst));
    at->cmsg_level = IPPROTO_IP;
    at->cmsg_type = IP_PKTINFO;
    at->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(at), &info, sizeof(info));
    message.msg_controllen = CMSG_SPACE(sizeof(info));
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.ip.data(), sizeof(info.ipi6_addr));
    info.ipi6_ifindex = source.interface;
    at->cmsg_level = IPPROTO_IPV6;
    at->cmsg_type = IPV6_PKTINFO;
    at->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(at), &info, sizeof(info));
    message.msg_controllen = CMSG_SPACE(sizeof(info));
  }
}

}  // namespace

void set_netlink_buffer(int fd, std::uint32_t buffer) {
  set_receive_buffer(fd, static_cast<int>(std::max(buffer, kLeastNetlinkBuffer)));
}

Result<NetlinkSocket> open_netlink(std::uint32_t buffer) {
  NetlinkSocket out;
  out.fd.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_RDMA));
  if (!out.fd) {
    return fail("open", "RDMA netlink socket", errno);
  }
  set_netlink_buffer(out.fd.get(), buffer);
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_groups = 1U << (RDMA_NL_GROUP_IWPM - 1U);
  socklen_t length = sizeof(own);
  auto* const address = static_cast<sockaddr*>(static_cast<void*>(&own));
  if (::bind(out.fd.get(), address, sizeof(own)) != 0 ||
      ::getsockname(out.fd.get(), address, &length) != 0) {
    return fail("bind", "RDMA netlink socket", errno);
  }
  out.port_id = own.nl_pid;
  return out;
}

NetlinkReceiver::NetlinkReceiver()
    : buffer_(std::make_unique_for_overwrite<std::byte[]>(kNetlinkBatch * kNetlinkDatagram)) {
  const std::size_t room =
      std::min(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), kNetlinkDatagram);
  for (std::size_t i = 0; i < kNetlinkBatch; ++i) {
    parts_.at(i) = {buffer_.get() + i * kNetlinkDatagram, room};
    headers_.at(i).msg_hdr.msg_name = &senders_.at(i);
    headers_.at(i).msg_hdr.msg_iov = &parts_.at(i);
    headers_.at(i).msg_hdr.msg_iovlen = 1;
  }
}

tl::expected<std::size_t, int> NetlinkReceiver::receive(int fd, const OnMessage& handle) {
  for (mmsghdr& header : headers_) {
    header.msg_hdr.msg_namelen = sizeof(sockaddr_nl);
  }
  const int got = ::recvmmsg(fd, headers_.data(), kNetlinkBatch, MSG_DONTWAIT, nullptr);
  if (got < 0) {
    return tl::make_unexpected(errno);
  }
  const auto count = static_cast<std::size_t>(got);
  for (std::size_t i = 0; i < count; ++i) {
    // Any process with CAP_NET_ADMIN may send to us; only the kernel has number 0.
    const mmsghdr& message = headers_.at(i);
    if (senders_.at(i).nl_pid == 0 && (message.msg_hdr.msg_flags & MSG_TRUNC) == 0) {
      handle(std::span(buffer_.get() + i * kNetlinkDatagram, message.msg_len));
    }
  }
  return count;
}

Result<core::UniqueFd> open_udp(const Address& local) {
  const bool v4 = local.family == Family::kIpv4;
  const std::string name = "UDP socket " + local.text();
  core::UniqueFd fd(
      ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return fail("open", name, errno);
  }
  const bool set = v4 ? set_option(fd.get(), IPPROTO_IP, IP_PKTINFO, 1) &&
                            set_option(fd.get(), IPPROTO_IP, IP_RECVERR, 1)
                      : set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                            set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                            set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVERR, 1);
  if (!set) {
    return fail("set options of", name, errno);
  }
  set_receive_buffer(fd.get(), kUdpBuffer);
  // Early in boot the address may not be there yet.
  if (!local.is_wildcard()) {
    static_cast<void>(v4 ? set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, 1)
                         : set_option(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1));
  }
  const SocketAddress address = to_socket(local);
  if (::bind(fd.get(), address.get(), address.length) != 0) {
    return fail("bind", name, errno);
  }
  return fd;
}

Result<void> take_only_questions(int fd) {
  // What the filter sees begins with the UDP header.
  constexpr std::uint32_t kHeader = 8;
  constexpr auto load_length = sock_filter{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0};
  constexpr auto load_first = sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, kHeader};
  const auto jump = [](std::size_t value, std::uint8_t if_equal, std::uint8_t if_not) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, if_equal, if_not,
                       static_cast<std::uint32_t>(value)};
  };
  const auto first_byte = [](WireType type, Family family) {
    return (static_cast<std::size_t>(type) << 4U) | static_cast<std::size_t>(family);
  };
  std::array program{
      load_length,
      jump(kHeader + kWireRequestSize, 0, 3),
      load_first,
      jump(first_byte(WireType::kRequest, Family::kIpv4), 5, 0),
      jump(first_byte(WireType::kRequest, Family::kIpv6), 4, 5),
      jump(kHeader + kWireSize, 0, 4),
      load_first,
      jump(first_byte(WireType::kAck, Family::kIpv4), 1, 0),
      jump(first_byte(WireType::kAck, Family::kIpv6), 0, 1),
      sock_filter{BPF_RET | BPF_K, 0, 0, std::numeric_limits<std::uint16_t>::max()},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0},
  };
  const sock_fprog filter{program.size(), program.data()};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0) {
    return fail("attach", "a filter to a UDP socket", errno);
  }
  return {};
}

struct UdpReceiver::Slot {
  sockaddr_storage from;
  alignas(cmsghdr) std::array<std::byte, kControlSize> control;
  std::array<std::byte, kDatagramSize> payload;
  iovec part;
};

UdpReceiver::UdpReceiver() : slots_(std::make_unique<std::array<Slot, kBatch>>()) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    Slot& slot = slots_->at(i);
    slot.part = {slot.payload.data(), slot.payload.size()};
    msghdr& header = headers_.at(i).msg_hdr;
    header.msg_name = &slot.from;
    header.msg_iov = &slot.part;
    header.msg_iovlen = 1;
    header.msg_control = slot.control.data();
  }
}

UdpReceiver::~UdpReceiver() = default;

void UdpReceiver::receive(int fd, const OnDatagram& handle) {
  for (unsigned taken = 0; taken < kDatagramsATurn; taken += kBatch) {
    for (mmsghdr& header : headers_) {
      header.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
      header.msg_hdr.msg_controllen = kControlSize;
    }
    const int got = ::recvmmsg(fd, headers_.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got); ++i) {
      const Slot& slot = slots_->at(i);
      msghdr& header = headers_.at(i).msg_hdr;
      const bool whole = (header.msg_flags & MSG_TRUNC) == 0;
      if (const auto from = from_socket(slot.from)) {
        handle(*from, destination_of(header),
               std::span(slot.payload).first(whole ? headers_.at(i).msg_len : 0));
      }
    }
    if (got < static_cast<int>(kBatch)) {
      return;
    }
  }
}

void receive_errors(int fd, const OnUnreachable& handle) {
  Received in;
  for (unsigned i = 0; i < kDatagramsATurn; ++i) {
    const ssize_t got = in.receive(fd, MSG_ERRQUEUE);
    if (got < 0) {
      return;
    }
    // With MSG_ERRQUEUE the name is where the datagram was sent to (ip(7)).
    if (const auto to = from_socket(in.from)) {
      handle(*to, std::span(in.payload).first(static_cast<std::size_t>(got)));
    }
  }
}

int send_datagram(int fd, const Address& peer, std::span<const std::byte> datagram,
                  const std::optional<Destination>& source) {
  SocketAddress to = to_socket(peer);
  // sendmsg() only reads it.
  iovec part{const_cast<std::byte*>(datagram.data()), datagram.size()};
  alignas(cmsghdr) std::array<std::byte, kControlSize> control{};
  msghdr message{};
  message.msg_name = to.get();
  message.msg_namelen = to.length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (source) {
    put_source(message, control, peer.family, *source);
  }
  // An error that the network reported for an earlier datagram is returned once, in the place of
  // sending this one.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      return 0;
    }
    if (errno == EAGAIN || errno == ENOBUFS) {
      break;
    }
  }
  return errno;
}

tl::expected<BoundPort, int> bind_port(Family family, std::uint16_t wanted) {
  BoundPort out;
  const bool v4 = family == Family::kIpv4;
  out.fd.reset(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!out.fd) {
    return tl::make_unexpected(errno);
  }
  if (!v4 && !set_option(out.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return tl::make_unexpected(errno);
  }
  Address any;
  any.family = family;
  any.port = wanted;
  SocketAddress address = to_socket(any);
  if (::bind(out.fd.get(), address.get(), address.length) != 0 ||
      ::getsockname(out.fd.get(), address.get(), &address.length) != 0) {
    return tl::make_unexpected(errno);
  }
  const auto bound = from_socket(address.storage);
  out.number = bound ? bound->port : wanted;
  return out;
}

tl::expected<BoundPort, int> SparePorts::take(Family family) {
  Spare& spare = family == Family::kIpv4 ? four_ : six_;
  spare.wanted = true;
  if (spare.ports.empty()) {
    return bind_port(family, 0);
  }
  BoundPort port = std::move(spare.ports.back());
  spare.ports.pop_back();
  return port;
}

void SparePorts::fill() {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    Spare& spare = family == Family::kIpv4 ? four_ : six_;
    while (spare.wanted && spare.ports.size() < kSpare) {
      auto port = bind_port(family, 0);
      if (!port) {
        break;
      }
      spare.ports.push_back(std::move(*port));
    }
  }
}

}  // namespace rdmaboot::iwpm
