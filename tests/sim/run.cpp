// SPDX-License-Identifier: BSD-2-Clause
#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace rdmaboot::tests {

using core::Microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A run that needs more than this has no end.
constexpr std::uint64_t kMostSteps = 3'000'000;
constexpr std::uint64_t kMostIdleTurns = 100'000;  // without the clock moving
constexpr unsigned kMostProcessCalls = 20'000;     // in one turn
// From the end of all faults to everybody having answered everybody.
constexpr Microseconds kHealingTime = seconds(120);
// After the last completion: then no message is on its way, and the ledgers of both sides agree.
constexpr Microseconds kRestTime = milliseconds(20);
constexpr unsigned kRestTries = 20;
constexpr std::uint64_t kCreditCheckEvery = 16;

}  // namespace

Run::Run(std::uint64_t seed, Mutation mutation, bool verbose)
    : seed_(seed),
      mutation_(mutation),
      verbose_(verbose),
      plan_(make_plan(seed)),
      world_(seed, plan_.weather) {
  world_.observe(this);
}

Run::~Run() {
  for (Host& host : hosts_) {
    host.engine.reset();
    host.fabric.reset();
  }
}

void Run::begin() {
  hosts_.resize(plan_.hosts.size());
  for (std::uint32_t i = 0; i < hosts_.size(); ++i) {
    Host& host = hosts_[i];
    host.run = this;
    host.number = i;
    host.id = world_.add_host("host" + std::to_string(i));
    host.device = world_.add_device(host.id, {"sim" + std::to_string(i), plan_.hosts[i].limits});
    host.spare = world_.add_device(host.id, {"spare" + std::to_string(i), plan_.hosts[i].limits});
    world_.give_address(host.device, address_of(i));
  }
  reached_.assign(hosts_.size(), std::vector<bool>(hosts_.size(), false));
  for (const Action& action : plan_.actions) {
    world_.at(action.at, [this, &action] { perform(action); });
  }
  world_.at(plan_.traffic_ends + milliseconds(1), [this] { heal(); });
}

Verdict Run::execute() {
  begin();
  while (!over_ && turn()) {
  }
  if (!over_) {
    finish();
  }
  verdict_.ended = world_.clock().now();
  return verdict_;
}

/// Lets everybody who has something to do do it, then moves the clock. @return false at the end
bool Run::turn() {
  const bool busy = run_engines();
  if (over_) {
    return false;
  }
  if (++verdict_.steps > kMostSteps) {
    broken("a run ends: " + std::to_string(kMostSteps) + " steps are not enough");
    return false;
  }
  if (verdict_.steps % kCreditCheckEvery == 0) {
    if (const std::string claim = check_credits(false); !claim.empty()) {
      broken(claim);
    }
    check_overdue();
  }
  const bool all_answered =
      healed_ && std::all_of(reached_.begin(), reached_.end(), [](const std::vector<bool>& row) {
        return std::count(row.begin(), row.end(), false) <= 1;  // oneself
      });
  if (healed_ && pending_ == 0 && all_answered &&
      world_.clock().now() >= last_completion_ + kRestTime) {
    return false;
  }
  if (healed_ && world_.clock().now() > plan_.traffic_ends + kHealingTime) {
    broken(all_answered ? "every transfer completes in bounded time"
                        : "after all faults ended everybody reaches everybody again");
    return false;
  }
  const auto next = next_time();
  if (!next) {
    broken("somebody waits for something: nothing will ever happen again");
    return false;
  }
  idle_turns_ = *next <= world_.clock().now() && !busy ? idle_turns_ + 1 : 0;
  if (idle_turns_ > kMostIdleTurns) {
    broken("time goes on: somebody wants to run again and again at one moment");
    return false;
  }
  const auto happens = world_.next_time();
  if (happens && *happens <= *next) {
    world_.step();
  } else {
    world_.run_until(std::max(*next, world_.clock().now()));
  }
  return true;
}

std::optional<Microseconds> Run::next_time() {
  std::optional<Microseconds> next = world_.next_time();
  const auto sooner = [&next](Microseconds time) { next = next ? std::min(*next, time) : time; };
  const Microseconds now = world_.clock().now();
  for (const Host& host : hosts_) {
    if (!host.engine) {
      if (host.wanted) {
        sooner(host.next_start);
      }
      continue;
    }
    if (host.paused_until > now) {
      sooner(host.paused_until);
      continue;
    }
    if (host.engine->wants_polling()) {
      sooner(now + Microseconds(1));
    }
    if (const auto deadline = host.engine->next_deadline()) {
      // Due now, although it just ran: the clock is to move all the same.
      sooner(std::max(*deadline, now + Microseconds(1)));
    }
  }
  return next;
}

bool Run::run_engines() {
  bool busy = false;
  // Nobody is always first.
  const std::size_t first = world_.random().below(hosts_.size());
  for (std::size_t i = 0; i < hosts_.size() && !over_; ++i) {
    Host& host = hosts_[(first + i) % hosts_.size()];
    const Microseconds now = world_.clock().now();
    if (!host.engine && host.wanted && host.next_start <= now) {
      start_engine(host);
    }
    if (host.engine && host.paused_until <= now) {
      busy = run_engine(host) || busy;
    }
  }
  return busy;
}

bool Run::run_engine(Host& host) {
  const auto deadline = host.engine->next_deadline();
  const bool due = deadline && *deadline <= world_.clock().now();
  if (!due && !world_.has_events(host.id) && !host.engine->wants_polling()) {
    return false;
  }
  unsigned calls = 0;
  bool busy = false;
  while (host.engine->process()) {
    busy = true;
    if (over_) {
      return true;
    }
    if (++calls > kMostProcessCalls) {
      broken("process() comes to an end");
      return true;
    }
  }
  return busy;
}

void Run::start_engine(Host& host) {
  if (!host.fabric) {
    host.fabric = mutate(world_.fabric(host.id), mutation_);
  }
  engine::Settings settings = plan_.hosts[host.number].settings;
  settings.incarnation = 1'000'000 + host.life * 1000 + host.number;
  settings.on_event = verbose_ ? &Run::on_event : nullptr;
  settings.on_event_context = &host;
  auto started = engine::Engine::start(settings, *host.fabric, world_.clock());
  if (!started) {
    tell("host " + std::to_string(host.number) + " does not start: " + started.error().message());
    if (plan_.calm) {
      broken("an engine starts: " + started.error().message());
    }
    host.next_start = world_.clock().now() + milliseconds(100);
    return;
  }
  ++host.life;
  host.engine = std::move(*started);
  tell("host " + std::to_string(host.number) + " starts, life " + std::to_string(host.life));
}

/// The process ends. @param stopped by stop(), so everything has to be reported
void Run::end_engine(Host& host, bool stopped) {
  if (!host.engine) {
    host.fabric.reset();
    return;
  }
  tell("host " + std::to_string(host.number) + (stopped ? " stops" : " ends"));
  if (stopped) {
    host.engine->stop();
  }
  for (const auto& transfer : transfers_) {
    if (transfer->action.host == host.number && transfer->life == host.life &&
        !transfer->completed) {
      if (stopped) {
        broken("stop() completes every transfer");
      }
      transfer->completed = true;
      --pending_;
    }
  }
  host.engine.reset();
  host.fabric->stop_listening();  // requests that nobody has read yet are not the engine's
  check_nothing_left(host);
  host.fabric.reset();
  // Its memory is its own again; nobody may write to it.
  host.settled.clear();
  for (const auto& transfer : transfers_) {
    const bool gets = transfer->action.kind == Action::Kind::kGet;
    if (transfer->action.host == host.number && gets) {
      settle(host, *transfer->here, 0, transfer->here->length(), transfer->tag);
    }
    if (transfer->action.other == host.number && transfer->there) {
      settle(host, *transfer->there, 0, transfer->there->length(), transfer->tag);
    }
  }
}

/// All faults end; from now on everybody has to get through.
void Run::heal() {
  tell("healed");
  world_.model() = sim::NetworkModel{};
  for (Host& host : hosts_) {
    world_.restore_device(host.device);
    world_.restore_device(host.spare);
    world_.port_up(host.device, false);
    world_.port_up(host.spare, false);
    world_.give_address(host.device, address_of(host.number));
    world_.fail_allocation(host.id, 0);
    host.paused_until = world_.clock().now();
    if (!world_.is_up(host.id)) {
      world_.restart(host.id);
    }
    host.wanted = true;
  }
  healed_ = true;
  probe();
}

/// Everybody pings whom he has not reached yet, again and again.
void Run::probe() {
  if (over_ || ending_) {
    return;
  }
  for (const Host& host : hosts_) {
    for (const Host& other : hosts_) {
      if (host.number != other.number && !reached_[host.number][other.number]) {
        Action ping;
        ping.kind = Action::Kind::kPing;
        ping.host = host.number;
        ping.other = other.number;
        perform(ping);
      }
    }
  }
  world_.at(world_.clock().now() + seconds(2), [this] { probe(); });
}

void Run::finish() {
  // A keepalive may just be on its way.
  for (unsigned i = 0; plan_.calm && i < kRestTries && !check_credits(true).empty(); ++i) {
    world_.run_until(world_.clock().now() + milliseconds(1));
    run_engines();
  }
  if (plan_.calm) {
    check_arrived();
  }
  ending_ = true;
  if (const std::string claim = check_credits(plan_.calm); !claim.empty()) {
    broken(claim);
  }
  check_memory();
  for (Host& host : hosts_) {
    if (!over_) {
      host.wanted = false;
      end_engine(host, world_.random().below(2) == 0);
    }
  }
  // What was still on its way must not land anywhere.
  const Microseconds end = world_.clock().now() + seconds(2);
  while (!over_ && world_.next_time() && *world_.next_time() <= end && world_.step()) {
  }
  check_memory();
}

}  // namespace rdmaboot::tests
