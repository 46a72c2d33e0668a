// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/supervisor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::load_modules {
namespace {

/// The kernel tells nobody when another process's module becomes live: it is looked at this often.
constexpr core::Microseconds kLookAgain{4000};
/// A module directory that stays without initstate for so many looks belongs to a builtin module.
constexpr unsigned kLooksUntilBuiltin = 25;
/// The kernel answers EEXIST for a module in other hands, and also when the module's own init
/// function says so. A module that is gone after that answer is tried again so many times: its
/// other loader may have failed.
constexpr unsigned kMostRetries = 2;

struct Worker {
  pid_t pid = -1;
  core::UniqueFd socket;
  std::optional<ModuleId> task;
};

/// The life of a worker process: one index in, one Answer out, until the supervisor closes the
/// socket.
[[noreturn]] void work(int socket, const Graph& graph,
                       const std::function<Answer(const Module&)>& load) {
  while (true) {
    ModuleId id = 0;
    const ssize_t got = ::recv(socket, &id, sizeof id, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got != sizeof id || id >= graph.modules.size()) {
      ::_exit(EXIT_SUCCESS);
    }
    const Module& module = graph.modules[id];
    // Shown by ps: whoever looks for what hangs finds the module's name.
    ::prctl(PR_SET_NAME, ("load " + module.name).c_str());
    const Answer answer = load(module);
    if (::send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) {
      ::_exit(EXIT_FAILURE);
    }
  }
}

class Supervisor {
 public:
  Supervisor(const Graph& graph, const Limits& limits, const Surroundings& around)
      : graph_(graph), around_(around), scheduler_(graph, limits) {}

  std::vector<Ending> run() {
    while (!scheduler_.done()) {
      look_at_coming();
      hand_out();
      if (!scheduler_.done()) {
        wait();
      }
      static_cast<void>(scheduler_.tick(around_.clock.now()));
    }
    return endings();
  }

 private:
  void hand_out() {
    while (scheduler_.has_ready_job()) {
      Worker* const worker = idle_worker();
      const int error = errno;
      if (worker == nullptr && scheduler_.in_work() > 0) {
        return;  // with fewer workers than wanted
      }
      const std::optional<ModuleId> id = scheduler_.next(around_.clock.now());
      if (!id) {
        return;
      }
      if (worker == nullptr) {
        scheduler_.finished(*id, {Outcome::kFailed,
                                  error,
                                  {},
                                  "no worker process: " + std::system_category().message(error)});
        continue;
      }
      worker->task = id;
      if (::send(worker->socket.get(), &*id, sizeof *id, MSG_NOSIGNAL) != sizeof *id) {
        bury(*worker);
      }
    }
  }

  Worker* idle_worker() {
    for (const auto& worker : workers_) {
      if (worker->socket && !worker->task) {
        return worker.get();
      }
    }
    return start_worker();
  }

  Worker* start_worker() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return nullptr;
    }
    core::UniqueFd ours(ends[0]);
    core::UniqueFd theirs(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) {
      return nullptr;
    }
    if (pid == 0) {
      // Our ends of the other workers' sockets would keep them from noticing that we are gone.
      for (const auto& other : workers_) {
        other->socket.reset();
      }
      ours.reset();
      work(theirs.get(), graph_, around_.load);
    }
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->pid = pid;
    workers_.back()->socket = std::move(ours);
    return workers_.back().get();
  }

  void look_at_coming() {
    const std::set<ModuleId> coming = scheduler_.coming();
    for (const ModuleId id : coming) {
      switch (around_.state(graph_.modules[id])) {
        case os::ModuleState::kLive:
          scheduler_.finished(id, {Outcome::kAlreadyLive, 0, {}, {}});
          break;
        case os::ModuleState::kAbsent:
          if (++absent_looks_[id] > kMostRetries) {
            scheduler_.finished(id, {Outcome::kFailed,
                                     EEXIST,
                                     {},
                                     "its init function says that something is there already"});
          } else {
            scheduler_.gave_up(id);
          }
          break;
        case os::ModuleState::kUnnamed:
          if (++unnamed_looks_[id] >= kLooksUntilBuiltin) {
            scheduler_.finished(id, {Outcome::kBuiltin, 0, {}, {}});
          }
          break;
        case os::ModuleState::kBuiltin:
          scheduler_.finished(id, {Outcome::kBuiltin, 0, {}, {}});
          break;
        case os::ModuleState::kComing:
        case os::ModuleState::kGoing:
          break;
      }
    }
  }

  void wait() {
    std::vector<pollfd> polled;
    std::vector<Worker*> owners;
    for (const auto& worker : workers_) {
      if (worker->task) {
        polled.push_back({worker->socket.get(), POLLIN, 0});
        owners.push_back(worker.get());
      }
    }
    // Spare time only if nobody has answered yet.
    timespec none{};
    int answered = ::ppoll(polled.data(), polled.size(), &none, nullptr);
    const bool busy_meanwhile = answered == 0 && scheduler_.has_spare_job() && around_.spare_time &&
                                around_.spare_time(scheduler_);
    if (answered == 0 && !busy_meanwhile) {
      const core::Microseconds now = around_.clock.now();
      core::Microseconds until = scheduler_.wake_at();
      if (!scheduler_.coming().empty()) {
        until = std::min(until, now + kLookAgain);
      }
      const auto left = std::max(until - now, core::Microseconds{0});
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      const timespec timeout = {
          static_cast<time_t>(seconds.count()),
          static_cast<long>(std::chrono::nanoseconds(left - seconds).count())};
      answered = ::ppoll(polled.data(), polled.size(), &timeout, nullptr);
    }
    for (std::size_t i = 0; answered > 0 && i < polled.size(); ++i) {
      if (polled[i].revents != 0) {
        hear(*owners[i]);
      }
    }
  }

  void hear(Worker& worker) {
    Answer answer;
    const ssize_t got = ::recv(worker.socket.get(), &answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (got != sizeof answer) {
      bury(worker);
      return;
    }
    const ModuleId id = *std::exchange(worker.task, std::nullopt);
    if (answer.status == Answer::Status::kComing) {
      scheduler_.found_coming(id);
    } else {
      scheduler_.finished(id, ending_of(answer));
    }
  }

  /// A worker that dies takes its module's fate with it: the kernel kills a process in whose
  /// context an init function crashes.
  void bury(Worker& worker) {
    worker.socket.reset();
    int status = 0;
    const bool reaped = ::waitpid(worker.pid, &status, 0) == worker.pid;
    worker.pid = -1;
    std::string how = "the worker ended unexpectedly";
    if (reaped && WIFSIGNALED(status)) {
      how = "the worker was killed by signal " + std::to_string(WTERMSIG(status)) +
            " (see the kernel's log)";
    }
    if (const auto id = std::exchange(worker.task, std::nullopt)) {
      scheduler_.finished(*id, {Outcome::kFailed, 0, {}, std::move(how)});
    }
  }

  std::vector<Ending> endings() const {
    std::vector<Ending> all;
    all.reserve(graph_.modules.size());
    for (ModuleId id = 0; id < graph_.modules.size(); ++id) {
      all.push_back(scheduler_.ending(id).value_or(Ending{}));
    }
    return all;
  }

  const Graph& graph_;
  const Surroundings& around_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<ModuleId, unsigned> unnamed_looks_;
  std::map<ModuleId, unsigned> absent_looks_;
};

}  // namespace

Ending ending_of(const Answer& answer) {
  const core::Microseconds took{answer.microseconds};
  switch (answer.status) {
    case Answer::Status::kLoaded:
      return {Outcome::kLoaded, 0, took, {}};
    case Answer::Status::kAlreadyLive:
    case Answer::Status::kComing:
      return {Outcome::kAlreadyLive, 0, took, {}};
    case Answer::Status::kNotLoaded:
      return {Outcome::kDenied, 0, took, "its install command in modprobe.d did not load it"};
    case Answer::Status::kFailed:
      break;
  }
  if (answer.exit_status != 0) {
    const std::string status =
        WIFEXITED(answer.exit_status)
            ? "ended with status " + std::to_string(WEXITSTATUS(answer.exit_status))
            : "was killed by signal " + std::to_string(WTERMSIG(answer.exit_status));
    return {Outcome::kFailed, 0, took, "its install command in modprobe.d " + status};
  }
  return {Outcome::kFailed, answer.error_number, took,
          std::system_category().message(answer.error_number)};
}

std::vector<Ending> supervise(const Graph& graph, const Limits& limits,
                              const Surroundings& around) {
  return Supervisor(graph, limits, around).run();
}

}  // namespace rdmaboot::load_modules
