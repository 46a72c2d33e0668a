// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// One run: engines on simulated hosts under a plan, and what has to hold after every step.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "mutation.hpp"
#include "plan.hpp"
#include "rdmaboot/engine/engine.hpp"
#include "sim/world.hpp"

namespace rdmaboot::tests {

/// What a run found.
struct Verdict {
  std::string broken;  ///< the first claim that did not hold; empty if all did
  core::Microseconds ended{};
  std::uint64_t steps = 0;
  std::uint64_t transfers = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t writes = 0;
  std::uint64_t digest = 0;  ///< of everything that happened, in order
};

class Run final : public sim::Observer {
 public:
  Run(std::uint64_t seed, Mutation mutation, bool verbose);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() override;

  /// Until the end, or until something does not hold.
  Verdict execute();

  void on_write(const sim::WriteRecord& write) override;
  void on_fault(const sim::FaultRecord& fault) override;

 private:
  /// A transfer, its memory on both sides and what was heard of it.
  struct Transfer {
    Run* run = nullptr;
    std::uint64_t tag = 0;
    Action action;
    std::uint32_t life = 0;        ///< of the starting host
    std::uint32_t peer_life = 0;   ///< of the peer, when its buffer was exposed
    std::unique_ptr<Buffer> here;  ///< source of a PUT, sink of a GET
    std::unique_ptr<Buffer> there;
    std::optional<engine::ExposureId> exposure;
    bool exposure_ended = false;
    std::optional<engine::TransferId> id;
    core::Microseconds started{};
    bool completed = false;
    std::vector<std::pair<std::size_t, std::size_t>> arrived;  ///< of a PUT: offset and length
    bool here_registered = false;
    bool there_registered = false;
  };
  /// Memory of a host that must not be written any more.
  struct Settled {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t tag = 0;
  };
  struct Host {
    Run* run = nullptr;
    sim::HostId id{};
    sim::DeviceId device{};
    sim::DeviceId spare{};
    std::uint32_t number = 0;
    std::uint32_t life = 0;
    bool wanted = true;
    core::Microseconds paused_until{};
    core::Microseconds next_start{};
    std::unique_ptr<engine::Fabric> fabric;
    std::unique_ptr<engine::Engine> engine;
    std::vector<Settled> settled;
  };

  // The loop (run.cpp).
  void begin();
  bool turn();
  bool run_engines();
  bool run_engine(Host& host);
  void start_engine(Host& host);
  void end_engine(Host& host, bool stopped);
  [[nodiscard]] std::optional<core::Microseconds> next_time();
  void heal();
  void probe();
  void finish();

  // Actions (actions.cpp).
  void perform(const Action& action);
  /// A new entry of the list of all that was started.
  Transfer& record(const Action& action, const Host& host);
  void start_transfer(const Action& action);
  void start_ping(const Action& action);
  void expose(Transfer& transfer);
  void perform_fault(const Action& action, Host& host);
  void restart_later(Host& host, core::Microseconds delay);

  // What is heard, and what has to hold (checks.cpp).
  static void on_event(void* context, const engine::EngineEvent& event);
  static void on_done(void* context, const engine::TransferResult& result);
  static void on_pinged(void* context, const engine::TransferResult& result,
                        const engine::PingReply* reply);
  static void on_exposure(void* context, const engine::ExposureEvent& event);
  void completed(Transfer& transfer, const engine::TransferResult& result);
  void heard(Transfer& transfer, const engine::ExposureEvent& event);
  void check_success(const Transfer& transfer, const engine::TransferResult& result);
  void check_put(const Transfer& transfer);
  [[nodiscard]] bool is_written_directly(const Transfer& transfer) const;
  void check_arrived();
  void settle(Host& host, const Buffer& buffer, std::size_t offset, std::size_t count,
              std::uint64_t tag);
  [[nodiscard]] std::string check_credits(bool at_rest) const;
  void forget_memory_later(Transfer& transfer);
  void check_overdue();
  void check_memory();
  void check_nothing_left(const Host& host);
  void broken(const std::string& claim);
  void tell(std::string_view what);
  void note(std::uint64_t value);

  std::uint64_t seed_;
  Mutation mutation_;
  bool verbose_;
  Plan plan_;
  sim::World world_;
  std::vector<Host> hosts_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  Verdict verdict_;
  bool over_ = false;
  core::Microseconds last_completion_{};
  bool healed_ = false;
  bool ending_ = false;
  std::uint64_t pending_ = 0;  ///< transfers that have not completed
  std::uint64_t idle_turns_ = 0;
  std::vector<std::vector<bool>> reached_;  ///< after healing: who has answered whom
};

}  // namespace rdmaboot::tests
