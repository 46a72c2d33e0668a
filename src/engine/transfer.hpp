// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What is under way: a transfer as its user started it, the exchanges (one LNet message with its
// answers) that it is cut into, and the messages that wait to be posted. Plain data in slabs; the
// engine moves it along.

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

#include "engine/credits.hpp"
#include "engine/deadlines.hpp"
#include "engine/memory.hpp"
#include "engine/scatter.hpp"
#include "engine/slab.hpp"
#include "engine/wire.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

struct Connection;
struct Peer;
struct Exchange;

enum class TransferKind : std::uint8_t { kPut, kGet, kPing };

/// A transfer of the user's (or, without anybody to tell, a probe of the engine's own).
struct Transfer {
  std::uint64_t handle = 0;
  TransferKind kind = TransferKind::kPut;
  Peer* peer = nullptr;
  std::span<const iovec> fragments;
  std::uint64_t total = 0;
  Cursor cursor;                ///< where the next slice begins
  std::uint64_t cut_bytes = 0;  ///< in slices already
  bool all_cut = false;
  std::uint32_t slices = 0;            ///< under way
  std::uint64_t reached = UINT64_MAX;  ///< bytes that are sure to be in order; lowest of all ends
  TransferStatus status = TransferStatus::kOk;  ///< the first that was not kOk
  int error_number = 0;
  std::uint32_t portal = 0;
  std::uint64_t match_bits = 0;
  std::uint32_t offset = 0;
  std::uint64_t header_data = 0;
  bool acknowledged = false;
  bool delivered = false;  ///< a ping that was answered
  bool probe = false;      ///< decides whether the peer is admitted again
  Duration deadline{0};    ///< absolute; 0: none of its own
  Duration started{0};
  WhenDone done;
  WhenPinged pinged;
  Timer timer;
  Link<Transfer> waiting;  ///< in the peer's queue: has slices to cut
};

enum class ExchangeRole : std::uint8_t {
  kPutImmediate,  ///< mine: sent, and perhaps waiting for LNet's ACK
  kPutSource,     ///< mine, or a long REPLY: PUT_REQ, PUT_ACK, writes and PUT_DONE
  kGetImmediate,  ///< mine: sent, waiting for LNet's REPLY
  kGetSink,       ///< mine: GET_REQ, waiting for GET_DONE
  kPutSink,       ///< the peer's, or a long REPLY to mine: PUT_ACK, waiting for PUT_DONE
  kGetSource,     ///< the peer's: writes and GET_DONE
  kAnswer,        ///< one message that nothing follows: NAK, DONE with an error, REPLY, ACK
};

/// One LNet message, from its first to its last message on the wire.
struct Exchange {
  std::uint64_t handle = 0;  ///< the cookie of the exchange, and of the handles in LNet headers
  ExchangeRole role = ExchangeRole::kAnswer;
  Connection* connection = nullptr;
  Transfer* transfer = nullptr;  ///< mine only
  std::uint64_t exposure = 0;    ///< handle; the peer's only
  Slice slice;
  std::uint64_t offset = 0;  ///< in the transfer or the exposed buffer, bytes
  Lease lease;
  std::uint16_t sends = 0;   ///< messages queued or posted
  std::uint16_t posted = 0;  ///< of these and of invalidates, posted
  bool waits_for_answer = false;
  bool writes_done = false;   ///< of a PUT: its PUT_DONE arrived; LNet's ACK may follow
  bool ack_received = false;  ///< LNet's
  bool killing_key = false;   ///< the invalidate is posted
  bool ended = false;         ///< the outcome below stands
  TransferStatus status = TransferStatus::kOk;
  int error_number = 0;
  std::uint64_t bytes = 0;
  wire::Cookie peer_cookie{};  ///< for PUT_DONE
  // Of a PUT that wants LNet's ACK, at its sink.
  bool ack_wanted = false;
  wire::Handle ack_handle;
  std::uint64_t match_bits = 0;
  std::uint64_t header_data = 0;
  Timer timer;
  Link<Exchange> on_connection;
};

/// A message that is encoded, except for its credits, and waits for its place in the send queue; or
/// an invalidate, which has no message.
struct Outgoing {
  std::uint64_t handle = 0;
  MessageBuffer buffer;
  wire::Type type = wire::Type::kNoop;
  bool invalidate = false;
  bool binds = false;  ///< the exchange's window first
  Toll toll = Toll::kNoop;
  std::uint8_t given = 0;  ///< credits in its header, once in a chain
  std::uint32_t bytes = 0;
  std::uint64_t exchange = 0;     ///< handle; 0: nobody's
  std::uint64_t write_bytes = 0;  ///< to be written before it
  std::uint32_t remote_key = 0;
  std::uint32_t remote_fragments = 0;  ///< kept at the buffer's end, as they travel
  std::uint32_t requests = 0;          ///< with its bind and its writes
  Link<Outgoing> queue;
};

/// Fragments of the peer's descriptor are kept behind the completion message, in the same buffer.
inline constexpr std::size_t kKeptFragmentsOffset = 1008;
static_assert(kKeptFragmentsOffset + wire::kMaxFragments * wire::kFragmentBytes <=
              wire::kMessageBytes);
static_assert(wire::kCompletionBytes <= kKeptFragmentsOffset);

/// A buffer that peers reach under its match bits.
struct Exposure {
  std::uint64_t handle = 0;
  std::vector<iovec> fragments;
  std::uint64_t total = 0;
  ExposeOptions options;
  std::uint32_t users = 0;  ///< exchanges
  bool withdrawn = false;
};

}  // namespace rdmaboot::engine
