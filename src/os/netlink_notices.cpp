// SPDX-License-Identifier: BSD-2-Clause
#include "os/netlink_notices.hpp"

#include <array>
#include <cerrno>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace rdmaboot::os {
namespace {

using core::fail;
using core::Result;

/// RDMA_NL_GROUP_NOTIFY of <rdma/rdma_netlink.h>, which headers before Linux 6.12 do not name.
constexpr int kRdmaGroupNotify = 4;

}  // namespace

Result<NetlinkNotices> NetlinkNotices::routes() {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    return fail("open", "rtnetlink socket", errno);
  }
  if (mnl_socket_bind(socket.get(), RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
                      MNL_SOCKET_AUTOPID) != 0) {
    return fail("listen to links and addresses on", "rtnetlink socket", errno);
  }
  return NetlinkNotices(std::move(socket), "rtnetlink");
}

Result<NetlinkNotices> NetlinkNotices::rdma() {
  Socket socket(mnl_socket_open2(NETLINK_RDMA, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    return fail("open", "RDMA netlink socket", errno);
  }
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return fail("bind", "RDMA netlink socket", errno);
  }
  int group = kRdmaGroupNotify;
  if (mnl_socket_setsockopt(socket.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return fail("listen to devices on", "RDMA netlink socket", errno);
  }
  return NetlinkNotices(std::move(socket), "RDMA netlink");
}

int NetlinkNotices::fd() const {
  return mnl_socket_get_fd(socket_.get());
}

void NetlinkNotices::drain() {
  // What does not fit is cut off, which does not matter here.
  std::array<char, 64> buffer{};
  for (std::size_t i = 0; i < kNoticesADrain; ++i) {
    if (::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) < 0 && errno != ENOBUFS &&
        errno != EINTR) {
      return;
    }
  }
}

}  // namespace rdmaboot::os
