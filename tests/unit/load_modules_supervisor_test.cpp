// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-shell dl
//
// The supervisor with real worker processes, but loads that only pretend.
#include "load-modules/supervisor.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <map>

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_modules_fakes.hpp"

namespace {
bool no_sockets = false;
}

/// Takes precedence over the C library's: a process that is out of descriptors.
extern "C" int socketpair(int domain, int type, int protocol, int* ends) noexcept {
  if (no_sockets) {
    errno = EMFILE;
    return -1;
  }
  static const auto real =
      reinterpret_cast<int (*)(int, int, int, int*)>(::dlsym(RTLD_NEXT, "socketpair"));
  return real(domain, type, protocol, ends);
}

namespace rdmaboot::load_modules {
namespace {

using namespace std::chrono_literals;
using test::graph_of;
using test::id_of;

/// What worker processes leave behind: memory they share with the test.
struct Shared {
  int attempts = 0;
  int now = 0;
  int most = 0;
};

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest()
      : shared_(static_cast<Shared*>(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                            MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~SupervisorTest() override { ::munmap(shared_, sizeof(Shared)); }

  /// The load of a worker: how it goes is decided by the module's name.
  Answer pretend(const Module& module) const {
    __atomic_add_fetch(&shared_->attempts, 1, __ATOMIC_SEQ_CST);
    if (module.name.starts_with("hang")) {
      ::alarm(20);  // the test's own end, should the supervisor wait for it
      // Whoever reads the test's output does not wait for the one that is left behind.
      ::close(STDOUT_FILENO);
      ::close(STDERR_FILENO);
      while (true) {
        ::pause();
      }
    }
    if (module.name.starts_with("crash")) {
      ::raise(SIGKILL);
    }
    if (module.name.starts_with("quit")) {
      ::_exit(3);
    }
    if (module.name.starts_with("fail")) {
      return {Answer::Status::kFailed, EINVAL, 0, 5};
    }
    if (module.name.starts_with("coming")) {
      return {Answer::Status::kComing, 0, 0, 5};
    }
    const int now = __atomic_add_fetch(&shared_->now, 1, __ATOMIC_SEQ_CST);
    shared_->most = std::max(shared_->most, now);
    ::usleep(2000);
    __atomic_sub_fetch(&shared_->now, 1, __ATOMIC_SEQ_CST);
    return {Answer::Status::kLoaded, 0, 0, 7};
  }

  std::map<std::string, Ending> run(const Graph& graph, unsigned jobs,
                                    core::Microseconds allowed = 15s,
                                    core::Microseconds patience = 10s) {
    const Surroundings around = {clock_, [this](const Module& module) { return pretend(module); },
                                 [this](const Module& module) { return state(module); },
                                 [](const Scheduler&) { return false; }};
    const auto endings = supervise(graph, {jobs, clock_.now() + allowed, patience}, around);
    std::map<std::string, Ending> by_name;
    for (ModuleId id = 0; id < graph.modules.size(); ++id) {
      by_name[graph.modules[id].name] = endings[id];
    }
    return by_name;
  }

  os::ModuleState state(const Module& module) {
    const auto& states = states_[module.name];
    const std::size_t look = looks_[module.name]++;
    return states.empty() ? os::ModuleState::kComing : states[std::min(look, states.size() - 1)];
  }

  core::MonotonicClock clock_;
  Shared* shared_;
  std::map<std::string, std::vector<os::ModuleState>> states_;
  std::map<std::string, std::size_t> looks_;
};

TEST_F(SupervisorTest, LoadsAGraphWithSeveralWorkersAndReportsTimes) {
  const auto endings =
      run(graph_of({{"a", {}}, {"b", {"a"}}, {"c", {"a"}}, {"d", {"b", "c"}}, {"e", {}}}), 3);
  for (const auto& [name, ending] : endings) {
    EXPECT_EQ(ending.outcome, Outcome::kLoaded) << name;
    EXPECT_EQ(ending.took, 7us);
  }
  EXPECT_EQ(shared_->attempts, 5);
  EXPECT_LE(shared_->most, 3);
}

TEST_F(SupervisorTest, OneJobMeansOneAtATime) {
  run(graph_of({{"a", {}}, {"b", {}}, {"c", {}}, {"d", {}}}), 1);
  EXPECT_EQ(shared_->most, 1);
}

TEST_F(SupervisorTest, HangingModuleIsNamedTheRestIsLoadedAndTheDeadlineHolds) {
  const core::Microseconds start = clock_.now();
  const auto endings =
      run(graph_of({{"hang", {}}, {"after_hang", {"hang"}}, {"a", {}}, {"b", {"a"}}}), 1, 1500ms,
          200ms);
  const core::Microseconds took = clock_.now() - start;
  EXPECT_EQ(endings.at("hang").outcome, Outcome::kTimedOut);
  EXPECT_EQ(endings.at("after_hang").outcome, Outcome::kDependencyFailed);
  EXPECT_EQ(endings.at("a").outcome, Outcome::kLoaded) << "a new worker took the place";
  EXPECT_EQ(endings.at("b").outcome, Outcome::kLoaded);
  EXPECT_GE(took, 1500ms);
  EXPECT_LT(took, 10s);
}

TEST_F(SupervisorTest, CrashedWorkerFailsItsModuleAndIsReplaced) {
  const auto endings = run(graph_of({{"crash", {}}, {"quit", {}}, {"a", {}}, {"b", {}}}), 1);
  EXPECT_EQ(endings.at("crash").outcome, Outcome::kFailed);
  EXPECT_NE(endings.at("crash").detail.find("killed by signal 9"), std::string::npos);
  EXPECT_EQ(endings.at("quit").outcome, Outcome::kFailed);
  EXPECT_EQ(endings.at("a").outcome, Outcome::kLoaded);
  EXPECT_EQ(endings.at("b").outcome, Outcome::kLoaded);
}

TEST_F(SupervisorTest, FailureCarriesErrnoAndText) {
  const auto endings = run(graph_of({{"fail", {}}, {"a", {}}}), 2);
  EXPECT_EQ(endings.at("fail").outcome, Outcome::kFailed);
  EXPECT_EQ(endings.at("fail").error_number, EINVAL);
  EXPECT_EQ(endings.at("fail").detail, "Invalid argument");
  EXPECT_EQ(endings.at("a").outcome, Outcome::kLoaded);
}

TEST_F(SupervisorTest, ModuleInTheHandsOfAnotherLoaderIsWaitedFor) {
  using os::ModuleState;
  states_["coming"] = {ModuleState::kComing, ModuleState::kComing, ModuleState::kLive};
  const auto endings = run(graph_of({{"coming", {}}, {"user", {"coming"}}}), 2);
  EXPECT_EQ(endings.at("coming").outcome, Outcome::kAlreadyLive);
  EXPECT_EQ(endings.at("user").outcome, Outcome::kLoaded);
  EXPECT_GE(looks_["coming"], 3U);
}

TEST_F(SupervisorTest, ModuleThatTheOtherLoaderCouldNotLoadIsTriedAgain) {
  using os::ModuleState;
  // Coming at the first attempt, gone at the first look, live at the second.
  states_["coming"] = {ModuleState::kAbsent, ModuleState::kLive};
  const auto endings = run(graph_of({{"coming", {}}}), 1);
  EXPECT_EQ(endings.at("coming").outcome, Outcome::kAlreadyLive);
  EXPECT_EQ(shared_->attempts, 2);
}

TEST_F(SupervisorTest, DirectoryWithoutInitstateIsABuiltinModuleAfterAWhile) {
  Graph graph = graph_of({{"m", {}}});
  graph.modules[0].coming = true;
  states_["m"] = {os::ModuleState::kUnnamed};
  EXPECT_EQ(run(graph, 1).at("m").outcome, Outcome::kBuiltin);
}

TEST_F(SupervisorTest, ModuleThatStaysComingIsTimedOut) {
  const auto endings = run(graph_of({{"coming", {}}, {"a", {}}}), 1, 300ms);
  EXPECT_EQ(endings.at("coming").outcome, Outcome::kTimedOut);
  EXPECT_EQ(endings.at("a").outcome, Outcome::kLoaded);
}

TEST_F(SupervisorTest, ModuleWhoseInitSaysExistsIsTriedAFewTimesThenFails) {
  // Every insertion is answered with "exists", and afterwards the module is not there.
  states_["coming"] = {os::ModuleState::kAbsent};
  const auto endings = run(graph_of({{"coming", {}}, {"after", {"coming"}}, {"a", {}}}), 2);
  EXPECT_EQ(endings.at("coming").outcome, Outcome::kFailed);
  EXPECT_EQ(endings.at("coming").error_number, EEXIST);
  EXPECT_EQ(endings.at("after").outcome, Outcome::kDependencyFailed);
  EXPECT_EQ(endings.at("a").outcome, Outcome::kLoaded);
  EXPECT_LE(shared_->attempts, 5);
}

TEST_F(SupervisorTest, WithoutASingleWorkerEveryModuleSaysWhy) {
  no_sockets = true;
  const auto endings = run(graph_of({{"a", {}}, {"b", {"a"}}, {"c", {}}}), 2);
  no_sockets = false;
  EXPECT_EQ(endings.at("a").outcome, Outcome::kFailed);
  EXPECT_EQ(endings.at("a").error_number, EMFILE);
  EXPECT_EQ(endings.at("b").outcome, Outcome::kDependencyFailed);
  EXPECT_EQ(endings.at("c").error_number, EMFILE);
}

TEST_F(SupervisorTest, SpareTimeIsOfferedOnlyWhileAJobIsFree) {
  int offered = 0;
  const Surroundings around = {clock_, [this](const Module& module) { return pretend(module); },
                               [this](const Module& module) { return state(module); },
                               [&](const Scheduler& scheduler) {
                                 EXPECT_TRUE(scheduler.has_spare_job());
                                 return ++offered == 1;
                               }};
  const Graph graph = graph_of({{"a", {}}, {"b", {"a"}}});
  ASSERT_EQ(supervise(graph, {1, clock_.now() + 15s, 10s}, around).size(), 2U);
  EXPECT_EQ(offered, 0);
  ASSERT_EQ(supervise(graph, {2, clock_.now() + 15s, 10s}, around).size(), 2U);
  EXPECT_GE(offered, 2);
}

TEST(EndingOf, InstallCommandThatEndedBadlySaysHow) {
  EXPECT_EQ(ending_of({Answer::Status::kFailed, 0, 3 << 8, 9}).detail,
            "its install command in modprobe.d ended with status 3");
  EXPECT_EQ(ending_of({Answer::Status::kFailed, 0, SIGTERM, 9}).detail,
            "its install command in modprobe.d was killed by signal 15");
  EXPECT_EQ(ending_of({Answer::Status::kNotLoaded, 0, 0, 9}).outcome, Outcome::kDenied);
}

TEST(Insert, CompressionIsTakenFromTheFileName) {
  EXPECT_FALSE(is_compressed("/x/a.ko"));
  EXPECT_TRUE(is_compressed("/x/a.ko.zst"));
  EXPECT_TRUE(kernel_decompresses("xz", "/x/a.ko.xz"));
  EXPECT_TRUE(kernel_decompresses("gzip", "/x/a.ko.gz"));
  EXPECT_FALSE(kernel_decompresses("zstd", "/x/a.ko.xz"));
  EXPECT_FALSE(kernel_decompresses("", "/x/a.ko.xz"));
}

TEST(Insert, OptionsTakeThePlaceOfThePlaceholder) {
  EXPECT_EQ(command_with_options("/sbin/modprobe -i x $CMDLINE_OPTS; a $CMDLINE_OPTS", "n=1"),
            "/sbin/modprobe -i x n=1; a n=1");
  EXPECT_EQ(command_with_options("plain", "n=1"), "plain");
}

TEST(Insert, MissingFileIsAFailureWithItsErrno) {
  Module module;
  module.name = "rdmaboot_no_such_module";
  module.path = "/nonexistent/rdmaboot_no_such_module.ko";
  const Answer answer = insert(module, "");
  EXPECT_EQ(answer.status, Answer::Status::kFailed);
  EXPECT_EQ(answer.error_number, ENOENT);
}

TEST(Insert, InstallCommandRunsWithTheModulesNameAndItsStatusIsKept) {
  Module module;
  module.name = "rdmaboot_no_such_module";
  module.options = "7";
  module.install_command = "test $MODPROBE_MODULE = rdmaboot_no_such_module && exit $CMDLINE_OPTS";
  const Answer answer = insert(module, "");
  EXPECT_EQ(answer.status, Answer::Status::kFailed);
  EXPECT_EQ(ending_of(answer).detail, "its install command in modprobe.d ended with status 7");
  module.install_command = "true";
  EXPECT_EQ(insert(module, "").status, Answer::Status::kNotLoaded);
}

}  // namespace
}  // namespace rdmaboot::load_modules
