// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// `rdmactl bench`: how fast bytes go to a peer's rdma-responder and come from it, and that they are
// the right ones.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "rdmactl/path/latency.hpp"
#include "rdmactl/path/session.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

/// What rdma-responder has without Buffer= in responder.conf, bytes.
inline constexpr std::size_t kUsualSize = 1U << 20U;
/// Largest transfer, bytes; more needs no larger buffer there, it is no faster.
inline constexpr std::size_t kLargestSize = 64U << 20U;
/// Transfers under way at once. 4 MiB in all by default: below the 8 MiB that may be locked by
/// everybody.
inline constexpr unsigned kUsualDepth = 4;
inline constexpr unsigned kDeepest = 64;
/// The transfers whose latency is measured, bytes: they fit into one message.
inline constexpr std::size_t kSmallSize = 8;
/// A phase ends after so many transfers even if its time is not over: what is remembered of each is
/// bounded.
inline constexpr std::size_t kMostTransfers = 1'000'000;

struct BenchOptions {
  engine::Nid peer;
  std::size_t size = kUsualSize;                          ///< of the transfers for bandwidth, bytes
  unsigned depth = kUsualDepth;                           ///< of these
  core::Microseconds time = std::chrono::seconds(2);      ///< of each phase
  core::Microseconds timeout = std::chrono::seconds(10);  ///< of each transfer
};

/// What is measured at once.
struct Phase {
  bool get = false;
  std::size_t size = 0;
  unsigned depth = 1;
};

struct Measured {
  Phase phase;
  std::uint64_t transfers = 0;
  core::Microseconds took{0};
  Latencies latency;  ///< of a transfer, until the peer acknowledged it or all bytes were here

  [[nodiscard]] std::uint64_t bytes() const { return transfers * phase.size; }
  /// Bytes a second.
  [[nodiscard]] double rate() const;
};

struct Progress {
  Phase phase;
  double share = 0;  ///< of all phases, 0 to 1
  double rate = 0;   ///< bytes a second in this phase so far
};

/// Runs the phases one after the other. The memory that transfers use is its own: it outlives the
/// engine.
class Bench {
 public:
  explicit Bench(const BenchOptions& options);

  /// Latency of PUT and GET with one small transfer at a time, then the bandwidth of both. Every
  /// byte of every GET is compared with what rdma-responder gives; a PUT counts when the responder
  /// acknowledged all its bytes (nobody can read them back).
  /// @param progress called about ten times a second
  /// Errors: a transfer that did not end well, with the reason and what to look at; EBADMSG for a
  /// wrong byte; those of register_memory(). The engine is stopped then.
  [[nodiscard]] core::Result<std::vector<Measured>> run(
      Session& session, const std::function<void(const Progress&)>& progress = {});

 private:
  struct Slot {
    Bench* bench = nullptr;
    iovec range{};
    core::Microseconds begun{0};
    std::uint64_t bytes = 0;
    bool busy = false;
  };
  static void ended(void* context, const engine::TransferResult& result);
  [[nodiscard]] bool begin(Session& session, Slot& slot);
  void check(Slot& slot);
  [[nodiscard]] core::Result<Measured> run_phase(Session& session, std::size_t number);
  [[nodiscard]] core::Error failure(const engine::Engine& engine) const;

  BenchOptions options_;
  std::vector<Phase> phases_;
  std::vector<std::byte> expected_;
  std::vector<std::byte> memory_;
  std::vector<Slot> slots_;
  std::function<void(const Progress&)> progress_;

  // Of the phase that runs
  Phase phase_;
  Session* session_ = nullptr;
  std::vector<core::Microseconds> latencies_;
  engine::TransferStatus status_ = engine::TransferStatus::kOk;  ///< the first that was not
  std::string wrong_byte_;
  unsigned under_way_ = 0;
};

// ---- Pure

/// "8 B", "64 KiB", "1 MiB": what is a whole number of them.
[[nodiscard]] std::string size_text(std::size_t bytes);
/// "1.50 kB/s", "873 MB/s", "12.4 GB/s": powers of ten, as adapters are rated. @param rate bytes a
/// second
[[nodiscard]] std::string rate_text(double rate);
/// Reads "64K", "1M", "4096". Errors: anything else, 0, more than kLargestSize.
[[nodiscard]] core::Result<std::size_t> parse_size(std::string_view text);

/// A line a phase.
[[nodiscard]] std::string bench_text(const std::vector<Measured>& results,
                                     const Terminal& terminal);
/// docs/schemas/bench.json
[[nodiscard]] nlohmann::json bench_json(const std::vector<Measured>& results, engine::Nid from,
                                        engine::Nid peer, const std::string& device);
/// "[########............]  40 %  get 1 MiB  873 MB/s", at most so wide; without a line's end.
[[nodiscard]] std::string progress_text(const Progress& progress, std::size_t width);

}  // namespace rdmaboot::rdmactl
