// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the programs that drive engines in a guest have in common: a loop over several engines, and
// data that can be told from other data.

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "engine/verbs_fabric.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine::test {

inline constexpr std::uint32_t kPortal = 9;
inline constexpr std::uint32_t kEchoPortal = 10;
inline constexpr std::uint64_t kBits = 0x1001;

[[noreturn]] inline void fail(const std::string& what) {
  std::printf("FAIL: %s\n", what.c_str());
  std::exit(1);  // NOLINT(concurrency-mt-unsafe)
}

template <typename T>
T need(core::Result<T> result) {
  if (!result) {
    fail(result.error().message());
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(*result);
  }
}

/// "4096", "64K", "1M", "1G" in bytes.
inline std::size_t bytes_of(const std::string& text) {
  std::size_t used = 0;
  const std::size_t number = std::stoull(text, &used);
  const char unit = used < text.size() ? text[used] : ' ';
  return unit == 'K'   ? number << 10
         : unit == 'M' ? number << 20
         : unit == 'G' ? number << 30
                       : number;
}

/// Memory of `size` bytes in which the same `fold` bytes repeat, so that a gigabyte fits a small
/// guest: what is written to one repetition is in all of them.
class Memory {
 public:
  explicit Memory(std::size_t size, std::size_t fold = 0) : size_(size) {
    fold = fold == 0 ? size : std::min(fold, size);
    const core::UniqueFd file(::memfd_create("buffer", MFD_CLOEXEC));
    void* const all = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!file || all == MAP_FAILED || ::ftruncate(file.get(), static_cast<off_t>(fold)) != 0) {
      fail("memory");
    }
    start_ = static_cast<std::byte*>(all);
    for (std::size_t at = 0; at < size; at += fold) {
      if (::mmap(start_ + at, std::min(fold, size - at), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED, file.get(), 0) == MAP_FAILED) {
        fail("mapping memory");
      }
    }
    fold_ = fold;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::munmap(start_, size_); }

  [[nodiscard]] std::byte* data() const { return start_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {start_, size_}; }
  [[nodiscard]] iovec range(std::size_t offset, std::size_t length) const {
    return {start_ + offset, length};
  }
  /// Every eight bytes are their place, scrambled with the seed.
  void fill(std::uint64_t seed) const {
    for (std::size_t at = 0; at + 8 <= fold_; at += 8) {
      const std::uint64_t word = (at + 1) * 0x9E3779B97F4A7C15U ^ seed;
      std::memcpy(start_ + at, &word, sizeof word);
    }
  }
  void clear() const { std::memset(start_, 0, fold_); }

 private:
  std::byte* start_ = nullptr;
  std::size_t size_;
  std::size_t fold_ = 0;
};

inline void print_event(void* who, const EngineEvent& event) {
  static constexpr const char* kNames[] = {"connected", "closed",      "refused",
                                           "device up", "device down", "failed over"};
  std::printf("%s: %s %s %s %.*s\n", static_cast<const char*>(who),
              kNames[static_cast<std::size_t>(event.kind)], to_string(event.peer).c_str(),
              std::string(to_string(event.reason)).c_str(), static_cast<int>(event.detail.size()),
              event.detail.data());
}

inline ExposeOptions exposed_at(std::uint32_t portal) {
  ExposeOptions options;
  options.portal = portal;
  options.match_bits = kBits;
  return options;
}

/// An engine on a fabric of its own.
struct Node {
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Engine> engine;

  static Node start(Settings settings, const core::Clock& clock) {
    settings.incarnation = settings.incarnation != 0 ? settings.incarnation : incarnation_now();
    Node node;
    node.fabric = need(open_verbs_fabric());
    node.engine = need(Engine::start(settings, *node.fabric, clock));
    return node;
  }
};

/// Runs engines until something is so. Of many engines only those are asked that have something to
/// do, so that what is measured is the engine and not this loop.
class Loop {
 public:
  explicit Loop(const core::Clock& clock) : clock_(clock), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    watch(signals_.get(), kSignals);
  }
  void add(Engine& engine) {
    watch(engine.fd(), engines_.size());
    engines_.push_back({&engine, true});
  }
  [[nodiscard]] bool told_to_end() const { return end_; }

  /// @return false if it was not so in time, or a signal came
  template <typename Condition>
  bool until(Condition condition, Duration patience) {
    const auto end = clock_.now() + patience;
    for (Member& member : engines_) {
      member.ready = true;  // somebody may have called it since
    }
    while (!condition()) {
      const bool anything = process();
      if (condition()) {
        break;
      }
      const auto now = clock_.now();
      if (end_ || now >= end) {
        return false;
      }
      // Other engines and signals are looked for now and then in a loop that never sleeps, too.
      if (!anything || ++turns_ % 16 == 0) {
        wait(anything ? Duration{0} : end - now);
      }
    }
    return true;
  }

 private:
  static constexpr std::uint64_t kSignals = UINT64_MAX;
  struct Member {
    Engine* engine;
    bool ready;
  };

  void watch(int fd, std::uint64_t who) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = who;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      fail("epoll");
    }
  }
  bool process() {
    bool anything = false;
    for (Member& member : engines_) {
      if (member.ready) {
        const bool did = member.engine->process();
        member.ready = did || member.engine->wants_polling();
        anything = anything || member.ready;
      }
    }
    return anything;
  }
  /// Until an engine is ready, or for so long.
  void wait(Duration longest) {
    const auto now = clock_.now();
    for (Member& member : engines_) {
      if (const auto deadline = member.engine->next_deadline()) {
        member.ready = member.ready || *deadline <= now;
        longest = std::clamp(*deadline - now, Duration{0}, longest);
      }
    }
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(longest).count();
    std::array<epoll_event, 64> events{};
    const int found = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   static_cast<int>(milliseconds));
    for (int i = 0; i < found; ++i) {
      const std::uint64_t who = events[static_cast<std::size_t>(i)].data.u64;
      if (who == kSignals) {
        end_ = true;
      } else {
        engines_[who].ready = true;
      }
    }
  }

  const core::Clock& clock_;
  core::UniqueFd epoll_;
  core::UniqueFd signals_;
  std::vector<Member> engines_;
  bool end_ = false;
  unsigned turns_ = 0;
};

/// What an engine has to say about itself when something did not happen.
inline void describe(const Engine& engine) {
  for (const PeerInfo& peer : engine.peers()) {
    std::printf("peer %s: %u waiting, %u failures, next attempt in %ld us, last: %s %s\n",
                to_string(peer.nid).c_str(), peer.waiting, peer.connect_failures,
                static_cast<long>(peer.next_attempt.count()),
                std::string(to_string(peer.last_reason)).c_str(), peer.last_detail.c_str());
    for (const ConnectionInfo& one : peer.connections) {
      std::printf(
          "  connection %lu %s %s: credits %u reserved %u owed %u posted %u, sent %lu received "
          "%lu, age %ld us, idle %ld us\n",
          static_cast<unsigned long>(one.id), one.active ? "active" : "passive",
          std::string(to_string(one.state)).c_str(), one.credits, one.reserved, one.owed,
          one.posted, static_cast<unsigned long>(one.messages_sent),
          static_cast<unsigned long>(one.messages_received), static_cast<long>(one.age.count()),
          static_cast<long>(one.idle.count()));
    }
  }
  std::printf("transfers %u, connections %u\n", engine.statistics().transfers,
              engine.statistics().connections);
}

/// Resident memory of this process, KiB.
inline std::size_t resident_kib() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * 4;
}

/// What malloc has given out in this process, KiB. Unlike resident memory it grows with a leak
/// only.
inline std::size_t heap_kib() {
  const struct mallinfo2 heap = ::mallinfo2();
  return (heap.uordblks + heap.hblkhd) / 1024;
}

using Words = std::span<char*>;

/// Something that such a program can be asked for by its first word.
struct Verb {
  const char* name;
  std::size_t least;  ///< words that have to follow it
  int (*function)(const core::Clock&, Words);
};

/// Does what the first of `words` names. @return the exit status, 2 if it names nothing of `verbs`
inline int run_verb(std::span<const Verb> verbs, const char* program, Words words) {
  static_cast<void>(std::setvbuf(stdout, nullptr, _IOLBF, 0));
  const core::MonotonicClock clock;
  for (const Verb& verb : verbs) {
    if (!words.empty() && std::string(words[0]) == verb.name && words.size() > verb.least) {
      return verb.function(clock, words.subspan(1));
    }
  }
  std::printf("usage: see the head of %s.cpp\n", program);
  return 2;
}

}  // namespace rdmaboot::engine::test
