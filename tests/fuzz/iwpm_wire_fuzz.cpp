// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
// The decoder of the datagrams between port mappers: what it takes, it writes back the same, but
// for bytes that carry nothing.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "iwpm/wire_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::iwpm;
  const std::vector<std::uint8_t> copy(data, data + size);
  const auto bytes = std::as_bytes(std::span(copy));
  static_cast<void>(handle_of(bytes));
  const auto message = decode(bytes);
  if (!message) {
    return 0;
  }
  const WireBytes again = encode(*message);
  const auto back = decode(again.view());
  if (again.size != size || !back || back->type != message->type ||
      back->handle != message->handle || !(back->connecting == message->connecting) ||
      !(back->accepting == message->accepting) ||
      !(back->connecting_mapped == message->connecting_mapped)) {
    std::abort();
  }
  return 0;
}
