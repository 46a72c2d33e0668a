// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A reliable connected queue pair with its completion queue. Inside src/sim only.

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/fabric.hpp"
#include "sim/state.hpp"

namespace rdmaboot::sim {

/// Requests are executed in order. A packet that gets no answer is sent again, and everything
/// behind it waits. Places in a queue become free when a completion is taken from the completion
/// queue, as with real providers: requests that are not signaled free theirs with the next one
/// that is.
class QueuePair {
 public:
  QueuePair(WorldState& world, SimEndpoint& owner, std::shared_ptr<DeviceState> device,
            const engine::QueueLimits& limits, std::uint32_t inline_bytes);
  QueuePair(const QueuePair&) = delete;
  QueuePair& operator=(const QueuePair&) = delete;
  ~QueuePair();

  [[nodiscard]] core::Result<void> post(std::span<const engine::SendRequest> chain);
  [[nodiscard]] core::Result<void> post(std::span<const engine::ReceiveRequest> chain);
  [[nodiscard]] unsigned poll(std::span<engine::Completion> completions);
  void arm() { armed_ = true; }

  /// Ready to receive and to send from now on.
  void connect(engine::EndpointId peer, const engine::ConnectParameters& parameters);
  /// To the error state: what is posted comes back flushed, what is on the wire may still arrive.
  void fail() { fail(std::nullopt, engine::WorkStatus::kFlushed); }
  [[nodiscard]] bool failed() const { return phase_ == Phase::kError; }
  /// A message has come.
  [[nodiscard]] bool heard() const { return heard_; }

 private:
  enum class Phase : std::uint8_t { kInit, kReady, kError };
  enum class Stage : std::uint8_t { kPosted, kOnWire, kDelivered, kDone };
  enum class Outcome : std::uint8_t { kDone, kNoAnswer, kNotReady, kAccess, kInvalid };
  struct Send {
    engine::SendRequest request;
    Stage stage = Stage::kPosted;
    std::uint8_t lost = 0;
    std::uint8_t not_ready = 0;
    bool taken = false;          ///< bytes holds what is sent, not the segments
    std::uint32_t bind_key = 0;  ///< kBindWindow: the key it gives
    core::Microseconds due{0};   ///< kOnWire: when it arrives
    std::vector<std::byte> bytes;
    std::shared_ptr<WindowState> window;
    std::shared_ptr<RegionState> region;
  };
  struct Entry {
    engine::Completion completion;
    bool receive = false;
    std::uint64_t index = 0;  ///< of the send
  };
  /// The bytes of a packet, where they lie.
  using Payload = std::vector<std::span<const std::byte>>;

  void fail(std::optional<std::uint64_t> culprit, engine::WorkStatus status);
  void schedule_start();
  void start();
  [[nodiscard]] bool start_one(Send& send);
  [[nodiscard]] bool execute_locally(Send& send);
  void schedule_delivery();
  void deliver();
  [[nodiscard]] bool deliver_one(Send& send, std::uint64_t index);
  [[nodiscard]] Outcome attempt(const Send& send);
  void acknowledge(std::uint64_t index);
  void settle();
  void let_packets_go_on();
  void flush();
  void complete(const Entry& entry);
  void take_bytes(Send& send) const;
  [[nodiscard]] static Payload payload_of(const Send& send);
  [[nodiscard]] Send* at(std::uint64_t index);

  /// A packet of the peer's arrives here.
  [[nodiscard]] Outcome arrive(engine::EndpointId from, const engine::SendRequest& request,
                               const Payload& payload);
  [[nodiscard]] Outcome arrive_message(const Payload& payload);
  [[nodiscard]] Outcome arrive_write(const engine::SendRequest& request, const Payload& payload);

  WorldState& world_;
  SimEndpoint& owner_;
  std::shared_ptr<DeviceState> device_;
  engine::QueueLimits limits_;
  std::uint32_t inline_bytes_;
  Phase phase_ = Phase::kInit;
  engine::EndpointId peer_{};
  std::uint8_t retries_ = 0;
  std::uint8_t not_ready_retries_ = 0;

  std::deque<Send> sends_;
  std::uint64_t first_ = 0;          ///< index of sends_.front()
  std::uint64_t next_start_ = 0;     ///< the first that is kPosted
  std::uint64_t next_delivery_ = 0;  ///< the first that has not arrived
  std::uint64_t retired_ = 0;        ///< places below are free again
  core::Microseconds last_due_{0};
  bool start_scheduled_ = false;
  bool delivery_scheduled_ = false;
  bool flush_scheduled_ = false;
  std::optional<std::uint64_t> culprit_;
  engine::WorkStatus culprit_status_{};

  std::deque<engine::ReceiveRequest> receives_;
  std::uint32_t receives_held_ = 0;
  std::deque<Entry> completions_;
  bool armed_ = false;
  bool overrun_ = false;
  bool heard_ = false;
};

}  // namespace rdmaboot::sim
