// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine
// Private data of the connection manager, as acceptor, as connector, and as one who was refused;
// and a ping's answer. The first byte says which, and in which setting.
#include <cstdlib>
#include <vector>

#include "engine/wire_connect.hpp"
#include "engine/wire_ping.hpp"

namespace {

using namespace rdmaboot::engine;
using namespace rdmaboot::engine::wire;

constexpr Nid kMe = Nid::o2ib(0x0a000001);
constexpr Nid kPeer = Nid::o2ib(0x0a000002);

void expect(bool claim) {
  if (!claim) {
    std::abort();
  }
}

void accept(std::span<const std::byte> data, std::uint8_t setting) {
  const AcceptorIdentity self{.nids = std::span(&kMe, 1),
                              .ready = (setting & 4) == 0,
                              .incarnation = 7,
                              .require_privileged_port = (setting & 8) != 0};
  const auto answer = check_connect_request(data, 1023, self);
  if (answer) {
    expect(answer->asked.queue_depth >= least_depth(answer->header.version) &&
           answer->asked.queue_depth <= self.limits.queue_depth);
    expect(answer->asked.max_fragments >= 1 && answer->asked.max_fragments <= kMaxFragments);
    expect(answer->header.destination == kMe && answer->header.source != Nid::any());
  } else {
    // What is sent can be read, and does not tell who we are to who asked for somebody else.
    const auto back = decode_reject(encode_reject(answer.error().reject));
    expect(back && back->why == answer.error().reject.why);
    expect(!to_string(answer.error().cause).empty());
  }
}

void connect(std::span<const std::byte> data, std::uint8_t setting) {
  const ConnectorIdentity self{.self = kMe,
                               .peer = kPeer,
                               .incarnation = 7,
                               .version = (setting & 4) != 0 ? Version::k1 : Version::k2};
  if (const auto agreed = check_connect_reply(data, self)) {
    expect(agreed->parameters.queue_depth >= least_depth(self.version) &&
           agreed->parameters.queue_depth <= self.asked.queue_depth);
    expect(agreed->parameters.max_fragments >= 1 &&
           agreed->parameters.max_fragments <= self.asked.max_fragments);
  }
}

void be_rejected(std::span<const std::byte> data) {
  if (const auto reject = decode_reject(data)) {
    const auto bytes = encode_reject(*reject);
    const auto again = decode_reject(bytes);
    expect(again && again->why == reject->why && again->version == reject->version);
    expect(!reject->limits || *again == *reject);
  }
}

void be_answered(std::span<const std::byte> data) {
  const auto info = decode_ping(data);
  if (!info) {
    return;
  }
  std::vector<std::byte> bytes(ping_bytes(info->entries.size()));
  expect(encode_ping(*info, bytes) == bytes.size());
  const auto again = decode_ping(bytes);
  expect(again && again->entries.size() == info->entries.size() &&
         again->primary() == info->primary());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  // A copy, so that a byte read behind its end is seen.
  const std::vector<std::uint8_t> copy(data + 1, data + size);
  const auto bytes = std::as_bytes(std::span(copy));
  switch (data[0] & 3) {
    case 0:
      accept(bytes, data[0]);
      break;
    case 1:
      connect(bytes, data[0]);
      break;
    case 2:
      be_rejected(bytes);
      break;
    default:
      be_answered(bytes);
      break;
  }
  return 0;
}
