// SPDX-License-Identifier: BSD-2-Clause
#include "link/run.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <poll.h>

#include "device/declared_link.hpp"
#include "link/machine.hpp"
#include "link/plan.hpp"
#include "link/show.hpp"
#include "link/state.hpp"
#include "os/udev_monitor.hpp"
#include "program/log.hpp"

namespace rdmaboot::link {
namespace {

using core::Result;
using program::Level;

std::string described(const Step& step) {
  return std::string(device::name_of(step.type)) + " link " + step.link +
         (step.netdev.empty() ? "" : " on " + step.netdev);
}

void tell(Level level, const Step& step, const std::string& message) {
  program::log(
      level, message,
      {{"RDMA_DEVICE", step.link}, {"NETDEV", step.netdev}, {"RDMA_LINK_FILE", step.file}});
}

class Worker {
 public:
  explicit Worker(const Options& options) : options_(options) {}

  Result<int> apply() {
    const auto lock = store_.lock();
    if (!lock) {
      return tl::make_unexpected(lock.error());
    }
    // Subscribed before anything is read, so that no device goes unnoticed.
    subscribe();
    std::pair<std::size_t, std::size_t> done;
    for (int round = 0; round < kMostRounds; ++round) {
      device::DeclaredLinks declared = device::read_declared_links("");
      if (options_.if_changed && store_.last_applied() == declared.fingerprint) {
        return 0;
      }
      // systemd does not start a unit again whose program still runs: what changes meanwhile is
      // ours to see.
      const std::pair now(declared.fingerprint, Machine::interfaces_fingerprint());
      if (round > 0 && now == done && !again_) {
        break;
      }
      if (again_) {
        ++retries_;
        wait_for_a_change();
      }
      done = now;
      again_ = false;
      failed_ = false;
      if (auto worked = work(std::move(declared)); !worked) {
        return tl::make_unexpected(worked.error());
      }
    }
    if (options_.netdev.empty()) {
      note(store_.applied(done.first));
    }
    return failed_ ? 1 : 0;
  }

 private:
  void subscribe() {
    auto monitor = os::open_udev_monitor("kernel", {"infiniband"}, 0);
    if (monitor) {
      monitor_ = std::move(*monitor);
    } else {
      tell_once(monitor.error());
    }
  }

  /// Waits until an RDMA device came or went, but not for long.
  void wait_for_a_change() {
    pollfd waiting{monitor_->fd(), POLLIN, 0};
    static_cast<void>(::poll(&waiting, 1, static_cast<int>(kRetryAfter.count())));
    // Only that something happened counts.
    static_cast<void>(monitor_->receive());
  }

  Result<void> work(device::DeclaredLinks declared) {
    for (const core::Error& error : declared.errors) {
      // Of the runs for one interface none is to blame; the one for all of them is.
      failed_ = failed_ || options_.netdev.empty();
      tell_once(error);
    }
    State state = store_.read();
    for (const core::Error& error : state.errors) {
      tell_once(error);
    }
    if (options_.netdev.empty()) {
      std::set<std::string> names;
      for (const device::DeclaredLink& link : declared.links) {
        names.insert(link.name);
      }
      note(store_.accept_all_but(names));
    }
    auto facts = machine_.facts(std::move(declared), std::move(state.made));
    if (!facts) {
      return tl::make_unexpected(facts.error());
    }
    for (const Step& step : make_plan(*facts)) {
      if (options_.netdev.empty() || step.netdev == options_.netdev) {
        take(step);
      }
    }
    return {};
  }

  void take(const Step& step) {
    if (step.action != Action::kRefuse && step.action != Action::kCreate) {
      note(store_.accept(step.link));
    }
    switch (step.action) {
      case Action::kDelete:
        remove(step);
        break;
      case Action::kForget:
        check(step, store_.forget(step.link));
        break;
      case Action::kCreate:
        create(step);
        break;
      case Action::kKeep:
      case Action::kAdopt:
        tell(Level::kDebug, step, described(step) + " is there: " + step.reason);
        break;
      case Action::kWait:
        tell(Level::kInfo, step, described(step) + " has to wait: " + step.reason);
        break;
      case Action::kRefuse:
        failed_ = true;
        note(store_.refuse(step.link, step.reason));
        tell(Level::kError, step,
             described(step) + " (" + step.file + ") cannot be made: " + step.reason);
        break;
    }
  }

  void create(const Step& step) {
    const auto made = machine_.create(step);
    const int error = made ? 0 : made.error().error_number;
    if ((error == EEXIST || error == ENFILE) && monitor_ && retries_ < kMostRetries) {
      // The kernel removes the link of an interface that went some time after the interface, and
      // does not list it any more: name and interface are still taken.
      again_ = true;
      tell(Level::kDebug, step, made.error().message());
      return;
    }
    if (!made) {
      note(store_.refuse(step.link, made.error().message()));
      check(step, tl::make_unexpected(made.error()));
      return;
    }
    note(store_.accept(step.link));
    tell(Level::kInfo, step,
         "made " + described(step) + " (" + step.file +
             (step.reason.empty() ? ")" : "; " + step.reason + ")"));
    check(step, store_.write(*made));
  }

  void remove(const Step& step) {
    const auto removed = machine_.remove(step);
    check(step, removed);
    if (removed) {
      tell(Level::kInfo, step,
           "removed " + std::string(device::name_of(step.type)) + " link " + step.link + ": " +
               step.reason);
      check(step, store_.forget(step.link));
    }
  }

  void check(const Step& step, const Result<void>& result) {
    if (!result) {
      failed_ = true;
      tell(Level::kError, step, result.error().message());
    }
  }

  /// For notes that only spare others a wait.
  void note(const Result<void>& result) {
    if (!result) {
      tell_once(result.error());
    }
  }

  void tell_once(const core::Error& error) {
    if (told_.insert(error.message()).second) {
      program::log(Level::kWarning, error.message());
    }
  }

  const Options& options_;
  StateStore store_;
  Machine machine_;
  std::unique_ptr<os::UeventSource> monitor_;
  std::set<std::string> told_;
  int retries_ = 0;
  bool again_ = false;
  bool failed_ = false;
};

Result<int> list(const Options& options) {
  device::DeclaredLinks declared = device::read_declared_links("");
  for (const core::Error& error : declared.errors) {
    program::log(Level::kWarning, error.message());
  }
  Machine machine;
  const auto facts = machine.facts(std::move(declared), StateStore().read().made);
  if (!facts) {
    return tl::make_unexpected(facts.error());
  }
  const auto plan = make_plan(*facts);
  const std::string text = options.json ? as_json(plan) : as_text(plan);
  static_cast<void>(std::fputs(text.c_str(), stdout));
  return 0;
}

Result<int> check(const Options& options) {
  const device::DeclaredLinks declared = device::read_declared_links(options.root);
  for (const core::Error& error : declared.errors) {
    program::log(Level::kError, error.message());
  }
  std::printf("%zu links, %zu errors\n", declared.links.size(), declared.errors.size());
  return declared.errors.empty() ? 0 : 1;
}

}  // namespace

Result<int> run(const Options& options) {
  switch (options.verb) {
    case Verb::kApply:
      return Worker(options).apply();
    case Verb::kList:
      return list(options);
    case Verb::kCheck:
      break;
  }
  return check(options);
}

}  // namespace rdmaboot::link
