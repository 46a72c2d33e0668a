// SPDX-License-Identifier: BSD-2-Clause
#include "os/hostname.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {

core::Result<std::string> join_hostname_of_init() {
  constexpr const char* kNameSpace = "/proc/1/ns/uts";
  const core::UniqueFd name_space(::open(kNameSpace, O_RDONLY | O_CLOEXEC));
  if (!name_space) {
    return core::fail("open", kNameSpace, errno);
  }
  if (::setns(name_space.get(), CLONE_NEWUTS) != 0) {
    return core::fail("join", kNameSpace, errno);
  }
  constexpr std::size_t kLimit = 64;  // __NEW_UTS_LEN of the kernel
  std::array<char, kLimit + 1> name{};
  if (::gethostname(name.data(), name.size()) != 0) {
    return core::fail("read", "host name", errno);
  }
  name.back() = '\0';
  return std::string(name.data());
}

}  // namespace rdmaboot::os
