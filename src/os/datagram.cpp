// SPDX-License-Identifier: BSD-2-Clause
#include "os/datagram.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include <sys/socket.h>
#include <sys/un.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {

using core::fail;

core::Result<void> send_datagram(std::string_view address, std::string_view content) {
  if (address.size() < 2 || (address.front() != '/' && address.front() != '@')) {
    return fail("send to", address, EAFNOSUPPORT, "expected a path or @name");
  }
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (address.size() >= sizeof to.sun_path) {
    return fail("send to", address, ENAMETOOLONG);
  }
  std::copy(address.begin(), address.end(), std::begin(to.sun_path));
  std::size_t length = offsetof(sockaddr_un, sun_path) + address.size();
  if (address.front() == '@') {
    to.sun_path[0] = '\0';
  } else {
    ++length;  // the NUL at the end of a path
  }
  const core::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) {
    return fail("make", "a UNIX socket", errno);
  }
  const void* const name = &to;
  ssize_t sent = -1;
  do {
    sent = ::sendto(socket.get(), content.data(), content.size(), MSG_NOSIGNAL,
                    static_cast<const sockaddr*>(name), static_cast<socklen_t>(length));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    return fail("send to", address, errno);
  }
  return {};
}

}  // namespace rdmaboot::os
