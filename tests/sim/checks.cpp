// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string>

#include "run.hpp"

namespace rdmaboot::tests {

using core::Microseconds;
using engine::ExposureEvent;
using engine::TransferStatus;
using std::chrono::seconds;
using Kind = Action::Kind;

namespace {

constexpr std::byte kNobodys{0xee};  // what a buffer holds after its completion
constexpr std::size_t kImmediateBytes = 3976;
// Waiting for a connection, and then a time-out for each slice of the longest transfer.
constexpr Microseconds kLongestTransfer = seconds(60);

std::string name_of(std::uint64_t tag) {
  return "transfer " + std::to_string(tag);
}

}  // namespace

// ---- What is heard
// -------------------------------------------------------------------------------

void Run::on_event(void* context, const engine::EngineEvent& event) {
  constexpr std::array<std::string_view, 6> kNames{"connected",       "connection closed",
                                                   "request refused", "device up",
                                                   "device down",     "failed over"};
  const Host& host = *static_cast<const Host*>(context);
  host.run->tell("host " + std::to_string(host.number) +
                 " says: " + std::string(kNames.at(static_cast<std::size_t>(event.kind))) +
                 ", peer " + engine::to_string(event.peer) + ", " +
                 std::string(engine::to_string(event.reason)) + ", " + std::string(event.detail));
}

void Run::on_done(void* context, const engine::TransferResult& result) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.run->completed(transfer, result);
}

void Run::on_pinged(void* context, const engine::TransferResult& result,
                    const engine::PingReply* reply) {
  auto& transfer = *static_cast<Transfer*>(context);
  Run& run = *transfer.run;
  if ((result.status == TransferStatus::kOk) != (reply != nullptr)) {
    run.broken(name_of(transfer.tag) + ": a ping that succeeds has a reply");
  }
  if (reply != nullptr && run.healed_ && !run.reached_.empty()) {
    run.reached_[transfer.action.host][transfer.action.other] = true;
  }
  run.completed(transfer, result);
}

void Run::on_exposure(void* context, const ExposureEvent& event) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.run->heard(transfer, event);
}

void Run::completed(Transfer& transfer, const engine::TransferResult& result) {
  tell(name_of(transfer.tag) + ": " + std::string(engine::to_string(result.status)) + ", " +
       std::to_string(result.bytes) + " bytes, error " + std::to_string(result.error_number));
  note(transfer.tag * 64 + static_cast<std::uint64_t>(result.status));
  if (transfer.completed) {
    broken(name_of(transfer.tag) + " completes exactly once");
    return;
  }
  Host& host = hosts_[transfer.action.host];
  if (transfer.life != host.life) {
    broken(name_of(transfer.tag) + " ends with its engine");
    return;
  }
  transfer.completed = true;
  last_completion_ = world_.clock().now();
  --pending_;
  if (transfer.id && *transfer.id != result.id) {
    broken(name_of(transfer.tag) + " completes under its id");
  }
  const Action& action = transfer.action;
  const bool good = result.status == TransferStatus::kOk;
  verdict_.succeeded += good ? 1U : 0U;
  if (plan_.calm && !good && action.matched && action.fits && !action.withdraw_early && !ending_) {
    broken(name_of(transfer.tag) +
           " succeeds, as there is no fault: " + std::string(engine::to_string(result.status)));
  }
  if (action.kind == Kind::kPing) {
    return;
  }
  check_success(transfer, result);
  if (action.kind == Kind::kGet) {
    settle(host, *transfer.here, 0, transfer.here->length(), transfer.tag);
  }
  // It is its owner's again: who still reads or writes it is found out.
  transfer.here->fill_with(kNobodys);
  forget_memory_later(transfer);
}

void Run::forget_memory_later(Transfer& transfer) {
  if (!transfer.here_registered || ending_) {
    return;
  }
  world_.at(world_.clock().now(), [this, &transfer] {
    const Host& host = hosts_[transfer.action.host];
    if (over_ || ending_ || !host.engine || host.life != transfer.life) {
      return;
    }
    if (const auto gone = host.engine->forget_memory(transfer.here->span().data()); !gone) {
      broken(name_of(transfer.tag) +
             " is complete, so its memory can be forgotten: " + gone.error().message());
    }
  });
}

void Run::check_success(const Transfer& transfer, const engine::TransferResult& result) {
  const Action& action = transfer.action;
  if (result.bytes > action.size) {
    broken(name_of(transfer.tag) + ": no more bytes than were asked for");
    return;
  }
  if (result.status == TransferStatus::kOk && result.bytes != action.size) {
    broken(name_of(transfer.tag) + ": success means all bytes");
    return;
  }
  if (action.kind == Kind::kGet) {
    if (!transfer.here->holds(transfer.tag, 0, action.offset, result.bytes)) {
      broken(name_of(transfer.tag) + ": the bytes that a GET reports are there");
    }
    return;
  }
  if (result.status == TransferStatus::kOk) {
    check_put(transfer);
  }
}

/// What the success of a PUT says at once about the peer. An acknowledgement is the peer's word.
/// Without one a PUT is complete when the peer's adapter has it all, which says
/// - nothing of an IMMEDIATE: its peer may still drop it, or end before it looks;
/// - of one by RDMA, that the peer found a buffer with room for it: it answered with a PUT_ACK;
/// - that the bytes are there only where they were written to the buffer itself. From a bounce
///   buffer the peer copies them when it sees the PUT_DONE, and it may end before.
/// What has to come true later, while nothing fails, is in check_arrived().
void Run::check_put(const Transfer& transfer) {
  const Action& action = transfer.action;
  const bool by_rdma = action.size > kImmediateBytes;
  if (!action.acknowledged && !by_rdma) {
    return;
  }
  if (!transfer.there) {
    broken(name_of(transfer.tag) + ": a PUT succeeds only into a buffer");
    return;
  }
  // Of several slices the last may be an IMMEDIATE.
  const bool one_slice = action.size <= engine::kMaxSliceBytes;
  if ((action.acknowledged || one_slice) &&
      transfer.there->length() < action.offset + action.size) {
    broken(name_of(transfer.tag) + ": a PUT succeeds only where there is room for it");
    return;
  }
  const Host& peer = hosts_[action.other];
  if (!peer.engine || peer.life != transfer.peer_life) {
    return;  // it lost its memory since
  }
  if ((action.acknowledged || (one_slice && is_written_directly(transfer))) &&
      !transfer.there->holds(transfer.tag, action.offset, 0, action.size)) {
    broken(name_of(transfer.tag) + ": the bytes of a PUT that succeeded are there");
  }
}

/// The peer's policy for keys cannot choose a bounce buffer (src/engine/memory.hpp).
bool Run::is_written_directly(const Transfer& transfer) const {
  const HostPlan& peer = plan_.hosts[transfer.action.other];
  const bool short_of_memory =
      plan_.weather.no_memory != 0 ||
      std::any_of(plan_.actions.begin(), plan_.actions.end(),
                  [](const Action& action) { return action.kind == Kind::kNoMemory; });
  if (short_of_memory || transfer.there->parts().size() != 1 ||
      peer.settings.keys == engine::KeyPolicy::kBounce) {
    return false;
  }
  const bool window = peer.settings.keys == engine::KeyPolicy::kAuto &&
                      peer.limits.windows_type_2 && transfer.there_registered;
  return window || transfer.action.size >= peer.settings.registration_bytes;
}

/// While nothing fails every PUT into a buffer with room arrives, acknowledged or not.
void Run::check_arrived() {
  for (const auto& transfer : transfers_) {
    const Action& action = transfer->action;
    if (action.kind != Kind::kPut || !transfer->id || !action.matched || !action.fits ||
        action.withdraw_early) {
      continue;
    }
    std::uint64_t told = 0;
    for (const auto& [offset, length] : transfer->arrived) {
      told += length;
    }
    if (told != action.size ||
        !transfer->there->holds(transfer->tag, action.offset, 0, action.size)) {
      broken(name_of(transfer->tag) + ": a PUT that succeeded arrives, and the peer is told");
    }
  }
}

void Run::heard(Transfer& transfer, const ExposureEvent& event) {
  const Action& action = transfer.action;
  tell(name_of(transfer.tag) + "'s buffer: event " + std::to_string(static_cast<int>(event.kind)) +
       ", " + std::to_string(event.bytes) + " bytes at " + std::to_string(event.offset));
  note(transfer.tag * 64 + 32 + static_cast<std::uint64_t>(event.kind));
  Host& peer = hosts_[action.other];
  if (peer.life != transfer.peer_life || transfer.exposure_ended) {
    broken(name_of(transfer.tag) + "'s buffer is silent after its end");
    return;
  }
  switch (event.kind) {
    case ExposureEvent::Kind::kPut:
      if (action.kind != Kind::kPut || event.header_data != transfer.tag * 3 ||
          event.offset < action.offset ||
          !transfer.there->holds(transfer.tag, event.offset, event.offset - action.offset,
                                 event.bytes)) {
        broken(name_of(transfer.tag) + ": the bytes of a PUT are there when it is told");
        return;
      }
      transfer.arrived.emplace_back(event.offset, event.bytes);
      settle(peer, *transfer.there, event.offset, event.bytes, transfer.tag);
      return;
    case ExposureEvent::Kind::kGet:
      if (action.kind != Kind::kGet || event.offset + event.bytes > transfer.there->length()) {
        broken(name_of(transfer.tag) + ": a GET takes what is exposed to it");
      }
      return;
    case ExposureEvent::Kind::kFailed:
      if (plan_.calm && !action.withdraw_early && action.fits && !ending_) {
        broken(name_of(transfer.tag) + " fails nowhere, as there is no fault");
      }
      return;
    case ExposureEvent::Kind::kWithdrawn:
      transfer.exposure_ended = true;
      settle(peer, *transfer.there, 0, transfer.there->length(), transfer.tag);
      return;
  }
}

// ---- What has to hold
// ----------------------------------------------------------------------------

/// From now on nobody writes there: nobody can, and nobody does.
void Run::settle(Host& host, const Buffer& buffer, std::size_t offset, std::size_t count,
                 std::uint64_t tag) {
  buffer.pieces(offset, count, [&](const std::byte* memory, std::size_t length) {
    if (world_.exposed(host.id, memory, length)) {
      broken(name_of(tag) + " is complete, so no peer can write to its memory");
    }
    const auto start = reinterpret_cast<std::uint64_t>(memory);
    host.settled.push_back({start, start + length, tag});
  });
}

void Run::on_write(const sim::WriteRecord& write) {
  ++verdict_.writes;
  note(write.length);
  if (!write.landed) {
    return;
  }
  for (const Settled& range : hosts_[static_cast<std::size_t>(write.host)].settled) {
    if (write.address < range.end && range.start < write.address + write.length) {
      broken(name_of(range.tag) + ": no write lands after its completion was reported");
    }
  }
}

void Run::on_fault(const sim::FaultRecord& fault) {
  broken("host " + std::to_string(static_cast<std::uint32_t>(fault.host)) +
         " avoids: " + std::string(sim::to_string(fault.fault)));
}

namespace {

/// The connection with a peer, if it is the only one and stands.
const engine::ConnectionInfo* only_connection(const std::vector<engine::PeerInfo>& peers,
                                              std::uint32_t address) {
  for (const auto& peer : peers) {
    if (peer.nid == engine::Nid::o2ib(address) && peer.connections.size() == 1 &&
        peer.connections[0].state == engine::ConnectionState::kEstablished) {
      return &peer.connections[0];
    }
  }
  return nullptr;
}

/// Both ends of a connection are made within this time, unless its messages are lost again and
/// again.
constexpr Microseconds kMostAgeApart = std::chrono::milliseconds(500);

/// What is wrong with what one side has and the other owes; empty if nothing is.
std::string compare_ledgers(const engine::ConnectionInfo& here, const engine::ConnectionInfo& there,
                            bool at_rest) {
  const unsigned sum = here.credits + there.owed;
  const std::string depth = ", the depth is " + std::to_string(here.queue_depth);
  if (here.credits > here.queue_depth || here.reserved > here.queue_depth) {
    return "a ledger stays within the queue depth: " + std::to_string(here.credits) + " credits, " +
           std::to_string(here.reserved) + " exchanges" + depth;
  }
  if (sum > here.queue_depth || (at_rest && sum != here.queue_depth)) {
    return "credits are conserved: one side has " + std::to_string(here.credits) +
           ", the other owes " + std::to_string(there.owed) + depth;
  }
  if (at_rest && here.reserved != here.queue_depth) {
    return "at rest every exchange is closed: " + std::to_string(here.reserved) + " are free" +
           depth;
  }
  return {};
}

}  // namespace

/// @param at_rest no message is on its way
/// @return the claim that does not hold; empty if all do
std::string Run::check_credits(bool at_rest) const {
  std::vector<std::vector<engine::PeerInfo>> all;
  for (const Host& host : hosts_) {
    all.push_back(host.engine ? host.engine->peers() : std::vector<engine::PeerInfo>{});
  }
  for (std::uint32_t i = 0; i < hosts_.size(); ++i) {
    for (std::uint32_t j = 0; j < hosts_.size(); ++j) {
      const auto* here = i == j ? nullptr : only_connection(all[i], address_of(j));
      const auto* there = i == j ? nullptr : only_connection(all[j], address_of(i));
      // Two that do not belong together may stand for a moment while others go: their depths, who
      // connected, their ages, or the messages that one received and the other never sent tell.
      if (here == nullptr || there == nullptr || here->queue_depth != there->queue_depth ||
          here->active == there->active ||
          std::max(here->age, there->age) - std::min(here->age, there->age) > kMostAgeApart ||
          here->messages_received > there->messages_sent ||
          there->messages_received > here->messages_sent) {
        continue;
      }
      if (std::string claim = compare_ledgers(*here, *there, at_rest); !claim.empty()) {
        return claim;
      }
    }
  }
  return {};
}

void Run::check_overdue() {
  const Microseconds now = world_.clock().now();
  for (const auto& transfer : transfers_) {
    if (!transfer->completed && now > transfer->started + kLongestTransfer) {
      broken(name_of(transfer->tag) + " completes in time");
    }
  }
}

/// Everything is as it was when it was last looked at.
void Run::check_memory() {
  for (const auto& transfer : transfers_) {
    if (transfer->action.kind == Kind::kPing) {
      continue;
    }
    if (transfer->here && (!transfer->here->guards_intact() ||
                           (transfer->completed && transfer->id &&
                            transfer->life == hosts_[transfer->action.host].life && !ending_ &&
                            !transfer->here->holds_only(kNobodys)))) {
      broken(name_of(transfer->tag) + " leaves memory alone that is not its own any more");
    }
    if (transfer->there && !transfer->there->guards_intact()) {
      broken(name_of(transfer->tag) + " leaves memory alone beside the peer's buffer");
    }
    for (const auto& [offset, length] : transfer->arrived) {
      if (!transfer->there->holds(transfer->tag, offset, offset - transfer->action.offset,
                                  length)) {
        broken(name_of(transfer->tag) + ": what a PUT brought stays as it is");
      }
    }
  }
}

void Run::check_nothing_left(const Host& host) {
  const sim::LiveObjects left = world_.live(host.id);
  if (!(left == sim::LiveObjects{})) {
    broken("host " + std::to_string(host.number) +
           " leaves nothing behind: " + std::to_string(left.endpoints) + " endpoints, " +
           std::to_string(left.queue_pairs) + " queue pairs, " + std::to_string(left.regions) +
           " regions, " + std::to_string(left.windows) + " windows");
  }
}

// ---- Telling
// -------------------------------------------------------------------------------------

void Run::broken(const std::string& claim) {
  if (over_) {
    return;
  }
  over_ = true;
  verdict_.broken = claim;
  tell("BROKEN: " + claim);
}

void Run::tell(std::string_view what) {
  if (verbose_) {
    std::fprintf(stderr, "%10lld us  %.*s\n", static_cast<long long>(world_.clock().now().count()),
                 static_cast<int>(what.size()), what.data());
  }
}

void Run::note(std::uint64_t value) {
  constexpr std::uint64_t kFnvPrime = 0x100000001b3U;
  const auto now = static_cast<std::uint64_t>(world_.clock().now().count());
  verdict_.digest = ((verdict_.digest ^ value) * kFnvPrime ^ now) * kFnvPrime;
}

}  // namespace rdmaboot::tests
