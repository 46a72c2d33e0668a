// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/path/bench.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "rdmaboot/engine/responder.hpp"
#include "rdmactl/path/ping.hpp"

namespace rdmaboot::rdmactl {
namespace {

using core::Microseconds;
using engine::TransferStatus;

/// Where a byte is made wrong before a GET: one in each so many, and the first and the last. A
/// page that nobody wrote, or any piece of a message, is found; the rest of the adapter's time is
/// not spent on clearing memory.
constexpr std::size_t kSpoilEvery = 512;
constexpr Microseconds kProgressEvery = std::chrono::milliseconds(100);

/// What to look at.
const char* advice(TransferStatus status) {
  switch (status) {
    case TransferStatus::kNotMatched:
      return "; does rdma-responder.service run there?";
    case TransferStatus::kTruncated:
      return "; Buffer= in the peer's responder.conf is smaller: use --size";
    case TransferStatus::kMemoryFailed:
    case TransferStatus::kNoMemory:
      return "; less memory is needed with --size or --depth, more may be allowed with ulimit -l";
    default:
      return "";
  }
}

}  // namespace

double Measured::rate() const {
  return took.count() <= 0 ? 0
                           : static_cast<double>(bytes()) * 1e6 / static_cast<double>(took.count());
}

Bench::Bench(const BenchOptions& options)
    : options_(options),
      phases_{{false, std::min(kSmallSize, options.size), 1},
              {true, std::min(kSmallSize, options.size), 1},
              {false, options.size, options.depth},
              {true, options.size, options.depth}},
      expected_(options.size),
      memory_(options.size * options.depth),
      slots_(options.depth) {
  for (std::size_t offset = 0; offset < expected_.size(); ++offset) {
    expected_[offset] = engine::responder_source_byte(offset);
  }
}

void Bench::check(Slot& slot) {
  const auto got = std::span(static_cast<const std::byte*>(slot.range.iov_base), phase_.size);
  if (std::memcmp(got.data(), expected_.data(), got.size()) == 0) {
    return;
  }
  const auto [wrong, right] = std::mismatch(got.begin(), got.end(), expected_.begin());
  wrong_byte_ = "byte " + std::to_string(wrong - got.begin()) + " of a GET is " +
                std::to_string(std::to_integer<int>(*wrong)) + ", not " +
                std::to_string(std::to_integer<int>(*right));
}

void Bench::ended(void* context, const engine::TransferResult& result) {
  auto& slot = *static_cast<Slot*>(context);
  Bench& bench = *slot.bench;
  slot.busy = false;
  --bench.under_way_;
  if (result.status != TransferStatus::kOk || result.bytes != bench.phase_.size) {
    if (bench.status_ == TransferStatus::kOk) {
      bench.status_ =
          result.status == TransferStatus::kOk ? TransferStatus::kTruncated : result.status;
    }
    return;
  }
  bench.latencies_.push_back(bench.session_->now() - slot.begun);
  if (bench.phase_.get) {
    bench.check(slot);
  }
}

bool Bench::begin(Session& session, Slot& slot) {
  auto* const bytes = static_cast<std::byte*>(slot.range.iov_base);
  slot.range.iov_len = phase_.size;
  const std::span<const iovec> range(&slot.range, 1);
  const engine::WhenDone done{&Bench::ended, &slot};
  if (phase_.get) {
    for (std::size_t offset = 0; offset < phase_.size; offset += kSpoilEvery) {
      bytes[offset] = ~expected_[offset];
    }
    bytes[phase_.size - 1] = ~expected_[phase_.size - 1];
  }
  slot.begun = session.now();
  slot.busy = true;
  ++under_way_;
  tl::expected<engine::TransferId, TransferStatus> started;
  if (phase_.get) {
    engine::GetOptions options;
    options.portal = engine::kResponderPortal;
    options.match_bits = engine::kResponderSourceBits;
    options.deadline = options_.timeout;
    started = session.engine().get(options_.peer, range, options, done);
  } else {
    engine::PutOptions options;
    options.portal = engine::kResponderPortal;
    options.match_bits = engine::kResponderSinkBits;
    options.acknowledged = true;
    options.deadline = options_.timeout;
    started = session.engine().put(options_.peer, range, options, done);
  }
  if (!started) {
    slot.busy = false;
    --under_way_;
    status_ = status_ == TransferStatus::kOk ? started.error() : status_;
  }
  return started.has_value();
}

core::Error Bench::failure(const engine::Engine& engine) const {
  const std::string what = std::string(phase_.get ? "get " : "put ") + size_text(phase_.size) +
                           (phase_.get ? " from" : " to");
  if (!wrong_byte_.empty()) {
    return core::fail(what, to_string(options_.peer), EBADMSG, wrong_byte_).value();
  }
  return core::fail(what, to_string(options_.peer), 0,
                    why_not(engine, options_.peer, status_) + advice(status_))
      .value();
}

core::Result<Measured> Bench::run_phase(Session& session, std::size_t number) {
  phase_ = phases_[number];
  latencies_.clear();
  latencies_.reserve(std::min<std::size_t>(kMostTransfers, 1U << 16U));
  const Microseconds begin_time = session.now();
  const Microseconds end = begin_time + options_.time;
  Microseconds next_progress = begin_time + kProgressEvery;
  const auto failed = [&] { return status_ != TransferStatus::kOk || !wrong_byte_.empty(); };
  const auto enough = [&] {
    return session.now() >= end || latencies_.size() + under_way_ >= kMostTransfers;
  };
  const auto turn = [&] {
    for (unsigned i = 0; i < phase_.depth && !failed() && !enough(); ++i) {
      if (!slots_[i].busy) {
        static_cast<void>(begin(session, slots_[i]));
      }
    }
    if (progress_ && session.now() >= next_progress) {
      const Microseconds spent = session.now() - begin_time;
      next_progress = session.now() + kProgressEvery;
      const double share = std::min(
          1.0, static_cast<double>(spent.count()) / static_cast<double>(options_.time.count()));
      progress_({phase_,
                 (static_cast<double>(number) + share) / static_cast<double>(phases_.size()),
                 Measured{phase_, latencies_.size(), spent, {}}.rate()});
    }
    return under_way_ == 0 && (failed() || enough());
  };
  const bool over = session.run_until(turn, end + options_.timeout + std::chrono::seconds(1));
  if (!over && !failed()) {
    status_ = TransferStatus::kTimedOutAnswer;
  }
  if (failed()) {
    core::Error error = failure(session.engine());
    session.engine().stop();
    return tl::unexpected(std::move(error));
  }
  Measured measured{phase_, latencies_.size(), session.now() - begin_time, {}};
  measured.latency = latencies(latencies_);
  return measured;
}

core::Result<std::vector<Measured>> Bench::run(
    Session& session, const std::function<void(const Progress&)>& progress) {
  session_ = &session;
  progress_ = progress;
  // The source of PUTs; before each GET some of it is spoilt.
  for (unsigned i = 0; i < options_.depth; ++i) {
    std::byte* const start = memory_.data() + i * options_.size;
    std::copy(expected_.begin(), expected_.end(), start);
    slots_[i] = {this, {start, options_.size}, {}, 0, false};
  }
  if (auto registered = session.engine().register_memory(memory_); !registered) {
    return tl::make_unexpected(registered.error());
  }
  // Not a part of what is measured: the connection.
  const std::vector<Ping> first =
      run_pings(session, {options_.peer, 1, Microseconds(0), options_.timeout});
  if (!first.front().answered()) {
    return core::fail("reach", to_string(options_.peer), 0, first.front().why);
  }
  std::vector<Measured> results;
  for (std::size_t number = 0; number < phases_.size(); ++number) {
    auto measured = run_phase(session, number);
    if (!measured) {
      return tl::make_unexpected(measured.error());
    }
    results.push_back(*measured);
  }
  return results;
}

}  // namespace rdmaboot::rdmactl
