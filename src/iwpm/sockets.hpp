// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The daemon's sockets: opening, and single datagrams in and out. No policy.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <tl/expected.hpp>

#include "core/unique_handle.hpp"
#include "iwpm/address.hpp"
#include "iwpm/session.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::iwpm {

/// Most datagrams that are taken from a socket before others get their turn.
inline constexpr unsigned kDatagramsATurn = 64;
/// Largest netlink datagram that is taken (bytes). The kernel packs its list into pages.
inline constexpr std::size_t kNetlinkDatagram = 65'536;

/// The NETLINK_RDMA socket.
struct NetlinkSocket {
  core::UniqueFd fd;
  std::uint32_t port_id = 0;
};

/// Opens the netlink socket, subscribed to the kernel's search for a port mapper.
/// @param buffer bytes; more than net.core.rmem_max needs CAP_NET_ADMIN, without it that is the
/// most Errors: EPROTONOSUPPORT where the kernel has no RDMA core; EPERM.
[[nodiscard]] core::Result<NetlinkSocket> open_netlink(std::uint32_t buffer);

/// Sets the receive buffer of an open netlink socket, as open_netlink() does.
void set_netlink_buffer(int fd, std::uint32_t buffer);

/// Receives one datagram into `buffer`. The size is 0 for one that is not of the kernel, or cut.
/// Errors: EAGAIN when there is none; ENOBUFS when some were lost.
[[nodiscard]] tl::expected<std::size_t, int> receive_netlink(int fd, std::span<std::byte> buffer);

/// Opens a UDP socket of `local`'s family, bound to it (port 0: any). An IPv6 socket takes no IPv4.
/// Answers are sent from the address that was asked (see receive_datagrams()), errors of the
/// network are queued. Errors: errno; EAFNOSUPPORT where the kernel lacks the family.
[[nodiscard]] core::Result<core::UniqueFd> open_udp(const Address& local);

/// The address a datagram was sent to, to answer from it.
struct Destination {
  IpBytes ip{};
  std::uint32_t interface = 0;
};

using OnDatagram = std::function<void(const Address& from, const Destination& to,
                                      std::span<const std::byte> datagram)>;
/// Receives at most kDatagramsATurn datagrams. Stops at the first error, which is no matter for a
/// UDP socket: it is there again at the next call.
void receive_datagrams(int fd, const OnDatagram& handle);

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

}  // namespace rdmaboot::iwpm
