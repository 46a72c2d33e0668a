// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/engine/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "engine/engine_impl.hpp"

namespace rdmaboot::engine {

std::uint64_t incarnation_now() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

namespace {

/// The exchange stands on that registered range, and not on memory of its own.
bool uses(const Exchange& x, std::span<const std::byte> range) {
  if (x.lease.kind != LeaseKind::kDirect && x.lease.kind != LeaseKind::kWindow) {
    return false;
  }
  bool any = false;
  for_each_piece(x.slice, [&](const std::byte* data, std::uint64_t bytes) {
    any = any || (data < range.data() + range.size() && range.data() < data + bytes);
  });
  return any;
}

}  // namespace

// ---- Start and stop ----------------------------------------------------------------------------

Engine::Impl::Impl(const Settings& settings, Fabric& fabric, const core::Clock& clock)
    : settings_(settings),
      fabric_(fabric),
      clock_(clock),
      jitter_(settings.random_seed != 0 ? settings.random_seed
                                        : settings.incarnation ^ settings.nid.value),
      budget_{settings.max_memory, 0} {
  // The longest chain and the most pieces that there can be: steady state allocates nothing.
  chain_.resize(settings_.max_fragments + kRequestsBesideWrites);
  pieces_.resize(kMaxTransferFragments);
  taken_.reserve(kPollBatch);
  batch_.reserve(kMessagesOfChain);
}

Engine::Impl::~Impl() {
  stopping_ = true;
  for (const auto& [nid, peer] : peers_) {
    deadlines_.cancel(peer->timer);
    for (const auto& c : peer->connections) {
      c->endpoint.reset();
      while (Exchange* x = c->exchanges.pop_front()) {
        x->lease = Lease{};
      }
    }
    peer->connections.clear();
  }
}

core::Result<void> Engine::Impl::start() {
  enter();
  if (auto found = find_device(); !found) {
    return found;
  }
  arrange(device_timer_, TimerKind::kDevice, nullptr, now_ + settings_.failover_sweep);
  arrange(age_timer_, TimerKind::kAge, nullptr, now_ + settings_.pool_age);
  return {};
}

void Engine::Impl::stop() {
  if (stopping_) {
    return;
  }
  enter();
  stopping_ = true;
  fabric_.stop_listening();
  for (const auto& [nid, peer] : peers_) {
    deadlines_.cancel(peer->timer);
    fail_waiting(*peer, TransferStatus::kStopped);
    for (const auto& c : peer->connections) {
      fail(*c, CloseReason::kAsked, {});
      if (c->state == ConnectionState::kDraining) {
        // What is flushed by now is taken; the endpoint's end does the rest.
        poll(*c);
        apply(*c, ConnectionEvent::kTimedOut);
      }
    }
  }
  bury_all();
  std::vector<std::uint64_t> exposed;
  for (const auto& [key, handle] : matches_) {
    exposed.push_back(handle);
  }
  for (const std::uint64_t handle : exposed) {
    withdraw(ExposureId{handle});
  }
  deliver();
}

core::Result<void> Engine::Impl::register_memory(std::span<std::byte> memory) {
  const auto overlaps = [&](std::span<std::byte> other) {
    return memory.data() < other.data() + other.size() &&
           other.data() < memory.data() + memory.size();
  };
  if (memory.empty() || std::any_of(user_memory_.begin(), user_memory_.end(), overlaps)) {
    return core::fail("register", "memory", memory.empty() ? EINVAL : EEXIST,
                      "a range that overlaps no other");
  }
  if (memory_) {
    if (auto added = memory_->add_region(memory); !added) {
      return added;
    }
  }
  user_memory_.push_back(memory);
  return {};
}

core::Result<void> Engine::Impl::forget_memory(const std::byte* start) {
  const auto entry = std::find_if(user_memory_.begin(), user_memory_.end(),
                                  [&](const auto& range) { return range.data() == start; });
  if (entry == user_memory_.end()) {
    return core::fail("forget", "memory", ENOENT, "the start of a registered range");
  }
  const std::span<std::byte> range = *entry;
  for (const auto& [nid, peer] : peers_) {
    for (const auto& c : peer->connections) {
      for (const Exchange* x = c->exchanges.front(); x != nullptr;
           x = decltype(c->exchanges)::next(*x)) {
        if (uses(*x, range)) {
          return core::fail("forget", "memory", EBUSY, "no transfer under way");
        }
      }
    }
  }
  if (memory_) {
    memory_->remove_region(start);
  }
  for (const auto& [nid, peer] : peers_) {
    for (const auto& c : peer->connections) {
      c->memory->remove_region(start);  // of a device that the address has left
    }
  }
  user_memory_.erase(entry);
  return {};
}

bool Engine::Impl::close(Nid nid) {
  enter();
  Peer* peer = find_peer(nid);
  if (peer == nullptr) {
    return false;
  }
  fail_waiting(*peer, TransferStatus::kClosed);
  for (const auto& c : peer->connections) {
    fail(*c, CloseReason::kAsked, {});
  }
  leave();
  return true;
}

// ---- The loop ----------------------------------------------------------------------------------

bool Engine::Impl::process() {
  enter();
  bool any = false;
  more_events_ = true;
  for (unsigned i = 0; i < kEventsOfRound; ++i) {
    auto event = fabric_.next_event();
    if (!event) {
      more_events_ = false;
      break;
    }
    any = true;
    if (auto* endpoint = std::get_if<EndpointEvent>(&*event)) {
      handle(*endpoint);
    } else if (auto* request = std::get_if<ConnectRequested>(&*event)) {
      requested(std::move(*request));
    } else {
      handle(std::get<DeviceEvent>(*event));
    }
  }
  // Each connection in the list has one turn.
  for (std::size_t turns = to_poll_.size(); turns > 0; --turns) {
    Connection* c = to_poll_.pop_front();
    if (c == nullptr) {
      break;
    }
    to_poll_.push_back(*c);
    any = poll(*c) || any;
    send_all();
  }
  any = run_timers() || any;
  send_all();
  any = bury_all() || any;
  send_all();
  return deliver() || any;
}

// After a call of the user's: what it started is posted at once.
void Engine::Impl::leave() {
  send_all();
}

std::optional<Duration> Engine::Impl::next_deadline() const {
  if (more_events_ || !deliveries_.empty() || !dead_.empty() || !to_send_.empty()) {
    return now_;
  }
  std::optional<Duration> next = deadlines_.next();
  for (const Connection* c = to_poll_.front(); c != nullptr; c = decltype(to_poll_)::next(*c)) {
    const Duration due = c->hot_until > now_ ? c->hot_until : now_;
    next = next ? std::min(*next, due) : due;
  }
  return next;
}

bool Engine::Impl::wants_polling() const {
  return !to_poll_.empty() || more_events_;
}

int Engine::Impl::poll_timeout() const {
  if (wants_polling()) {
    return 0;
  }
  const auto due = next_deadline();
  if (!due) {
    return -1;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - clock_.now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

bool Engine::Impl::deliver() {
  bool any = false;
  while (!deliveries_.empty()) {
    any = true;
    delivering_.swap(deliveries_);
    for (Delivery& delivery : delivering_) {
      if (const auto* transfer = std::get_if<TransferDelivery>(&delivery)) {
        if (transfer->done.function != nullptr) {
          transfer->done.function(transfer->done.context, transfer->result);
        } else {
          results_.push(transfer->result);
        }
      } else if (const auto* pinged = std::get_if<PingDelivery>(&delivery)) {
        if (pinged->pinged.function != nullptr) {
          const bool ok = pinged->result.status == TransferStatus::kOk;
          pinged->pinged.function(pinged->pinged.context, pinged->result,
                                  ok ? &pinged->reply : nullptr);
        }
      } else if (const auto* exposed = std::get_if<ExposureDelivery>(&delivery)) {
        exposed->function(exposed->event.context, exposed->event);
      } else if (auto* event = std::get_if<EventDelivery>(&delivery)) {
        event->event.detail = event->detail;
        settings_.on_event(settings_.on_event_context, event->event);
      }
    }
    delivering_.clear();
  }
  return any;
}

std::size_t Engine::Impl::take_results(std::span<TransferResult> results) {
  std::size_t count = 0;
  while (count < results.size() && !results_.empty()) {
    results[count++] = results_.pop();
  }
  return count;
}

void Engine::Impl::tell(EngineEventKind kind, Nid peer, CloseReason reason, std::string detail) {
  if (settings_.on_event != nullptr) {
    deliveries_.push_back(EventDelivery{{kind, peer, reason, {}}, std::move(detail)});
  }
}

// ---- The public face ---------------------------------------------------------------------------

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

core::Result<std::unique_ptr<Engine>> Engine::start(const Settings& settings, Fabric& fabric,
                                                    const core::Clock& clock) {
  if (auto checked = check(settings); !checked) {
    return tl::unexpected(checked.error());
  }
  auto impl = std::make_unique<Impl>(settings, fabric, clock);
  if (auto started = impl->start(); !started) {
    return tl::unexpected(started.error());
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

core::Result<std::unique_ptr<Engine>> Engine::start(const Settings& settings,
                                                    std::unique_ptr<Fabric> fabric,
                                                    std::unique_ptr<const core::Clock> clock) {
  auto engine = start(settings, *fabric, *clock);
  if (engine) {
    (*engine)->impl_->own(std::move(fabric), std::move(clock));
  }
  return engine;
}

core::Result<void> Engine::register_memory(std::span<std::byte> memory) {
  return impl_->register_memory(memory);
}
core::Result<void> Engine::forget_memory(const std::byte* start) {
  return impl_->forget_memory(start);
}
core::Result<ExposureId> Engine::expose(std::span<const iovec> buffer,
                                        const ExposeOptions& options) {
  return impl_->expose(buffer, options);
}
bool Engine::withdraw(ExposureId id) {
  return impl_->withdraw(id);
}
tl::expected<TransferId, TransferStatus> Engine::put(Nid peer, std::span<const iovec> source,
                                                     const PutOptions& options, WhenDone done) {
  return impl_->put(peer, source, options, done);
}
tl::expected<TransferId, TransferStatus> Engine::get(Nid peer, std::span<const iovec> sink,
                                                     const GetOptions& options, WhenDone done) {
  return impl_->get(peer, sink, options, done);
}
tl::expected<TransferId, TransferStatus> Engine::ping(Nid peer, WhenPinged done,
                                                      Duration deadline) {
  return impl_->ping(peer, done, deadline);
}
bool Engine::close(Nid peer) {
  return impl_->close(peer);
}
void Engine::stop() {
  impl_->stop();
}
bool Engine::process() {
  return impl_->process();
}
std::optional<Duration> Engine::next_deadline() const {
  return impl_->next_deadline();
}
bool Engine::wants_polling() const {
  return impl_->wants_polling();
}
int Engine::poll_timeout() const {
  return impl_->poll_timeout();
}
int Engine::fd() const {
  return impl_->fd();
}
std::size_t Engine::poll(std::span<TransferResult> results) {
  return impl_->take_results(results);
}
const Settings& Engine::settings() const {
  return impl_->settings();
}
const Statistics& Engine::statistics() const {
  return impl_->statistics();
}
std::vector<PeerInfo> Engine::peers() const {
  return impl_->peers();
}
std::string Engine::device_name() const {
  return impl_->device_name();
}

}  // namespace rdmaboot::engine
