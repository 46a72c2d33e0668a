// SPDX-License-Identifier: BSD-2-Clause
// The RDMA netlink decoders. First byte: which one; the rest: what the kernel is taken to have
// sent.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "os/rdma_netlink.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::os;
  if (size == 0) {
    return 0;
  }
  // A copy of its own: aligned as a receive buffer is, and with nothing readable behind it.
  const std::vector<std::uint8_t> copy(data + 1, data + size);
  const auto bytes = std::as_bytes(std::span(copy));
  switch (data[0] % 3U) {
    case 0: {
      const auto answer = decode_netlink_datagram(bytes, {5121, 1, 1, data[0] >= 128});
      std::size_t total = 0;
      for (std::size_t i = 0; answer && i < answer->payloads.size(); ++i) {
        total += answer->payloads[i].size();
        static_cast<void>(decode_netlink_device(answer->payloads[i]));
      }
      if (total > bytes.size()) {
        std::abort();
      }
      break;
    }
    case 1:
      if (const auto device = decode_netlink_device(bytes);
          device && (device->name.empty() || device->name.size() > kNetlinkTextLimit)) {
        std::abort();
      }
      break;
    default:
      if (const auto port = decode_netlink_port(bytes); port && port->port == 0) {
        std::abort();
      }
  }
  return 0;
}
