// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Netlink multicast as a doorbell: that something changed, not what. Who is woken reads again.

#include <cstddef>

#include <libmnl/libmnl.h>

#include "core/unique_handle.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Most datagrams that one drain() takes; the rest makes the descriptor readable again.
inline constexpr std::size_t kNoticesADrain = 256;

/// A subscription to multicast groups. Not thread-safe.
class NetlinkNotices {
 public:
  /// Links, IPv4 and IPv6 addresses of the caller's network namespace (rtnetlink(7)). Errors:
  /// errno.
  [[nodiscard]] static core::Result<NetlinkNotices> routes();

  /// RDMA devices and their netdevs: group RDMA_NL_GROUP_NOTIFY, which kernels from 6.12 send to.
  /// Older ones accept the subscription and stay silent.
  /// Errors: EPROTONOSUPPORT where ib_core is not loaded. The kernel then tries to load a module
  /// for it, so do not ask on a machine without /sys/class/infiniband. EPERM without CAP_NET_ADMIN
  /// where the kernel wants it.
  [[nodiscard]] static core::Result<NetlinkNotices> rdma();

  /// Readable when there is a notice.
  [[nodiscard]] int fd() const;
  /// "rtnetlink" or "RDMA netlink".
  [[nodiscard]] const char* origin() const { return origin_; }
  /// Takes the notices that are there, without waiting. An overrun (ENOBUFS) is a notice too.
  void drain();

 private:
  using Socket = core::UniqueHandle<mnl_socket, mnl_socket_close>;
  NetlinkNotices(Socket socket, const char* origin) : socket_(std::move(socket)), origin_(origin) {}

  Socket socket_;
  const char* origin_;
};

}  // namespace rdmaboot::os
