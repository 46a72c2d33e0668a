// SPDX-License-Identifier: BSD-2-Clause
#include "program/notify.hpp"

#include <cstdlib>

#include "os/datagram.hpp"

namespace rdmaboot::program {

core::Result<void> notify(std::string_view state) {
  const char* const address = std::getenv("NOTIFY_SOCKET");
  if (address == nullptr || *address == '\0') {
    return {};
  }
  return os::send_datagram(address, state);
}

}  // namespace rdmaboot::program
