// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/dump_socket.hpp"

#include <array>
#include <cerrno>
#include <cstdio>

#include <sys/socket.h>
#include <unistd.h>

#include "core/unique_handle.hpp"
#include "program/text_server.hpp"

namespace rdmaboot::iwpm {

using core::fail;

core::Result<int> print_dump() {
  const auto address = program::socket_address(kDumpSocket);
  if (!address) {
    return tl::make_unexpected(address.error());
  }
  const core::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const generic = static_cast<const sockaddr*>(static_cast<const void*>(&*address));
  if (!fd || ::connect(fd.get(), generic, sizeof(*address)) != 0) {
    return fail("connect to", kDumpSocket, errno, "expected a running iwpmd");
  }
  std::array<char, 65'536> buffer{};
  ssize_t got = 0;
  while ((got = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
    if (std::fwrite(buffer.data(), 1, static_cast<std::size_t>(got), stdout) !=
        static_cast<std::size_t>(got)) {
      return fail("write", "standard output", errno);
    }
  }
  if (got < 0) {
    return fail("read", kDumpSocket, errno);
  }
  return 0;
}

}  // namespace rdmaboot::iwpm
