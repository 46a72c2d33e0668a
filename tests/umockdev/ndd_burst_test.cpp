// SPDX-License-Identifier: BSD-2-Clause
// link: PkgConfig::UMOCKDEV
//
// rdma-ndd as it is installed, over imitated devices whose events come by udev's socket.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <umockdev.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot {
namespace {

using ::testing::HasSubstr;

/// The daemon with its service manager: this test.
class Service {
 public:
  Service() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string name = "rdma-ndd-test-" + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 2);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const void* const raw = &address;
    EXPECT_EQ(::bind(socket_.get(), static_cast<const sockaddr*>(raw), length), 0);
    const timeval patience{30, 0};
    EXPECT_EQ(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
    ::setenv("RDMA_NDD_ND_FORMAT", "mock %d", 1);
    std::string program = RDMA_NDD;
    std::string option = "--systemd";
    std::vector<char*> arguments = {program.data(), option.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, RDMA_NDD, nullptr, nullptr, arguments.data(), environ), 0);
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

  /// Waits for a message of the daemon that has `wanted` in it; what came last if there is none.
  std::string wait_for(const std::string& wanted) {
    std::string last;
    while (last.find(wanted) == std::string::npos) {
      char buffer[1024];
      const ssize_t length = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (length < 0) {
        return "nothing more after: " + last;
      }
      last.assign(buffer, static_cast<std::size_t>(length));
    }
    return last;
  }

 private:
  core::UniqueFd socket_;
  pid_t pid_ = -1;
};

class Machine {
 public:
  Machine() : testbed_(umockdev_testbed_new()) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { g_object_unref(testbed_); }

  /// Adds a device, without an event.
  std::string add(const std::string& name) {
    char* const path = umockdev_testbed_add_device(testbed_, "infiniband", name.c_str(), nullptr,
                                                   "node_desc", "of the driver", nullptr, nullptr);
    std::string copy = path != nullptr ? path : "";
    std::free(path);
    return copy;
  }
  void event(const std::string& path, const char* action) {
    umockdev_testbed_uevent(testbed_, path.c_str(), action);
  }
  void remove(const std::string& path) { umockdev_testbed_remove_device(testbed_, path.c_str()); }
  [[nodiscard]] std::string description(const std::string& path) const {
    return std::string(core::trim(core::read_file(path + "/node_desc").value_or("unreadable")));
  }

 private:
  UMockdevTestbed* testbed_;
};

TEST(Ndd, DescribesWhatIsThereBeforeItIsReadyAndABurstOf200DevicesAfterwards) {
  Machine machine;
  const std::string first = machine.add("first0");
  if (::access("/sys/class/infiniband/first0/node_desc", F_OK) != 0) {
    GTEST_SKIP() << "libumockdev-preload cannot be loaded here";
  }
  Service service;
  ASSERT_THAT(service.wait_for("READY=1"), HasSubstr("1 of 1 device described"));
  EXPECT_EQ(machine.description(first), "mock first0");

  constexpr int kBurst = 200;
  // umockdev ends a test whose events wait in a socket that is full, and a UNIX socket takes few.
  constexpr int kAtOnce = 4;
  std::vector<std::string> paths;
  for (int number = 0; number < kBurst; ++number) {
    paths.push_back(machine.add("burst" + std::to_string(number)));
    machine.event(paths.back(), "add");
    if (paths.size() % kAtOnce == 0) {
      const std::string all = std::to_string(paths.size() + 1);
      const std::string wanted = all + " of " + all + " devices described";
      ASSERT_THAT(service.wait_for(wanted), HasSubstr(wanted));
    }
  }
  for (int number = 0; number < kBurst; ++number) {
    EXPECT_EQ(machine.description(paths[static_cast<std::size_t>(number)]),
              "mock burst" + std::to_string(number));
  }

  for (const std::string& path : paths) {
    machine.remove(path);
  }
  // An event of a device that is gone cannot be sent here; any event makes the daemon look.
  machine.event(first, "change");
  EXPECT_THAT(service.wait_for("1 of 1"), HasSubstr("1 of 1 device described"));
}

}  // namespace
}  // namespace rdmaboot

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  // The imitated devices are there only for processes with umockdev's library.
  constexpr const char* kTried = "RDMABOOT_UMOCKDEV_TRIED";
  if (!::testing::GTEST_FLAG(list_tests) && std::getenv(kTried) == nullptr) {
    ::setenv(kTried, "1", 1);
    ::setenv("LD_PRELOAD", "libumockdev-preload.so.0", 1);
    ::execv("/proc/self/exe", argv);
  }
  return RUN_ALL_TESTS();
}
