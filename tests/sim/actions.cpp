// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <chrono>

#include "run.hpp"

namespace rdmaboot::tests {

using core::Microseconds;
using std::chrono::milliseconds;
using Kind = Action::Kind;

namespace {

constexpr std::uint32_t kPortal = 7;
constexpr Microseconds kLongestPause = milliseconds(300);

}  // namespace

void Run::perform(const Action& action) {
  if (over_ || ending_) {
    return;
  }
  tell(to_string(action));
  Host& host = hosts_[action.host];
  switch (action.kind) {
    case Kind::kPut:
    case Kind::kGet:
      start_transfer(action);
      return;
    case Kind::kPing:
      start_ping(action);
      return;
    case Kind::kClose:
      if (host.engine) {
        static_cast<void>(host.engine->close(engine::Nid::o2ib(address_of(action.other))));
      }
      return;
    default:
      perform_fault(action, host);
  }
}

Run::Transfer& Run::record(const Action& action, const Host& host) {
  Transfer& transfer = *transfers_.emplace_back(std::make_unique<Transfer>());
  transfer.run = this;
  transfer.tag = transfers_.size();
  transfer.action = action;
  transfer.life = host.life;
  transfer.started = world_.clock().now();
  return transfer;
}

void Run::start_transfer(const Action& action) {
  Host& host = hosts_[action.host];
  if (!host.engine) {
    return;
  }
  Transfer& transfer = record(action, host);
  transfer.here =
      std::make_unique<Buffer>(action.size, action.here_fragments,
                               action.registered && action.here_fragments == 1, world_.random());
  const bool put = action.kind == Kind::kPut;
  if (put) {
    transfer.here->fill(transfer.tag);
  } else {
    transfer.here->fill_with(std::byte{0});
  }
  if (action.registered) {
    transfer.here_registered = host.engine->register_memory(transfer.here->span()).has_value();
  }
  if (action.matched) {
    expose(transfer);
  }
  const engine::Nid peer = engine::Nid::o2ib(address_of(action.other));
  const engine::WhenDone done{&Run::on_done, &transfer};
  tl::expected<engine::TransferId, engine::TransferStatus> id =
      tl::make_unexpected(engine::TransferStatus::kInvalid);
  if (put) {
    engine::PutOptions options;
    options.portal = kPortal;
    options.match_bits = transfer.tag;
    options.offset = action.offset;
    options.header_data = transfer.tag * 3;
    options.acknowledged = action.acknowledged;
    id = host.engine->put(peer, transfer.here->parts(), options, done);
  } else {
    engine::GetOptions options;
    options.portal = kPortal;
    options.match_bits = transfer.tag;
    options.offset = action.offset;
    id = host.engine->get(peer, transfer.here->parts(), options, done);
  }
  if (!id) {
    transfer.completed = true;
    tell("refused at once: " + std::string(engine::to_string(id.error())));
    if (plan_.calm) {
      broken("a transfer is taken: " + std::string(engine::to_string(id.error())));
    }
    return;
  }
  transfer.id = *id;
  ++verdict_.transfers;
  ++pending_;
}

/// The peer's side of a transfer, if its engine runs.
void Run::expose(Transfer& transfer) {
  const Action& action = transfer.action;
  Host& peer = hosts_[action.other];
  if (!peer.engine) {
    return;
  }
  std::size_t length = action.offset + action.size;
  if (!action.fits) {
    length = std::max<std::size_t>(1, length / 2);
  }
  transfer.there =
      std::make_unique<Buffer>(length, action.there_fragments,
                               action.registered && action.there_fragments == 1, world_.random());
  const bool put = action.kind == Kind::kPut;
  if (put) {
    transfer.there->fill_with(std::byte{0});
  } else {
    transfer.there->fill(transfer.tag);
  }
  if (action.registered) {
    transfer.there_registered = peer.engine->register_memory(transfer.there->span()).has_value();
  }
  engine::ExposeOptions options;
  options.portal = kPortal;
  options.match_bits = transfer.tag;
  options.puts = put;
  options.gets = !put;
  // One slice uses it up; a transfer of several needs it to the end.
  options.once = action.once && action.size <= engine::kMaxSliceBytes;
  options.only = engine::Nid::o2ib(address_of(action.host));
  options.function = &Run::on_exposure;
  options.context = &transfer;
  transfer.peer_life = peer.life;
  if (const auto id = peer.engine->expose(transfer.there->parts(), options)) {
    transfer.exposure = *id;
  } else if (plan_.calm) {
    broken("a buffer is exposed: " + id.error().message());
  }
  if (action.withdraw_early && transfer.exposure) {
    const Microseconds delay = world_.random().between(Microseconds(0), Microseconds(500));
    world_.at(world_.clock().now() + delay, [this, &transfer, &peer] {
      if (peer.engine && peer.life == transfer.peer_life && !ending_) {
        static_cast<void>(peer.engine->withdraw(*transfer.exposure));
      }
    });
  }
}

void Run::start_ping(const Action& action) {
  Host& host = hosts_[action.host];
  if (!host.engine) {
    return;
  }
  Transfer& transfer = record(action, host);
  const auto id =
      host.engine->ping(engine::Nid::o2ib(address_of(action.other)), {&Run::on_pinged, &transfer});
  if (!id) {
    transfer.completed = true;
    if (plan_.calm) {
      broken("a ping is taken: " + std::string(engine::to_string(id.error())));
    }
    return;
  }
  transfer.id = *id;
  ++verdict_.transfers;
  ++pending_;
}

// ---- Faults
// --------------------------------------------------------------------------------------

void Run::perform_fault(const Action& action, Host& host) {
  const Microseconds end = world_.clock().now() + action.length;
  switch (action.kind) {
    case Kind::kPortFlap:
      world_.port_down(host.device);
      world_.at(end, [this, &host, moves = action.flag] { world_.port_up(host.device, moves); });
      return;
    case Kind::kRemoveDevice:
      world_.remove_device(host.device, action.flag);
      world_.at(end, [this, &host] { world_.restore_device(host.device); });
      return;
    case Kind::kFatal:
      world_.fatal(host.device);
      world_.at(world_.clock().now() + action.length / 2,
                [this, &host, silent = action.flag] { world_.remove_device(host.device, silent); });
      world_.at(end, [this, &host] { world_.restore_device(host.device); });
      return;
    case Kind::kMoveAddress:
      world_.give_address(host.spare, address_of(host.number));
      world_.at(end, [this, &host] { world_.give_address(host.device, address_of(host.number)); });
      return;
    case Kind::kQueuePairError:
      static_cast<void>(world_.fail_some_queue_pair(host.id));
      return;
    case Kind::kStrayEvent:
      world_.stray_event(host.id);
      return;
    case Kind::kNoMemory:
      world_.fail_allocation(host.id, static_cast<std::uint32_t>(action.size));
      return;
    case Kind::kCrash:
      if (world_.is_up(host.id)) {
        world_.crash(host.id);
        host.wanted = false;
        end_engine(host, false);
        restart_later(host, action.length);
      }
      return;
    case Kind::kKill:
    case Kind::kStop:
      if (host.engine) {
        host.wanted = false;
        end_engine(host, action.kind == Kind::kStop);
        restart_later(host, action.length);
      }
      return;
    case Kind::kPause:
      host.paused_until = world_.clock().now() + std::min(action.length, kLongestPause);
      return;
    default:
      return;
  }
}

void Run::restart_later(Host& host, Microseconds delay) {
  world_.at(world_.clock().now() + delay, [this, &host] {
    if (ending_ || host.engine) {
      return;
    }
    if (!world_.is_up(host.id)) {
      world_.restart(host.id);
    }
    host.wanted = true;
    host.next_start = world_.clock().now();
  });
}

}  // namespace rdmaboot::tests
