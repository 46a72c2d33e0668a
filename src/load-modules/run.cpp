// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/run.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <sched.h>
#include <unistd.h>

#include "core/clock.hpp"
#include "core/file.hpp"
#include "load-modules/expand.hpp"
#include "load-modules/lists.hpp"
#include "load-modules/options.hpp"
#include "load-modules/supervisor.hpp"
#include "load-modules/voice.hpp"
#include "os/kernel_command_line.hpp"
#include "os/kmod.hpp"

namespace rdmaboot::load_modules {
namespace {

using core::Microseconds;
using program::Level;

/// More workers than CPUs gain nothing: loading is bound by the CPU (signatures, relocation).
constexpr unsigned kMostDefaultJobs = 8;
constexpr unsigned kDefaultDeadlineSeconds = 60;
/// A module that takes longer than this part of the deadline, or this long, no longer keeps the
/// next one from being started.
constexpr Microseconds kPatience = std::chrono::seconds(10);
constexpr int kPatienceShare = 4;
constexpr Microseconds kLongestSynchronisation = std::chrono::seconds(30);

unsigned available_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  const int count = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return std::clamp(static_cast<unsigned>(count), 1U, kMostDefaultJobs);
}

/// One run, from options to exit status.
class Run {
 public:
  Run(const core::Clock& clock, Voice& voice) : clock_(clock), voice_(voice), start_(clock.now()) {}

  core::Result<int> go(std::span<char* const> arguments) {
    auto options = parse_options(arguments);
    if (!options) {
      return tl::make_unexpected(std::move(options.error()));
    }
    options_ = std::move(*options);
    if (options_.help || options_.version) {
      return print(options_.help ? usage() : "rdma-load-modules " RDMABOOT_VERSION "\n");
    }
    read_kernel_command_line();
    name_ = joined(options_.lists.empty() ? options_.modules : options_.lists);
    voice_.set_list(name_);
    if (!parameters_.load && !options_.dry_run) {
      voice_.say(Level::kInfo, "rdma_boot.load=0 on the kernel command line: nothing is loaded");
      return EXIT_SUCCESS;
    }
    const bool lists_are_good = gather();
    if (input_.requests.empty()) {
      return lists_are_good ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    auto index = os::open_kmod({options_.root, options_.kernel});
    if (!index) {
      return tl::make_unexpected(std::move(index.error()));
    }
    read_times();
    graph_ = expand(input_, **index);
    if (options_.dry_run) {
      return print(write_plan(graph_, jobs(), options_.format));
    }
    return load() && lists_are_good ? EXIT_SUCCESS : EXIT_FAILURE;
  }

 private:
  static core::Result<int> print(const std::string& text) {
    for (std::size_t written = 0; written < text.size();) {
      const ssize_t put = ::write(STDOUT_FILENO, text.data() + written, text.size() - written);
      if (put <= 0) {
        return core::fail("write to", "standard output", errno);
      }
      written += static_cast<std::size_t>(put);
    }
    return EXIT_SUCCESS;
  }

  static std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
      text += (text.empty() ? "" : " ") + name;
    }
    return text;
  }

  void read_kernel_command_line() {
    const auto text = core::read_file("/proc/cmdline");
    if (text) {
      parameters_ = os::parse_kernel_command_line(*text);
    }
    if (!parameters_.ignored.empty()) {
      voice_.say(Level::kWarning,
                 "kernel command line: " + parameters_.ignored + " is not understood, ignored");
    }
    input_.kernel_blacklist = parameters_.blacklist;
  }

  bool gather() {
    GatheredLists lists = gather_lists(options_.lists, options_.root);
    for (const core::Error& error : lists.errors) {
      voice_.say(Level::kError, error.message());
    }
    for (const core::Error& warning : lists.warnings) {
      voice_.say(Level::kWarning, warning.message());
    }
    for (const std::string& name : lists.masked) {
      voice_.say(Level::kInfo, "list " + name + " is masked: nothing of it is loaded");
    }
    input_.requests = std::move(lists.requests);
    for (const std::string& module : options_.modules) {
      input_.requests.push_back({module, "--module"});
    }
    return lists.errors.empty();
  }

  void read_times() {
    constexpr std::size_t kTimesLimit = 512UL * 1024;
    if (const auto text = core::read_file(options_.root + kModuleTimesPath, kTimesLimit)) {
      input_.times = parse_module_times(*text);
    }
  }

  [[nodiscard]] unsigned jobs() const {
    return options_.jobs ? *options_.jobs : parameters_.jobs.value_or(available_cpus());
  }

  bool load() {
    const unsigned seconds = options_.deadline_seconds
                                 ? *options_.deadline_seconds
                                 : parameters_.deadline_seconds.value_or(kDefaultDeadlineSeconds);
    const Microseconds allowed = std::chrono::seconds(seconds);
    const Microseconds deadline = start_ + allowed;
    told_.resize(graph_.modules.size());
    const std::string compression = kernel_compression();
    const Surroundings around = {
        clock_, [&](const Module& module) { return insert(module, compression); },
        [](const Module& module) { return os::module_state("/sys", module.name); },
        [&](const Scheduler& scheduler) { return use_spare_time(scheduler); }};
    const std::vector<Ending> endings = supervise(
        graph_, {jobs(), deadline, std::min(kPatience, allowed / kPatienceShare)}, around);
    const Microseconds took = clock_.now() - start_;
    report(endings, took);
    const Microseconds left = deadline - clock_.now();
    if (left <= Microseconds{0}) {
      voice_.say(Level::kWarning, "no time is left to wait for the devices the modules promise");
    } else {
      voice_.synchronise(std::min(left, kLongestSynchronisation));
    }
    write_times(endings);
    return !any_failure(graph_, endings);
  }

  /// While a CPU is idle: maps the late half, then tells what has ended so far, then looks whether
  /// udev and PID 1 are through with the devices.
  bool use_spare_time(const Scheduler& scheduler) {
    if (voice_.prepare()) {
      return true;
    }
    for (ModuleId id = 0; id < graph_.modules.size(); ++id) {
      if (!told_[id] && scheduler.ending(id)) {
        tell(id, *scheduler.ending(id));
        return true;
      }
    }
    voice_.look();
    return false;
  }

  void tell(ModuleId id, const Ending& ending) {
    told_[id] = true;
    voice_.say(describe_ending(graph_.modules[id], ending));
  }

  void report(const std::vector<Ending>& endings, Microseconds took) {
    for (const std::string& cycle : graph_.cycles) {
      voice_.say(Level::kWarning, cycle);
    }
    for (ModuleId id = 0; id < endings.size(); ++id) {
      if (!told_[id]) {
        tell(id, endings[id]);
      }
    }
    voice_.say(describe_run(name_, graph_, endings, took));
  }

  /// Best effort: the directory may be missing or not writable yet.
  void write_times(const std::vector<Ending>& endings) {
    ModuleTimes measured;
    for (ModuleId id = 0; id < endings.size(); ++id) {
      if (endings[id].outcome == Outcome::kLoaded) {
        measured.emplace(graph_.modules[id].name,
                         static_cast<std::uint64_t>(endings[id].took.count()));
      }
    }
    if (!measured.empty()) {
      // Anew: the loader of another list may have written since.
      read_times();
      measured.merge(input_.times);
      static_cast<void>(core::replace_file(kModuleTimesPath, format_module_times(measured)));
    }
  }

  const core::Clock& clock_;
  Voice& voice_;
  Microseconds start_;
  Options options_;
  os::KernelParameters parameters_;
  std::string name_;
  PlanInput input_;
  Graph graph_;
  std::vector<bool> told_;
};

}  // namespace

int run_program(std::span<char* const> arguments) noexcept {
  const core::MonotonicClock clock;
  Voice voice;
  try {
    const core::Result<int> status = Run(clock, voice).go(arguments);
    if (status) {
      return *status;
    }
    voice.say(Level::kError, status.error().message());
  } catch (const std::exception& failure) {
    // Out of memory and nothing else: libraries return errors.
    voice.say(Level::kError, failure.what());
  }
  return EXIT_FAILURE;
}

}  // namespace rdmaboot::load_modules
