// SPDX-License-Identifier: BSD-2-Clause
#include "mutation.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <utility>
#include <vector>

namespace rdmaboot::tests {

using engine::Completion;
using engine::EndpointId;
using engine::SendRequest;
using engine::WorkKind;
using engine::WorkStatus;

namespace {

// Message types and places of their fields (sections 2.1 and 2.2 of the facts on o2iblnd).
constexpr std::size_t kTypeAt = 6;
constexpr std::size_t kCreditsAt = 7;
constexpr std::byte kPutAck{0xd4};
constexpr std::byte kGetRequest{0xd6};
constexpr std::size_t kPutAckKeyAt = 64;
constexpr std::size_t kGetRequestKeyAt = 128;

std::byte* bytes_of(const SendRequest& message) {
  return reinterpret_cast<std::byte*>(  // NOLINT(performance-no-int-to-ptr): as in verbs
      message.segments[0].address);
}

class MutantFabric;

class MutantEndpoint final : public engine::Endpoint {
 public:
  MutantEndpoint(std::unique_ptr<engine::Endpoint> real, MutantFabric& fabric, Mutation mutation);
  MutantEndpoint(const MutantEndpoint&) = delete;
  MutantEndpoint& operator=(const MutantEndpoint&) = delete;
  ~MutantEndpoint() override;

  [[nodiscard]] EndpointId id() const override { return real_->id(); }
  [[nodiscard]] std::shared_ptr<engine::Device> device() const override { return real_->device(); }
  [[nodiscard]] engine::SocketAddress peer_address() const override {
    return real_->peer_address();
  }
  [[nodiscard]] core::Result<void> resolve_address(engine::SocketAddress source,
                                                   engine::SocketAddress destination,
                                                   core::Microseconds timeout) override {
    return real_->resolve_address(source, destination, timeout);
  }
  [[nodiscard]] core::Result<void> resolve_route(core::Microseconds timeout) override {
    return real_->resolve_route(timeout);
  }
  [[nodiscard]] core::Result<std::uint32_t> create_queue_pair(
      const engine::QueueLimits& limits) override {
    engine::QueueLimits wanted = limits;
    if (mutation_ == Mutation::kShortQueue) {
      wanted.completions = limits.receive_requests / 2;
    }
    return real_->create_queue_pair(wanted);
  }
  [[nodiscard]] core::Result<void> connect(const engine::ConnectParameters& parameters) override {
    return real_->connect(parameters);
  }
  [[nodiscard]] core::Result<void> accept(const engine::ConnectParameters& parameters) override {
    return real_->accept(parameters);
  }
  [[nodiscard]] core::Result<void> reject(std::span<const std::byte> private_data) override {
    return real_->reject(private_data);
  }
  [[nodiscard]] core::Result<void> notify_established() override {
    return real_->notify_established();
  }
  [[nodiscard]] core::Result<void> disconnect() override { return real_->disconnect(); }
  [[nodiscard]] core::Result<void> flush() override { return real_->flush(); }
  [[nodiscard]] core::Result<void> post(std::span<const SendRequest> chain) override;
  [[nodiscard]] core::Result<void> post(std::span<const engine::ReceiveRequest> chain) override;
  [[nodiscard]] unsigned poll(std::span<Completion> completions) override;
  [[nodiscard]] core::Result<void> arm() override {
    armed_ = true;
    return real_->arm();
  }

  [[nodiscard]] bool wants_waking() const { return armed_ && !made_up_.empty(); }
  void woken() { armed_ = false; }

 private:
  void change(std::vector<SendRequest>& chain);
  void change_message(const SendRequest& message);
  void make_up(const SendRequest& request) {
    made_up_.push_back({request.id, WorkStatus::kSuccess, request.kind, 0});
  }

  std::unique_ptr<engine::Endpoint> real_;
  MutantFabric& fabric_;
  Mutation mutation_;
  bool armed_ = false;
  bool too_early_ = false;
  std::deque<Completion> made_up_;
};

class MutantFabric final : public engine::Fabric {
 public:
  MutantFabric(std::unique_ptr<engine::Fabric> real, Mutation mutation)
      : real_(std::move(real)), mutation_(mutation) {}

  [[nodiscard]] core::Result<std::shared_ptr<engine::Device>> listen(engine::SocketAddress address,
                                                                     int backlog) override {
    return real_->listen(address, backlog);
  }
  void stop_listening() override { real_->stop_listening(); }
  [[nodiscard]] core::Result<std::string> device_of(engine::SocketAddress address) override {
    return real_->device_of(address);
  }
  [[nodiscard]] core::Result<std::unique_ptr<engine::Endpoint>> create_endpoint() override {
    auto made = real_->create_endpoint();
    if (!made) {
      return made;
    }
    return wrap(std::move(*made));
  }
  [[nodiscard]] std::optional<engine::Event> next_event() override;
  [[nodiscard]] int fd() const override { return real_->fd(); }

  /// True each so many calls.
  bool each(unsigned count) { return ++calls_ % count == 0; }
  void bury(std::unique_ptr<engine::Endpoint> endpoint) { buried_.push_back(std::move(endpoint)); }
  void forget(EndpointId id) { endpoints_.erase(id); }

 private:
  std::unique_ptr<engine::Endpoint> wrap(std::unique_ptr<engine::Endpoint> real) {
    const EndpointId id = real->id();
    auto mutant = std::make_unique<MutantEndpoint>(std::move(real), *this, mutation_);
    endpoints_[id] = mutant.get();
    return mutant;
  }

  std::unique_ptr<engine::Fabric> real_;
  Mutation mutation_;
  unsigned calls_ = 0;
  std::map<EndpointId, MutantEndpoint*> endpoints_;
  std::vector<std::unique_ptr<engine::Endpoint>> buried_;
};

std::optional<engine::Event> MutantFabric::next_event() {
  auto event = real_->next_event();
  if (!event) {
    for (auto& [id, endpoint] : endpoints_) {
      if (endpoint->wants_waking()) {
        endpoint->woken();
        return engine::EndpointEvent{id, engine::event::CompletionsReady{}};
      }
    }
    return std::nullopt;
  }
  if (auto* requested = std::get_if<engine::ConnectRequested>(&*event)) {
    requested->endpoint = wrap(std::move(requested->endpoint));
  } else if (const auto* mine = std::get_if<engine::EndpointEvent>(&*event)) {
    const auto found = endpoints_.find(mine->endpoint);
    if (found != endpoints_.end() &&
        std::holds_alternative<engine::event::CompletionsReady>(mine->what)) {
      found->second->woken();
    }
  }
  return event;
}

MutantEndpoint::MutantEndpoint(std::unique_ptr<engine::Endpoint> real, MutantFabric& fabric,
                               Mutation mutation)
    : real_(std::move(real)), fabric_(fabric), mutation_(mutation) {}

MutantEndpoint::~MutantEndpoint() {
  fabric_.forget(real_->id());
  if (mutation_ == Mutation::kEndpointLeaked) {
    fabric_.bury(std::move(real_));
  }
}

void MutantEndpoint::change_message(const SendRequest& message) {
  constexpr unsigned kSeldom = 5;
  constexpr std::uint8_t kNextKey = 1;
  std::byte* bytes = bytes_of(message);
  if (mutation_ == Mutation::kCreditTwice && fabric_.each(kSeldom)) {
    bytes[kCreditsAt] = static_cast<std::byte>(std::to_integer<unsigned>(bytes[kCreditsAt]) + 1);
  }
  if (mutation_ == Mutation::kWrongKey) {
    const std::size_t at = bytes[kTypeAt] == kPutAck       ? kPutAckKeyAt
                           : bytes[kTypeAt] == kGetRequest ? kGetRequestKeyAt
                                                           : 0;
    if (at != 0) {
      bytes[at + 1] ^= std::byte{kNextKey};
    }
  }
}

void MutantEndpoint::change(std::vector<SendRequest>& chain) {
  constexpr unsigned kSeldom = 7;
  const auto is_write = [](const SendRequest& request) { return request.kind == WorkKind::kWrite; };
  switch (mutation_) {
    case Mutation::kLastWriteLost: {
      const auto last = std::find_if(chain.rbegin(), chain.rend(), is_write);
      if (std::count_if(chain.begin(), chain.end(), is_write) > 1) {
        chain.erase(std::next(last).base());
      }
      return;
    }
    case Mutation::kDoneBeforeBytes:
      if (chain.size() > 1 && is_write(chain.front())) {
        std::rotate(chain.begin(), chain.end() - 1, chain.end());
      }
      return;
    case Mutation::kNeverSignaled:
      for (SendRequest& request : chain) {
        request.signaled = request.signaled && !fabric_.each(kSeldom);
      }
      return;
    case Mutation::kKeyLivesOn:
      std::erase_if(chain, [this](const SendRequest& request) {
        const bool kills = request.kind == WorkKind::kInvalidate;
        if (kills && request.signaled) {
          make_up(request);
        }
        return kills;
      });
      return;
    case Mutation::kSourceFreedEarly:
      for (SendRequest& request : chain) {
        if (request.signaled && request.kind == WorkKind::kSend) {
          make_up(request);
        }
      }
      return;
    default:
      return;
  }
}

core::Result<void> MutantEndpoint::post(std::span<const SendRequest> chain) {
  std::vector<SendRequest> changed(chain.begin(), chain.end());
  for (const SendRequest& request : changed) {
    if (request.kind == WorkKind::kSend) {
      change_message(request);
    }
  }
  change(changed);
  return changed.empty() ? core::Result<void>{} : real_->post(changed);
}

core::Result<void> MutantEndpoint::post(std::span<const engine::ReceiveRequest> chain) {
  constexpr unsigned kSeldom = 4;
  std::vector<engine::ReceiveRequest> changed;
  for (const engine::ReceiveRequest& request : chain) {
    // Not of those that a connection begins with: a chain of many.
    if (mutation_ != Mutation::kReceiveForgotten || chain.size() > kSeldom ||
        !fabric_.each(kSeldom)) {
      changed.push_back(request);
    }
  }
  return changed.empty() ? core::Result<void>{} : real_->post(changed);
}

unsigned MutantEndpoint::poll(std::span<Completion> completions) {
  constexpr unsigned kSeldom = 20;
  if (mutation_ == Mutation::kWakeUpMissed && armed_) {
    return 0;
  }
  // What completes right after a poll: time stands still while an engine runs, so without this the
  // moment between the last poll and arming would never matter.
  too_early_ = !armed_ && !too_early_ && fabric_.each(kSeldom / 4);
  if (too_early_) {
    return 0;
  }
  unsigned count = 0;
  while (count < completions.size() && !made_up_.empty()) {
    completions[count++] = made_up_.front();
    made_up_.pop_front();
  }
  std::array<Completion, 1> one;
  while (count < completions.size() && real_->poll(one) != 0) {
    const bool sent = one[0].status == WorkStatus::kSuccess && one[0].kind == WorkKind::kSend;
    if (mutation_ == Mutation::kSourceFreedEarly && sent) {
      continue;
    }
    completions[count++] = one[0];
    if (mutation_ == Mutation::kCompletionTwice && sent && count < completions.size() &&
        fabric_.each(kSeldom)) {
      completions[count++] = one[0];
    }
  }
  return count;
}

}  // namespace

std::string_view describe(Mutation mutation) {
  switch (mutation) {
    case Mutation::kNone:
      return "none";
    case Mutation::kCreditTwice:
      return "a credit is given back twice";
    case Mutation::kLastWriteLost:
      return "the last of several writes is not posted";
    case Mutation::kDoneBeforeBytes:
      return "DONE is posted before the writes";
    case Mutation::kReceiveForgotten:
      return "a receive buffer is not posted again";
    case Mutation::kKeyLivesOn:
      return "a key is not killed at completion";
    case Mutation::kWakeUpMissed:
      return "no poll between arming and sleeping";
    case Mutation::kNeverSignaled:
      return "a send that has to be signaled is not";
    case Mutation::kEndpointLeaked:
      return "an endpoint is never destroyed";
    case Mutation::kCompletionTwice:
      return "a completion is handled twice";
    case Mutation::kShortQueue:
      return "the completion queue is too small";
    case Mutation::kSourceFreedEarly:
      return "a send counts as done when it is posted";
    case Mutation::kWrongKey:
      return "a peer is given another transfer's key";
  }
  return "unknown";
}

std::unique_ptr<engine::Fabric> mutate(std::unique_ptr<engine::Fabric> fabric, Mutation mutation) {
  return std::make_unique<MutantFabric>(std::move(fabric), mutation);
}

}  // namespace rdmaboot::tests
