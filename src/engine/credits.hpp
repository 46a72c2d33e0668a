// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The ledger of one connection's credits (section 6): it decides which message may be posted now,
// what a header gives back, and when a NOOP is due. It holds counts and nothing else: queues,
// cookies and buffers are the connection's.
//
// Who keeps to it never meets a peer without a posted receive: a message that is not an answer
// costs a credit, which comes back after the peer has posted the receive again; answers fit the
// receives that the asker keeps for its open exchanges.
//
// The way of a message out: open_exchange() if it is a request, then may_post(), post() (whose
// result goes into the header), and completed() when its send request came back. The way in:
// received() with what the header says, then, once its buffer is posted again, reposted().

#include <cstdint>

#include "engine/wire.hpp"

namespace rdmaboot::engine {

/// What posting a message costs.
enum class Toll : std::uint8_t {
  kCredit,  ///< IMMEDIATE, PUT_REQ, GET_REQ: one credit
  kFree,    ///< PUT_NAK, PUT_ACK, PUT_DONE, GET_DONE: the peer keeps a receive for it
  kNoop,    ///< version 2: one of two extra receives; version 1: a credit, and the last one will do
};
/// @param type any but CONNREQ and CONNACK, which travel outside
[[nodiscard]] Toll toll_of(wire::Type type);

/// How a connection's ledger begins.
struct CreditTerms {
  wire::Version version = wire::Version::k2;
  std::uint16_t depth = wire::kDefaultDepth;  ///< least_depth()..255; of version 1 at most 8
  /// At so many owed credits a NOOP takes them back, of a queue of `configured_depth`; 0: the
  /// default, the half. Clamped to configured_depth / 2 .. configured_depth - 1 and then scaled to
  /// the depth that was agreed on, as the kernel does (peer_credits_hiw, peer_credits); of version
  /// 2 it is always more than half of that depth, see high_water().
  std::uint16_t configured_high_water = 0;
  std::uint16_t configured_depth = wire::kDefaultDepth;
  /// Messages of any kind posted and not completed; 0: configured_depth. Clamped to
  /// configured_depth / 2 .. 2 * configured_depth; of version 1 4 .. 16.
  std::uint16_t concurrent_sends = 0;
};

/// Receives that a side posts before it connects or accepts: `depth` for what the peer pays for,
/// `depth` for answers, and of version 2 two for NOOPs.
[[nodiscard]] constexpr unsigned receives_of(wire::Version version, unsigned depth) {
  return 2 * depth + (version == wire::Version::k2 ? 2 : 0);
}

/// What waits in the connection's queues, as far as a NOOP depends on it.
struct Waiting {
  bool answers = false;  ///< something of Toll::kFree
  bool paying = false;   ///< something of Toll::kCredit that has its exchange, if it needs one
};

/// Not thread-safe. Calls out of turn (post() without may_post()) are programming errors: asserted
/// in debug builds, and clamped so that no count wraps in others.
class CreditLedger {
 public:
  explicit CreditLedger(const CreditTerms& terms);

  /// The acceptor agreed to a smaller depth (D4). The receives that are posted already stay: their
  /// number is the caller's (receives_of() of the depth asked for), never this ledger's.
  /// @return false, and nothing changes: a depth below least_depth() or above the present one, or a
  /// message was posted or received already
  [[nodiscard]] bool lower_depth(std::uint16_t depth);

  // ---- Out -------------------------------------------------------------------------------------

  /// A request may leave the queue of those that wait for an exchange.
  [[nodiscard]] bool may_open_exchange() const { return reserved_ > 0; }
  void open_exchange();
  /// A request that has its exchange will never be posted.
  void cancel_exchange();

  /// A message of this kind may be posted now: there is the credit, and a place in the send queue.
  /// Order is the caller's: answers, then a NOOP, then what pays, each first come first served.
  [[nodiscard]] bool may_post(Toll toll) const;
  /// @return the credits for the header: all that are owed
  [[nodiscard]] std::uint8_t post(Toll toll);
  /// A post failed and nothing of it went out. @param given what post() returned
  void undo_post(Toll toll, std::uint8_t given);
  /// A posted message's send request came back, with success or without.
  void completed(Toll toll);

  /// A NOOP should and may be posted now.
  /// @param keepalive_due nothing was posted for as long as the keepalive interval. That interval
  /// has to be longer than a peer takes to post the receive of a NOOP again: it says nothing when
  /// it has, so time is all there is to go by.
  [[nodiscard]] bool noop_due(const Waiting& waiting, bool keepalive_due) const;

  // ---- In --------------------------------------------------------------------------------------

  /// A message came. What a NOOP of version 2 gives back may be used once its buffer is posted
  /// again: otherwise the peer could run out of the two receives that it is for. Errors, both of
  /// which close the connection: more credits given back than were ever taken; a message that costs
  /// a credit and was sent without one.
  [[nodiscard]] wire::Decoded<void> received(wire::Type type, std::uint8_t credits);
  /// Its buffer is posted again.
  /// @param put_acknowledged of a PUT_REQ that was answered by PUT_ACK: its credit is kept until
  /// the PUT_DONE, for which the buffer is. Post it again before the PUT_ACK goes out.
  void reposted(wire::Type type, bool put_acknowledged = false);

  // ---- What it holds ---------------------------------------------------------------------------

  [[nodiscard]] wire::Version version() const { return version_; }
  [[nodiscard]] std::uint16_t depth() const { return depth_; }
  /// At least 1 (D3); of version 2 above half of the depth, so that a keepalive and the NOOPs that
  /// give credits back find the two receives that the peer has for them.
  [[nodiscard]] std::uint16_t high_water() const { return high_water_; }
  [[nodiscard]] std::uint16_t concurrent_sends() const { return concurrent_sends_; }
  [[nodiscard]] std::uint16_t credits() const { return credits_; }    ///< messages I may post
  [[nodiscard]] std::uint16_t reserved() const { return reserved_; }  ///< exchanges I may open
  [[nodiscard]] std::uint16_t owed() const { return owed_; }          ///< goes into the next header
  /// Of NOOPs whose buffer is not posted again yet; not in credits().
  [[nodiscard]] std::uint16_t held_credits() const { return held_credits_; }
  /// Messages that the peer may have paid for and sent, as far as I know what it has.
  [[nodiscard]] std::uint16_t peer_credits() const { return peer_credits_; }
  [[nodiscard]] std::uint32_t posted() const { return posted_; }  ///< and not completed
  [[nodiscard]] std::uint32_t noops_posted() const { return noops_posted_; }
  /// Nothing is open, owed, held or under way on this side.
  [[nodiscard]] bool at_rest() const {
    return credits_ == depth_ && reserved_ == depth_ && owed_ == 0 && posted_ == 0;
  }

 private:
  void set_depth(std::uint16_t depth);
  void noop_reposted();
  [[nodiscard]] bool costs_credit(Toll toll) const;

  CreditTerms terms_;
  wire::Version version_;
  std::uint16_t depth_ = 0;
  std::uint16_t high_water_ = 1;
  std::uint16_t concurrent_sends_ = 1;
  std::uint16_t credits_ = 0;
  std::uint16_t reserved_ = 0;
  std::uint16_t owed_ = 0;
  std::uint16_t peer_credits_ = 0;
  std::uint16_t held_credits_ = 0;  ///< of NOOPs whose buffer is not posted again yet
  std::uint32_t held_noops_ = 0;
  std::uint32_t posted_ = 0;
  std::uint32_t noops_posted_ = 0;
  bool used_ = false;
};

}  // namespace rdmaboot::engine
