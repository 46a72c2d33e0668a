// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
// The decoder of o2iblnd's messages, descriptors and LNet headers in both byte orders: what it
// takes can be written again and then reads the same.
#include <cstdlib>
#include <vector>

#include "engine/wire.hpp"

namespace {

using namespace rdmaboot::engine::wire;
using Bytes = std::vector<std::byte>;

Bytes write(const Message& message, const EncodeOptions& options) {
  Bytes bytes(kMessageBytes);
  bytes.resize(encode(message.header, message.body, bytes, options));
  return bytes;
}

/// A sum over every fragment there is.
std::uint64_t touch(const Descriptor& descriptor) {
  std::uint64_t sum = descriptor.fragments.total_bytes();
  for (std::size_t index = 0; index < descriptor.fragments.size(); ++index) {
    sum ^= descriptor.fragments[index].address;
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(std::as_bytes(std::span(data, size)).begin(),
                    std::as_bytes(std::span(data, size)).end());
  Envelope envelope;
  const auto message = decode(input, &envelope);
  if (!message) {
    return to_string(message.error()).empty() ? (std::abort(), 0) : 0;
  }
  const auto* immediate = std::get_if<Immediate>(&message->body);
  if (immediate != nullptr &&
      (!immediate->complete() || immediate->payload.size() > kMaxImmediatePayload)) {
    return 0;  // read, to be dropped; not to be written
  }
  if (envelope.bytes > size) {
    std::abort();
  }
  std::uint64_t sums[2] = {};
  for (const bool swapped : {false, true}) {
    const EncodeOptions options{.checksum = envelope.checksum, .swapped = swapped};
    const Bytes first = write(*message, options);
    const auto again = decode(first);
    if (first.empty() || !again || write(*again, options) != first) {
      std::abort();
    }
    if (const auto* ack = std::get_if<PutAck>(&again->body)) {
      sums[swapped ? 1 : 0] = touch(ack->sink);
    } else if (const auto* get = std::get_if<GetRequest>(&again->body)) {
      sums[swapped ? 1 : 0] = touch(get->sink);
    }
  }
  if (sums[0] != sums[1]) {
    std::abort();
  }
  return 0;
}
