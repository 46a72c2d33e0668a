// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The daemon's sockets: opening, and single datagrams in and out. No policy.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <tl/expected.hpp>

#include "core/unique_handle.hpp"
#include "iwpm/address.hpp"
#include "iwpm/session.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

/// Most datagrams that are taken from a socket before others get their turn.
inline constexpr unsigned kDatagramsATurn = 64;
/// Largest netlink datagram that there is (bytes): the kernel packs its list into pages, but 8 KiB
/// at most (NLMSG_GOODSIZE). More room is not asked for than a page has: the kernel makes the
/// trailer of each answer as large as the largest receive that it has seen.
inline constexpr std::size_t kNetlinkDatagram = 8192;
/// Most netlink datagrams that one call receives.
inline constexpr std::size_t kNetlinkBatch = 8;

/// Least receive buffer of the netlink socket (bytes): with less the kernel cannot send its list.
inline constexpr std::uint32_t kLeastNetlinkBuffer = 65'536;

/// Receive buffer of a UDP socket (bytes): some 5,000 requests that come at once, of hosts that
/// start together. Linux's default holds 270.
inline constexpr int kUdpBuffer = 4 << 20;

/// The NETLINK_RDMA socket.
struct NetlinkSocket {
  core::UniqueFd fd;
  std::uint32_t port_id = 0;
};

/// Opens the netlink socket, subscribed to the kernel's search for a port mapper.
/// @param buffer bytes, kLeastNetlinkBuffer if that is more; more than net.core.rmem_max needs
/// CAP_NET_ADMIN, without it that is the most Errors: EPROTONOSUPPORT where the kernel has no RDMA
/// core; EPERM.
[[nodiscard]] core::Result<NetlinkSocket> open_netlink(std::uint32_t buffer);

/// Sets the receive buffer of an open netlink socket, as open_netlink() does.
void set_netlink_buffer(int fd, std::uint32_t buffer);

/// Receives what is there, kNetlinkBatch datagrams at most, with one call.
class NetlinkReceiver {
 public:
  NetlinkReceiver();
  NetlinkReceiver(const NetlinkReceiver&) = delete;  // headers_ points into it
  NetlinkReceiver& operator=(const NetlinkReceiver&) = delete;
  ~NetlinkReceiver() = default;

  using OnMessage = std::function<void(std::span<const std::byte> datagram)>;
  /// Hands out those that the kernel sent; others, and those that were cut, are dropped.
  /// Returns how many were received. Errors: EAGAIN when there was none; ENOBUFS when some were
  /// lost.
  [[nodiscard]] tl::expected<std::size_t, int> receive(int fd, const OnMessage& handle);

 private:
  std::unique_ptr<std::byte[]> buffer_;  // not filled: what is never used takes no memory
  std::array<sockaddr_nl, kNetlinkBatch> senders_{};
  std::array<iovec, kNetlinkBatch> parts_{};
  std::array<mmsghdr, kNetlinkBatch> headers_{};
};

/// Opens a UDP socket of `local`'s family, bound to it (port 0: any). An IPv6 socket takes no IPv4.
/// Answers are sent from the address that was asked (see UdpReceiver), errors of the
/// network are queued. Errors: errno; EAFNOSUPPORT where the kernel lacks the family.
[[nodiscard]] core::Result<core::UniqueFd> open_udp(const Address& local);

/// The address a datagram was sent to, to answer from it.
struct Destination {
  IpBytes ip{};
  std::uint32_t interface = 0;
};

/// Has the kernel drop what is neither a request nor an acknowledgement, by length and first byte,
/// before it takes room in the receive buffer or wakes us. The session checks all the same. Errors:
/// errno.
[[nodiscard]] core::Result<void> take_only_questions(int fd);

/// Receives datagrams, several with one call.
class UdpReceiver {
 public:
  /// Most datagrams that one call receives.
  static constexpr std::size_t kBatch = 32;
  UdpReceiver();
  UdpReceiver(const UdpReceiver&) = delete;  // headers_ points into it
  UdpReceiver& operator=(const UdpReceiver&) = delete;
  ~UdpReceiver();

  using OnDatagram = std::function<void(const Address& from, const Destination& to,
                                        std::span<const std::byte> datagram)>;
  /// Takes at most kDatagramsATurn datagrams; the span is empty for one that is longer than any of
  /// the protocol. Stops at the first error, which is no matter for a UDP socket: it is there again
  /// at the next call.
  void receive(int fd, const OnDatagram& handle);

 private:
  struct Slot;
  std::unique_ptr<std::array<Slot, kBatch>> slots_;
  std::array<mmsghdr, kBatch> headers_{};
};

using OnUnreachable = std::function<void(const Address& to, std::span<const std::byte> sent)>;
/// Takes at most kDatagramsATurn entries off the error queue: datagrams of ours that came back.
void receive_errors(int fd, const OnUnreachable& handle);

/// Sends one datagram, from `source` if that is given. Returns 0 or an errno value.
[[nodiscard]] int send_datagram(int fd, const Address& peer, std::span<const std::byte> datagram,
                                const std::optional<Destination>& source);

/// A TCP port of the family that nobody else gets as long as the descriptor is open: bound to the
/// any-address, never listening. `wanted` 0: any port. The error is an errno value.
struct BoundPort {
  core::UniqueFd fd;
  std::uint16_t number = 0;
};
[[nodiscard]] tl::expected<BoundPort, int> bind_port(Family family, std::uint16_t wanted);

/// Ports that are bound in advance, so that nobody waits while one is looked for. None of a family
/// before one was wanted.
class SparePorts {
 public:
  /// How many of a family there are at rest.
  static constexpr std::size_t kSpare = 8;

  /// One of them, or a new one.
  [[nodiscard]] tl::expected<BoundPort, int> take(Family family);
  /// Binds as many as were taken. An error is no matter: take() tries again.
  void fill();
  [[nodiscard]] std::size_t size() const { return four_.ports.size() + six_.ports.size(); }

 private:
  struct Spare {
    bool wanted = false;
    std::vector<BoundPort> ports;
  };
  Spare four_;
  Spare six_;
};

}  // namespace rdmaboot::iwpm
