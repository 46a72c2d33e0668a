// SPDX-License-Identifier: BSD-2-Clause
#include "sim/queue_pair.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/endpoint.hpp"

namespace rdmaboot::sim {

using core::Microseconds;
using engine::Access;
using engine::Completion;
using engine::EndpointId;
using engine::ReceiveRequest;
using engine::Segment;
using engine::SendRequest;
using engine::WorkKind;
using engine::WorkStatus;

namespace {

constexpr std::uint8_t kForEver = 7;  // of receiver_not_ready_retries
constexpr Microseconds kDoorbellDelay{2};
constexpr Microseconds kFlushDelay{50};

bool on_the_wire(WorkKind kind) {
  return kind == WorkKind::kSend || kind == WorkKind::kWrite;
}

std::byte* memory_at(std::uint64_t address) {
  return reinterpret_cast<std::byte*>(address);  // NOLINT(performance-no-int-to-ptr): as in verbs
}

std::uint64_t total(const SendRequest& request) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < request.segment_count; ++i) {
    sum += request.segments.at(i).length;
  }
  return sum;
}

}  // namespace

QueuePair::QueuePair(WorldState& world, SimEndpoint& owner, std::shared_ptr<DeviceState> device,
                     const engine::QueueLimits& limits, std::uint32_t inline_bytes)
    : world_(world),
      owner_(owner),
      device_(std::move(device)),
      limits_(limits),
      inline_bytes_(inline_bytes) {
  ++world_.host(owner_.host()).live.queue_pairs;
}

QueuePair::~QueuePair() {
  if (phase_ == Phase::kReady) {
    let_packets_go_on();
  }
  unbind_windows(*device_, owner_.id());
  --world_.host(owner_.host()).live.queue_pairs;
}

void QueuePair::connect(EndpointId peer, const engine::ConnectParameters& parameters) {
  if (phase_ == Phase::kInit) {
    phase_ = Phase::kReady;
    peer_ = peer;
    retries_ = parameters.retry_count;
    not_ready_retries_ = parameters.receiver_not_ready_retries;
    schedule_start();
  }
}

// ---- Posting
// -------------------------------------------------------------------------------------

core::Result<void> QueuePair::post(std::span<const SendRequest> chain) {
  if (phase_ == Phase::kInit) {
    return core::fail("post a send, before it is connected, to", device_->model.name, EINVAL);
  }
  HostState& host = world_.host(owner_.host());
  for (const SendRequest& request : chain) {
    const std::uint64_t end = first_ + sends_.size();
    if (end - retired_ >= limits_.send_requests) {
      world_.fault(owner_.host(), owner_.id(), Fault::kSendQueueFull);
      return core::fail("post a send to", device_->model.name, ENOMEM);
    }
    if (request.segment_count > limits_.segments || request.kind == WorkKind::kReceive ||
        (request.inline_data && total(request) > inline_bytes_)) {
      return core::fail("post a send to", device_->model.name, EINVAL);
    }
    Send send;
    send.request = request;
    if (request.inline_data) {
      take_bytes(send);
    }
    if (request.kind == WorkKind::kBindWindow) {
      if (request.window == nullptr || request.region == nullptr) {
        return core::fail("post a bind to", device_->model.name, EINVAL);
      }
      send.window = dynamic_cast<SimWindow&>(*request.window).state();
      send.region = dynamic_cast<SimRegion&>(*request.region).state();
      send.bind_key = request.window->next_key();
      ++send.window->next_tag;
    }
    sends_.push_back(std::move(send));
    host.high_water.sends =
        std::max(host.high_water.sends, static_cast<std::uint32_t>(end + 1 - retired_));
  }
  if (phase_ == Phase::kError) {
    flush();
  } else {
    schedule_start();
  }
  return {};
}

core::Result<void> QueuePair::post(std::span<const ReceiveRequest> chain) {
  HostState& host = world_.host(owner_.host());
  for (const ReceiveRequest& request : chain) {
    if (receives_held_ >= limits_.receive_requests) {
      world_.fault(owner_.host(), owner_.id(), Fault::kReceiveQueueFull);
      return core::fail("post a receive to", device_->model.name, ENOMEM);
    }
    receives_.push_back(request);
    host.high_water.receives = std::max(host.high_water.receives, ++receives_held_);
  }
  if (phase_ == Phase::kError) {
    flush();
  }
  return {};
}

// ---- Completions
// ---------------------------------------------------------------------------------

unsigned QueuePair::poll(std::span<Completion> completions) {
  unsigned count = 0;
  while (count < completions.size() && !completions_.empty()) {
    const Entry entry = completions_.front();
    completions_.pop_front();
    completions[count++] = entry.completion;
    if (entry.receive) {
      --receives_held_;
    } else {
      retired_ = std::max(retired_, entry.index + 1);
    }
  }
  return count;
}

void QueuePair::complete(const Entry& entry) {
  if (overrun_) {
    return;
  }
  if (completions_.size() >= limits_.completions) {
    overrun_ = true;
    world_.fault(owner_.host(), owner_.id(), Fault::kCompletionOverrun);
    owner_.raise(engine::event::QueuePairFailed{});
    fail();
    return;
  }
  completions_.push_back(entry);
  HostState& host = world_.host(owner_.host());
  host.high_water.completions =
      std::max(host.high_water.completions, static_cast<std::uint32_t>(completions_.size()));
  if (armed_) {
    armed_ = false;
    owner_.raise(engine::event::CompletionsReady{});
  }
}

/// Completes what is done at the head of the queue, in order.
void QueuePair::settle() {
  while (!sends_.empty() && sends_.front().stage == Stage::kDone) {
    const SendRequest request = sends_.front().request;
    const std::uint64_t index = first_++;
    sends_.pop_front();
    if (request.signaled) {
      complete({{request.id, WorkStatus::kSuccess, request.kind, 0}, false, index});
    }
  }
}

void QueuePair::acknowledge(std::uint64_t index) {
  if (phase_ != Phase::kReady) {
    return;
  }
  for (std::uint64_t i = first_; i <= index; ++i) {
    Send* send = at(i);
    if (send != nullptr && send->stage == Stage::kDelivered) {
      send->stage = Stage::kDone;
    }
  }
  settle();
}

QueuePair::Send* QueuePair::at(std::uint64_t index) {
  return index < first_ || index - first_ >= sends_.size() ? nullptr : &sends_[index - first_];
}

// ---- Sending
// -------------------------------------------------------------------------------------

void QueuePair::schedule_start() {
  if (start_scheduled_ || phase_ != Phase::kReady) {
    return;
  }
  start_scheduled_ = true;
  const Microseconds delay = world_.random.between(Microseconds(0), kDoorbellDelay);
  world_.schedule.after(delay, [&world = world_, id = owner_.id()] {
    if (SimEndpoint* owner = world.find(id); owner != nullptr && owner->queue_pair() != nullptr) {
      owner->queue_pair()->start();
    }
  });
}

void QueuePair::start() {
  start_scheduled_ = false;
  if (phase_ != Phase::kReady || device_->removed || !owner_.alive()) {
    return;
  }
  while (Send* send = at(next_start_)) {
    const std::uint64_t index = next_start_++;
    if (!start_one(*send)) {
      fail(index,
           on_the_wire(send->request.kind) ? WorkStatus::kLocalError : WorkStatus::kWindowError);
      return;
    }
  }
  settle();
  schedule_delivery();
}

bool QueuePair::start_one(Send& send) {
  if (!on_the_wire(send.request.kind)) {
    send.stage = Stage::kDone;
    return execute_locally(send);
  }
  for (std::size_t i = 0; i < send.request.segment_count && !send.taken; ++i) {
    if (!usable(*device_, send.request.segments.at(i), Access::kLocal)) {
      world_.fault(owner_.host(), owner_.id(), Fault::kDeadLocalKey);
      return false;
    }
  }
  send.stage = Stage::kOnWire;
  last_due_ = std::max(last_due_, world_.schedule.now() + world_.travel_time());
  send.due = last_due_;
  return true;
}

bool QueuePair::execute_locally(Send& send) {
  const SendRequest& request = send.request;
  if (request.kind == WorkKind::kBindWindow) {
    WindowState& window = *send.window;
    const bool fits =
        !window.bound && send.region->live &&
        engine::allows(send.region->access, Access::kBindWindow) &&
        request.bind_address >= send.region->address &&
        request.bind_length <= send.region->length &&
        request.bind_address - send.region->address <= send.region->length - request.bind_length;
    if (!fits) {
      world_.fault(owner_.host(), owner_.id(), Fault::kWindowMisuse);
      return false;
    }
    window.bound = true;
    window.key = send.bind_key;
    window.address = request.bind_address;
    window.length = request.bind_length;
    window.region = send.region;
    window.endpoint = owner_.id();
    ++send.region->bound_windows;
    return true;
  }
  const auto found = device_->windows.find(request.remote_key >> 8U);
  if (found == device_->windows.end() || !found->second->bound ||
      found->second->key != request.remote_key || found->second->endpoint != owner_.id()) {
    world_.fault(owner_.host(), owner_.id(), Fault::kWindowMisuse);
    return false;
  }
  found->second->bound = false;
  --found->second->region->bound_windows;
  return true;
}

void QueuePair::schedule_delivery() {
  if (delivery_scheduled_ || phase_ != Phase::kReady) {
    return;
  }
  next_delivery_ = std::max(next_delivery_, first_);
  Send* send = at(next_delivery_);
  while (send != nullptr && send->stage == Stage::kDone) {
    send = at(++next_delivery_);
  }
  if (send == nullptr || send->stage != Stage::kOnWire) {
    return;
  }
  delivery_scheduled_ = true;
  world_.schedule.at(send->due, [&world = world_, id = owner_.id()] {
    if (SimEndpoint* owner = world.find(id); owner != nullptr && owner->queue_pair() != nullptr) {
      owner->queue_pair()->deliver();
    }
  });
}

void QueuePair::deliver() {
  delivery_scheduled_ = false;
  if (phase_ != Phase::kReady || !owner_.alive()) {
    return;
  }
  std::optional<std::uint64_t> last;
  while (Send* send = at(next_delivery_)) {
    if (send->stage == Stage::kDone) {
      ++next_delivery_;
      continue;
    }
    if (send->stage != Stage::kOnWire || send->due > world_.schedule.now() ||
        !deliver_one(*send, next_delivery_)) {
      break;
    }
    last = next_delivery_++;
  }
  if (last && phase_ == Phase::kReady) {
    Microseconds answer = world_.travel_time();
    if (world_.random.chance(world_.model.ack_loss)) {
      answer += world_.model.retry_timeout;
    }
    world_.schedule.after(answer, [&world = world_, id = owner_.id(), index = *last] {
      if (SimEndpoint* owner = world.find(id); owner != nullptr && owner->queue_pair() != nullptr) {
        owner->queue_pair()->acknowledge(index);
      }
    });
  }
  schedule_delivery();
}

/// @return true if it arrived
bool QueuePair::deliver_one(Send& send, std::uint64_t index) {
  const Outcome outcome = attempt(send);
  if (phase_ != Phase::kReady) {
    return false;
  }
  switch (outcome) {
    case Outcome::kDone:
      send.stage = Stage::kDelivered;
      return true;
    case Outcome::kNoAnswer:
      if (send.lost++ >= retries_) {
        fail(index, WorkStatus::kRetryExceeded);
      }
      send.due = world_.schedule.now() + world_.model.retry_timeout;
      return false;
    case Outcome::kNotReady:
      if (not_ready_retries_ != kForEver && send.not_ready++ >= not_ready_retries_) {
        fail(index, WorkStatus::kReceiverNotReady);
      }
      send.due = world_.schedule.now() + world_.model.receiver_not_ready_delay;
      return false;
    case Outcome::kAccess:
      world_.fault(owner_.host(), owner_.id(), Fault::kRefusedWrite);
      fail(index, WorkStatus::kRemoteAccessError);
      return false;
    case Outcome::kInvalid:
      fail(index, WorkStatus::kRemoteError);
      return false;
  }
  return false;
}

QueuePair::Outcome QueuePair::attempt(const Send& send) {
  SimEndpoint* peer = world_.find(peer_);
  if (!owner_.path_open() || peer == nullptr || !peer->path_open() ||
      peer->queue_pair() == nullptr || world_.random.chance(world_.model.packet_loss)) {
    return Outcome::kNoAnswer;
  }
  return peer->queue_pair()->arrive(owner_.id(), send.request, payload_of(send));
}

void QueuePair::take_bytes(Send& send) const {
  for (std::size_t i = 0; i < send.request.segment_count && !send.taken; ++i) {
    const Segment& segment = send.request.segments.at(i);
    const std::byte* bytes = memory_at(segment.address);
    send.bytes.insert(send.bytes.end(), bytes, bytes + segment.length);
  }
  send.taken = true;
}

QueuePair::Payload QueuePair::payload_of(const Send& send) {
  if (send.taken) {
    return {std::span<const std::byte>(send.bytes)};
  }
  Payload payload;
  for (std::size_t i = 0; i < send.request.segment_count; ++i) {
    const Segment& segment = send.request.segments.at(i);
    payload.emplace_back(memory_at(segment.address), segment.length);
  }
  return payload;
}

// ---- Arriving
// ------------------------------------------------------------------------------------

QueuePair::Outcome QueuePair::arrive(EndpointId from, const SendRequest& request,
                                     const Payload& payload) {
  if (phase_ != Phase::kReady || peer_ != from || overrun_) {
    return Outcome::kNoAnswer;
  }
  const Outcome outcome =
      request.kind == WorkKind::kSend ? arrive_message(payload) : arrive_write(request, payload);
  if (outcome == Outcome::kDone) {
    heard_ = heard_ || request.kind == WorkKind::kSend;
    owner_.data_arrived();
  }
  return outcome;
}

QueuePair::Outcome QueuePair::arrive_message(const Payload& payload) {
  if (receives_.empty()) {
    world_.fault(owner_.host(), owner_.id(), Fault::kReceiverNotReady);
    return Outcome::kNotReady;
  }
  const ReceiveRequest receive = receives_.front();
  receives_.pop_front();
  std::uint64_t length = 0;
  for (const auto& part : payload) {
    length += part.size();
  }
  const bool registered = usable(*device_, receive.buffer, Access::kLocalWrite);
  if (!registered || length > receive.buffer.length) {
    world_.fault(owner_.host(), owner_.id(),
                 registered ? Fault::kMessageTooLong : Fault::kDeadLocalKey);
    complete({{receive.id, WorkStatus::kLocalError, WorkKind::kReceive, 0}, true, 0});
    owner_.raise(engine::event::QueuePairFailed{});
    fail();
    return Outcome::kInvalid;
  }
  std::byte* to = memory_at(receive.buffer.address);
  for (const auto& part : payload) {
    std::copy(part.begin(), part.end(), to);
    to += part.size();
  }
  complete(
      {{receive.id, WorkStatus::kSuccess, WorkKind::kReceive, static_cast<std::uint32_t>(length)},
       true,
       0});
  return Outcome::kDone;
}

QueuePair::Outcome QueuePair::arrive_write(const SendRequest& request, const Payload& payload) {
  const std::uint64_t length = total(request);
  const auto region =
      writable(*device_, owner_.id(), request.remote_key, request.remote_address, length);
  if (world_.observer != nullptr) {
    world_.observer->on_write({world_.schedule.now(), owner_.host(), owner_.id(),
                               request.remote_key, request.remote_address,
                               static_cast<std::uint32_t>(length), region ? region->serial : 0,
                               region != nullptr});
  }
  if (!region) {
    owner_.raise(engine::event::QueuePairFailed{});
    fail();
    return Outcome::kAccess;
  }
  std::byte* to = memory_at(request.remote_address);
  for (const auto& part : payload) {
    std::copy(part.begin(), part.end(), to);
    to += part.size();
  }
  return Outcome::kDone;
}

// ---- Failing
// -------------------------------------------------------------------------------------

void QueuePair::fail(std::optional<std::uint64_t> culprit, WorkStatus status) {
  if (phase_ == Phase::kError) {
    return;
  }
  if (phase_ == Phase::kReady) {
    let_packets_go_on();
  }
  phase_ = Phase::kError;
  culprit_ = culprit;
  culprit_status_ = status;
  flush();
}

/// Some of what is on the wire arrives, although nobody waits for an answer any more.
void QueuePair::let_packets_go_on() {
  if (!owner_.path_open()) {
    return;
  }
  for (std::uint64_t i = next_delivery_; Send* send = at(i); ++i) {
    if (send->stage != Stage::kOnWire || send->lost != 0 || send->not_ready != 0 ||
        world_.random.below(2) == 0) {
      return;
    }
    take_bytes(*send);
    world_.schedule.at(
        send->due, [&world = world_, from = owner_.id(), to = peer_, packet = *send] {
          SimEndpoint* peer = world.find(to);
          if (peer != nullptr && peer->path_open() && peer->queue_pair() != nullptr) {
            static_cast<void>(peer->queue_pair()->arrive(from, packet.request, payload_of(packet)));
          }
        });
  }
}

/// Everything posted comes back, a little later.
void QueuePair::flush() {
  if (flush_scheduled_) {
    return;
  }
  flush_scheduled_ = true;
  const Microseconds delay = world_.random.between(Microseconds(0), kFlushDelay);
  world_.schedule.after(delay, [&world = world_, id = owner_.id()] {
    SimEndpoint* owner = world.find(id);
    if (owner == nullptr || owner->queue_pair() == nullptr) {
      return;
    }
    QueuePair& self = *owner->queue_pair();
    self.flush_scheduled_ = false;
    if (!owner->alive() || self.device_->silent) {
      return;
    }
    while (!self.sends_.empty()) {
      const SendRequest request = self.sends_.front().request;
      const std::uint64_t index = self.first_++;
      self.sends_.pop_front();
      const WorkStatus status =
          self.culprit_ == index ? self.culprit_status_ : WorkStatus::kFlushed;
      self.complete({{request.id, status, request.kind, 0}, false, index});
    }
    while (!self.receives_.empty()) {
      const ReceiveRequest request = self.receives_.front();
      self.receives_.pop_front();
      self.complete({{request.id, WorkStatus::kFlushed, WorkKind::kReceive, 0}, true, 0});
    }
  });
}

}  // namespace rdmaboot::sim
