// SPDX-License-Identifier: BSD-2-Clause
#include "engine/credits.hpp"

#include <algorithm>
#include <cassert>

namespace rdmaboot::engine {

namespace {

constexpr std::uint32_t kMaxNoopsPosted = 2;  ///< version 2: the peer's two extra receives
constexpr std::uint16_t kVersion1HighWater = 7;

/// The credits that a NOOP takes back, of a queue of `depth`.
std::uint16_t high_water_of(const CreditTerms& terms, std::uint16_t depth) {
  if (terms.version == wire::Version::k1) {
    // With fewer credits than the kernel's 8 it must still be below the depth: the peer stops one
    // credit before the last, and what it has sent is all that can ever be owed.
    return std::clamp<std::uint16_t>(static_cast<std::uint16_t>(depth - 1), 1, kVersion1HighWater);
  }
  const auto configured = std::max<std::uint32_t>(terms.configured_depth, 2);
  const auto wanted =
      std::clamp<std::uint32_t>(terms.configured_high_water, configured / 2, configured - 1);
  const std::uint32_t scaled = depth * wanted / configured;
  // More than half of the depth, which is one more than the kernel's default. The peer does not use
  // what a NOOP brings before its buffer is posted again, so two such NOOPs are never in the peer's
  // receives at once: together they would bring more credits than there are. Of the two receives
  // for NOOPs one is left for a keepalive, which brings none and can be overtaken by both.
  return static_cast<std::uint16_t>(std::max<std::uint32_t>(scaled, depth / 2U + 1));
}

std::uint16_t concurrent_sends_of(const CreditTerms& terms) {
  const std::uint32_t depth = std::max<std::uint32_t>(terms.configured_depth, 1);
  const std::uint32_t wanted = terms.concurrent_sends == 0 ? depth : terms.concurrent_sends;
  return static_cast<std::uint16_t>(
      terms.version == wire::Version::k1
          ? std::clamp<std::uint32_t>(wanted, wire::kVersion1Depth / 2, 2 * wire::kVersion1Depth)
          : std::clamp<std::uint32_t>(wanted, std::max<std::uint32_t>(depth / 2, 1), 2 * depth));
}

}  // namespace

Toll toll_of(wire::Type type) {
  switch (type) {
    case wire::Type::kImmediate:
    case wire::Type::kPutRequest:
    case wire::Type::kGetRequest:
      return Toll::kCredit;
    case wire::Type::kNoop:
      return Toll::kNoop;
    default:
      return Toll::kFree;
  }
}

CreditLedger::CreditLedger(const CreditTerms& terms)
    : terms_(terms), version_(terms.version), concurrent_sends_(concurrent_sends_of(terms)) {
  assert(terms.depth >= wire::least_depth(version_));
  set_depth(std::clamp<std::uint16_t>(terms.depth, 1, wire::kMaxDepth));
}

void CreditLedger::set_depth(std::uint16_t depth) {
  depth_ = credits_ = reserved_ = peer_credits_ = depth;
  high_water_ = high_water_of(terms_, depth);
}

bool CreditLedger::lower_depth(std::uint16_t depth) {
  if (depth < wire::least_depth(version_) || depth > depth_ || used_) {
    return false;
  }
  set_depth(depth);
  return true;
}

bool CreditLedger::costs_credit(Toll toll) const {
  return toll == Toll::kCredit || (toll == Toll::kNoop && version_ == wire::Version::k1);
}

void CreditLedger::open_exchange() {
  assert(reserved_ > 0);
  reserved_ = reserved_ == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(reserved_ - 1);
}

void CreditLedger::cancel_exchange() {
  assert(reserved_ < depth_);
  reserved_ = std::min<std::uint16_t>(static_cast<std::uint16_t>(reserved_ + 1), depth_);
}

bool CreditLedger::may_post(Toll toll) const {
  if (posted_ >= concurrent_sends_) {
    return false;
  }
  const bool first_version = version_ == wire::Version::k1;
  switch (toll) {
    case Toll::kFree:
      return true;
    case Toll::kCredit:
      return credits_ > (first_version ? 1 : 0);
    case Toll::kNoop:
      return first_version ? credits_ > 0 : noops_posted_ < kMaxNoopsPosted;
  }
  return false;
}

std::uint8_t CreditLedger::post(Toll toll) {
  assert(may_post(toll));
  used_ = true;
  if (costs_credit(toll) && credits_ > 0) {
    --credits_;
  }
  ++posted_;
  if (toll == Toll::kNoop) {
    ++noops_posted_;
  }
  // Never above the depth, which fits.
  const auto given = static_cast<std::uint8_t>(owed_);
  owed_ = 0;
  peer_credits_ = static_cast<std::uint16_t>(peer_credits_ + given);
  return given;
}

void CreditLedger::undo_post(Toll toll, std::uint8_t given) {
  completed(toll);
  if (costs_credit(toll) && credits_ < depth_) {
    ++credits_;
  }
  assert(peer_credits_ >= given);
  const std::uint16_t back = std::min<std::uint16_t>(peer_credits_, given);
  owed_ = static_cast<std::uint16_t>(owed_ + back);
  peer_credits_ = static_cast<std::uint16_t>(peer_credits_ - back);
}

void CreditLedger::completed(Toll toll) {
  assert(posted_ > 0 && (toll != Toll::kNoop || noops_posted_ > 0));
  if (posted_ > 0) {
    --posted_;
  }
  if (toll == Toll::kNoop && noops_posted_ > 0) {
    --noops_posted_;
  }
}

bool CreditLedger::noop_due(const Waiting& waiting, bool keepalive_due) const {
  // Whatever else could go out now carries the credits as well.
  if (waiting.answers || (owed_ < high_water_ && !keepalive_due) || !may_post(Toll::kNoop)) {
    return false;
  }
  if (version_ == wire::Version::k1) {
    // The last credit is spent only on giving some back: otherwise both sides could end with none.
    return !(credits_ == 1 && owed_ == 0) && (!waiting.paying || credits_ == 1);
  }
  return !waiting.paying || credits_ == 0;
}

wire::Decoded<void> CreditLedger::received(wire::Type type, std::uint8_t credits) {
  used_ = true;
  const std::uint32_t total = std::uint32_t{credits_} + held_credits_ + credits;
  if (total > depth_) {
    return tl::unexpected(wire::DecodeError{wire::Field::kCredits, total, depth_});
  }
  if (costs_credit(toll_of(type))) {
    if (peer_credits_ == 0) {
      return tl::unexpected(wire::DecodeError{wire::Field::kNoCredit, 1, 0});
    }
    --peer_credits_;
  }
  if (type == wire::Type::kNoop && version_ == wire::Version::k2) {
    held_credits_ = static_cast<std::uint16_t>(held_credits_ + credits);
    ++held_noops_;
    return {};
  }
  credits_ = static_cast<std::uint16_t>(credits_ + credits);
  return {};
}

void CreditLedger::noop_reposted() {
  if (held_noops_ > 0 && --held_noops_ == 0) {
    credits_ = static_cast<std::uint16_t>(credits_ + held_credits_);
    held_credits_ = 0;
  }
}

void CreditLedger::reposted(wire::Type type, bool put_acknowledged) {
  switch (type) {
    case wire::Type::kNoop:
      if (version_ == wire::Version::k2) {
        noop_reposted();
        return;
      }
      break;
    case wire::Type::kPutRequest:
      if (put_acknowledged) {
        return;
      }
      break;
    case wire::Type::kImmediate:
    case wire::Type::kPutDone:
    case wire::Type::kGetRequest:
      break;
    case wire::Type::kPutAck:
    case wire::Type::kPutNak:
    case wire::Type::kGetDone:
      // Clamped, not asserted: this is what a peer sent.
      reserved_ = std::min<std::uint16_t>(static_cast<std::uint16_t>(reserved_ + 1), depth_);
      return;
    default:
      return;
  }
  // A PUT_DONE that no PUT_REQ paid for earns nothing.
  if (owed_ + peer_credits_ < depth_) {
    ++owed_;
  }
}

}  // namespace rdmaboot::engine
