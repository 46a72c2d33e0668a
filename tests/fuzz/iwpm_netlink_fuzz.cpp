// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
// The decoder of the kernel's port-mapper messages, over any datagram.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "iwpm/netlink_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::iwpm;
  const std::vector<std::uint8_t> copy(data, data + size);
  auto rest = std::as_bytes(std::span(copy));
  std::size_t messages = 0;
  while (const auto message = next_message(rest)) {
    ++messages;
    if (const auto* const pid = std::get_if<RegisterPid>(&message->body);
        pid != nullptr && pid->device.size() > kTextLimit) {
      std::abort();
    }
  }
  // A message has a header of 16 bytes: no input keeps the decoder busy.
  if (!rest.empty() || messages * 16 > size) {
    std::abort();
  }
  return 0;
}
