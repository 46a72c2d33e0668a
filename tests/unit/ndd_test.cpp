// SPDX-License-Identifier: BSD-2-Clause
// link: ndd-shell
//
// rdma-ndd without a kernel: formats, configuration, what to write next, and the daemon over a host
// that does what the test says.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "device/description_config.hpp"
#include "device/description_format.hpp"
#include "ndd/daemon.hpp"
#include "ndd/descriptions.hpp"
#include "ndd/host.hpp"
#include "program/notify.hpp"
#include "program/rest.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::ndd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

// ---- what to write next

Descriptions on_host(std::vector<DeviceFacts> devices) {
  Descriptions descriptions;
  descriptions.hostname_is("n1");
  descriptions.devices_are(std::move(devices));
  return descriptions;
}

/// Lets every write succeed and returns them as "device=text".
std::vector<std::string> write_all(Descriptions& descriptions, core::Microseconds now = 0us) {
  std::vector<std::string> written;
  while (const auto write = descriptions.next(now)) {
    written.push_back(write->device + "=" + write->text);
    descriptions.record(*write, Outcome::kSet, now);
  }
  return written;
}

TEST(Descriptions, EachNewDeviceIsWrittenOnce) {
  Descriptions descriptions = on_host({{"a", 1, ""}});
  EXPECT_THAT(write_all(descriptions), ElementsAre("a=n1 a"));
  descriptions.devices_are({{"a", 1, ""}, {"b", 2, ""}});
  EXPECT_THAT(write_all(descriptions), ElementsAre("b=n1 b"));
  descriptions.devices_are({{"a", 1, ""}, {"b", 2, ""}});
  EXPECT_THAT(write_all(descriptions), IsEmpty());
  EXPECT_FALSE(descriptions.next_attempt());
}

TEST(Descriptions, HostnameChangeReachesEveryDevice) {
  Descriptions descriptions = on_host({{"a", 1, ""}, {"b", 2, ""}});
  write_all(descriptions);
  descriptions.hostname_is("n2.dhcp.example");
  EXPECT_THAT(write_all(descriptions), ElementsAre("a=n2 a", "b=n2 b"));
  descriptions.hostname_is("n2.dhcp.example");
  EXPECT_THAT(write_all(descriptions), IsEmpty());
}

TEST(Descriptions, RenamedDeviceIsFollowedByItsIndex) {
  Descriptions descriptions = on_host({{"mlx5_0", 1, ""}, {"mlx5_1", 2, ""}});
  write_all(descriptions);
  // Two devices change places: by name nothing happened.
  descriptions.devices_are({{"mlx5_0", 2, ""}, {"mlx5_1", 1, ""}});
  EXPECT_THAT(write_all(descriptions), ElementsAre("mlx5_0=n1 mlx5_0", "mlx5_1=n1 mlx5_1"));
}

TEST(Descriptions, RenameOfADeviceWhoseTextDoesNotNameItWritesNothing) {
  Descriptions descriptions = on_host({{"mlx5_0", 1, ""}});
  descriptions.use({device::DescriptionFormat::parse("%h").value(), {}});
  EXPECT_THAT(write_all(descriptions), ElementsAre("mlx5_0=n1"));
  descriptions.devices_are({{"ibp3s0", 1, ""}});
  EXPECT_THAT(write_all(descriptions), IsEmpty());
}

TEST(Descriptions, RenameDuringAPauseKeepsTheAttempts) {
  Descriptions descriptions = on_host({{"a", 1, ""}});
  descriptions.use({device::DescriptionFormat::parse("%h").value(), {}});
  descriptions.record(*descriptions.next(0us), Outcome::kBusy, 0us);
  descriptions.devices_are({{"b", 1, ""}});
  EXPECT_FALSE(descriptions.next(kFirstPause - 1us));
  EXPECT_EQ(descriptions.next(kFirstPause)->device, "b");
}

TEST(Descriptions, DeviceThatWentAndCameBackIsNewByItsIndexOrItsEvent) {
  Descriptions descriptions = on_host({{"a", 1, ""}, {"b", {}, ""}});
  write_all(descriptions);
  descriptions.devices_are({{"a", 5, ""}, {"b", {}, ""}});
  EXPECT_THAT(write_all(descriptions), ElementsAre("a=n1 a"));
  descriptions.check("b");
  EXPECT_THAT(write_all(descriptions), ElementsAre("b=n1 b"));
}

TEST(Descriptions, BusyDeviceIsTriedAgainWithGrowingPausesAndThenLeft) {
  Descriptions descriptions = on_host({{"a", 1, ""}});
  core::Microseconds now = 0us;
  core::Microseconds last_pause = 0us;
  for (unsigned attempt = 1; attempt < kMostAttempts; ++attempt) {
    const auto write = descriptions.next(now);
    ASSERT_TRUE(write) << attempt;
    EXPECT_EQ(descriptions.record(*write, Outcome::kBusy, now), Verdict::kLater);
    EXPECT_FALSE(descriptions.next(now));
    const core::Microseconds due = descriptions.next_attempt().value();
    EXPECT_GE(due - now, last_pause);
    EXPECT_LE(due - now, kLongestPause);
    last_pause = due - now;
    now = due;
  }
  EXPECT_EQ(last_pause, kLongestPause);
  EXPECT_EQ(descriptions.record(*descriptions.next(now), Outcome::kBusy, now), Verdict::kGaveUp);
  EXPECT_FALSE(descriptions.next_attempt());
  EXPECT_THAT(descriptions.status(), HasSubstr("0 of 1 device described"));
}

TEST(Descriptions, EventsDoNotCutAPauseShort) {
  Descriptions descriptions = on_host({{"a", 1, ""}});
  descriptions.record(*descriptions.next(0us), Outcome::kBusy, 0us);
  descriptions.check("a");
  EXPECT_FALSE(descriptions.next(0us));
}

TEST(Descriptions, OneBusyDeviceDoesNotHoldUpTheOthers) {
  Descriptions descriptions = on_host({{"a", 1, ""}, {"b", 2, ""}});
  descriptions.record(*descriptions.next(0us), Outcome::kBusy, 0us);
  EXPECT_THAT(write_all(descriptions), ElementsAre("b=n1 b"));
}

TEST(Descriptions, DeviceWithoutADescriptionIsSkippedUntilItsNextEvent) {
  Descriptions descriptions = on_host({{"siw0", 1, ""}});
  EXPECT_EQ(descriptions.record(*descriptions.next(0us), Outcome::kUnsupported, 0us),
            Verdict::kSkipped);
  descriptions.hostname_is("n2");
  EXPECT_FALSE(descriptions.next(0us));
  EXPECT_EQ(descriptions.status(), "0 of 1 device described; 1 cannot be");
  descriptions.check("siw0");
  EXPECT_TRUE(descriptions.next(0us));
}

TEST(Descriptions, FailureIsNotRepeatedByItselfButByANewText) {
  Descriptions descriptions = on_host({{"a", 1, ""}});
  EXPECT_EQ(descriptions.record(*descriptions.next(0us), Outcome::kFailed, 0us), Verdict::kGaveUp);
  EXPECT_FALSE(descriptions.next_attempt());
  descriptions.hostname_is("n2");
  EXPECT_THAT(write_all(descriptions), ElementsAre("a=n2 a"));
}

TEST(Descriptions, NothingIsWrittenWhereTheTextWouldBeEmpty) {
  Descriptions descriptions;
  descriptions.use({device::DescriptionFormat::parse("%h").value(), {}});
  descriptions.devices_are({{"a", 1, ""}});
  EXPECT_FALSE(descriptions.next(0us));
  descriptions.hostname_is("n1");
  EXPECT_THAT(write_all(descriptions), ElementsAre("a=n1"));
}

TEST(Descriptions, StatusNamesWhatIsSetAndStaysShort) {
  Descriptions descriptions = on_host({{"a", 1, ""}, {"b", 2, ""}});
  EXPECT_EQ(descriptions.status(), "0 of 2 devices described");
  write_all(descriptions);
  EXPECT_EQ(descriptions.status(), "2 of 2 devices described: a \"n1 a\", b \"n1 b\"");
  std::vector<DeviceFacts> many;
  for (std::uint32_t index = 0; index < 200; ++index) {
    many.push_back({"device" + std::to_string(index), index, ""});
  }
  descriptions.devices_are(std::move(many));
  write_all(descriptions);
  EXPECT_LE(descriptions.status().size(), kStatusLimit);
  EXPECT_THAT(descriptions.status(), HasSubstr(" more"));
}

// ---- the daemon over a host of the test

class FakeHost final : public Host {
 public:
  core::Result<std::vector<DeviceFacts>> devices() override {
    if (on_list) {
      std::exchange(on_list, {})();
    }
    std::vector<DeviceFacts> list;
    for (const auto& [name, text] : texts) {
      list.push_back({name, std::nullopt, ""});
    }
    return list;
  }
  core::Result<std::string> read(const std::string& device) override {
    const auto found = texts.find(device);
    if (found == texts.end()) {
      return core::fail("open", device, ENOENT);
    }
    return stuck.empty() ? found->second : stuck;
  }
  core::Result<void> write(const std::string& device, const std::string& text) override {
    ++writes;
    if (!errors.empty()) {
      const int error = errors.front();
      errors.pop_front();
      if (error == ENODEV) {
        texts.erase(device);
      }
      return core::fail("write", device, error);
    }
    texts.at(device) = text;
    return {};
  }

  std::map<std::string, std::string> texts;  ///< by device
  std::deque<int> errors;                    ///< of the next writes
  std::string stuck;                         ///< what every device shows, if not empty
  std::function<void()> on_list;             ///< called in the next devices()
  int writes = 0;
};

class FakeEvents final : public os::UeventSource {
 public:
  [[nodiscard]] int fd() const override { return ready_.get(); }
  core::Result<std::optional<os::Uevent>> receive() override {
    if (queue.empty()) {
      std::uint64_t count = 0;
      EXPECT_GE(::read(ready_.get(), &count, sizeof count), -1);
      return std::nullopt;
    }
    auto event = std::move(queue.front());
    queue.pop_front();
    return event;
  }
  void send(core::Result<std::optional<os::Uevent>> event) {
    queue.push_back(std::move(event));
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(ready_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  void send(const std::string& action, const std::string& name) {
    os::Uevent event;
    event.action = action;
    event.name = name;
    send(core::Result<std::optional<os::Uevent>>(std::move(event)));
  }

  std::deque<core::Result<std::optional<os::Uevent>>> queue;

 private:
  core::UniqueFd ready_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
};

struct World {
  World() {
    directory.write("hostname", "n1.example\n");
    Seams seams;
    seams.subscribe = [this]() -> core::Result<std::unique_ptr<os::UeventSource>> {
      calls.emplace_back("subscribe");
      auto made = std::make_unique<FakeEvents>();
      events = made.get();
      return made;
    };
    seams.read_config = [this] {
      device::DescriptionReading reading;
      reading.config.general = device::DescriptionFormat::parse(format).value();
      return reading;
    };
    seams.notify = [this](std::string_view state) {
      calls.push_back(std::string(state.substr(0, state.find('\n'))) + " after " +
                      std::to_string(host.writes));
    };
    seams.host = &host;
    seams.clock = &clock;
    seams.hostname_file = directory.path("hostname");
    daemon.emplace(std::move(seams));
  }

  test::TemporaryDirectory directory;
  std::string format = "%h %d";
  FakeHost host;
  core::ManualClock clock;
  std::vector<std::string> calls;
  FakeEvents* events = nullptr;
  std::optional<Daemon> daemon;
};

TEST(Daemon, SubscribesThenDescribesEveryDeviceThenSaysReady) {
  World world;
  world.host.texts = {{"a", ""}, {"b", ""}};
  world.host.on_list = [&] { world.calls.emplace_back("list"); };
  ASSERT_TRUE(world.daemon->start());
  EXPECT_THAT(world.calls,
              ElementsAre("subscribe", "list", HasSubstr("STATUS="), "READY=1 after 2"));
  EXPECT_EQ(world.host.texts["a"], "n1 a");
  EXPECT_EQ(world.host.texts["b"], "n1 b");
}

TEST(Daemon, WithoutEventsItDoesNotStart) {
  FakeHost host;
  const core::ManualClock clock;
  Seams seams;
  seams.subscribe = []() -> core::Result<std::unique_ptr<os::UeventSource>> {
    return core::fail("open", "the udev monitor", EMFILE);
  };
  seams.host = &host;
  seams.clock = &clock;
  Daemon daemon(std::move(seams));
  EXPECT_EQ(daemon.start().error().error_number, EMFILE);
}

TEST(Daemon, DeviceThatComesBetweenSubscriptionAndListIsDescribed) {
  World world;
  world.host.texts = {{"a", ""}};
  world.host.on_list = [&] { world.events->send("add", "b"); };
  ASSERT_TRUE(world.daemon->start());
  world.host.texts["b"] = "";
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.texts["b"], "n1 b");
}

TEST(Daemon, DescriptionThatIsThereAlreadyIsNotWrittenAgain) {
  World world;
  world.host.texts = {{"a", "n1 a"}};
  ASSERT_TRUE(world.daemon->start());
  world.events->send("change", "a");
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.writes, 0);
}

TEST(Daemon, LostEventsMakeItLookAtEveryDevice) {
  World world;
  ASSERT_TRUE(world.daemon->start());
  world.host.texts = {{"a", ""}};
  world.events->send(core::fail("receive from", "the udev monitor", ENOBUFS));
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.texts["a"], "n1 a");
}

TEST(Daemon, BrokenEventSourceEndsIt) {
  World world;
  ASSERT_TRUE(world.daemon->start());
  world.events->send(core::fail("receive from", "the udev monitor", EBADF));
  EXPECT_EQ(world.daemon->turn(0ms).error().error_number, EBADF);
}

TEST(Daemon, DeviceThatVanishesInTheMiddleOfAWriteIsForgotten) {
  World world;
  world.host.texts = {{"a", ""}, {"b", ""}};
  world.host.errors = {ENODEV};
  ASSERT_TRUE(world.daemon->start());
  EXPECT_EQ(world.host.texts["b"], "n1 b");
  EXPECT_THAT(world.calls, ::testing::Contains("READY=1 after 2"));
  const int before = world.host.writes;
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.writes, before);
}

TEST(Daemon, RefusedWriteIsTriedAgainWhenItsPauseIsOver) {
  World world;
  world.host.texts = {{"a", "old"}};
  world.host.errors = {EBUSY, EAGAIN};
  ASSERT_TRUE(world.daemon->start());
  EXPECT_EQ(world.host.texts["a"], "old");
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.writes, 1);
  world.clock.advance(kFirstPause);
  ASSERT_TRUE(world.daemon->turn(0ms));
  world.clock.advance(kFirstPause * 2);
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.texts["a"], "n1 a");
}

TEST(Daemon, WriteThatDidNotTakeEffectIsNoticed) {
  World world;
  world.host.texts = {{"a", ""}};
  world.host.stuck = "firmware's own";
  ASSERT_TRUE(world.daemon->start());
  world.clock.advance(kFirstPause);
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.writes, 2);
}

TEST(Daemon, HangupReadsTheConfigurationAgain) {
  World world;
  world.host.texts = {{"a", ""}};
  ASSERT_TRUE(world.daemon->start());
  world.format = "new %d";
  ASSERT_EQ(::raise(SIGHUP), 0);
  ASSERT_TRUE(world.daemon->turn(0ms));
  EXPECT_EQ(world.host.texts["a"], "new a");
}

TEST(Describe, ErrorsAreToldApart) {
  const std::map<int, Outcome> expected = {
      {ENOENT, Outcome::kGone},  {ENODEV, Outcome::kGone}, {EOPNOTSUPP, Outcome::kUnsupported},
      {EBUSY, Outcome::kBusy},   {EAGAIN, Outcome::kBusy}, {EIO, Outcome::kFailed},
      {EROFS, Outcome::kFailed},
  };
  for (const auto& [error, outcome] : expected) {
    FakeHost host;
    host.texts = {{"a", ""}};
    host.errors = {error};
    EXPECT_EQ(describe(host, {"a", "text"}).outcome, outcome) << error;
  }
}

TEST(SysfsHost, ReadsAndWritesARecordedTree) {
  const test::TemporaryDirectory root;
  const std::string device = "sys/devices/pci0000:00/0000:00:03.0/infiniband/mlx5_0";
  root.write(device + "/node_desc", "MT4123 ConnectX6   Mellanox Technologies\n");
  root.write(device + "/board_id", "MT_0000000223\n");
  root.make_directory("sys/devices/virtual/infiniband/efa_0");
  root.link("../../devices/pci0000:00/0000:00:03.0/infiniband/mlx5_0",
            "sys/class/infiniband/mlx5_0");
  root.link("../../devices/virtual/infiniband/efa_0", "sys/class/infiniband/efa_0");
  SysfsHost host(os::Tree::open(root.path("")).value());
  const auto devices = host.devices();
  ASSERT_TRUE(devices) << devices.error().message();
  ASSERT_THAT(*devices, SizeIs(2));
  EXPECT_EQ((*devices)[1].name, "mlx5_0");
  EXPECT_EQ((*devices)[1].board_id, "MT_0000000223");
  EXPECT_EQ(describe(host, {"mlx5_0", "n1 mlx5_0"}).outcome, Outcome::kSet);
  EXPECT_EQ(host.read("mlx5_0").value(), "n1 mlx5_0");
  EXPECT_EQ(describe(host, {"efa_0", "n1"}).outcome, Outcome::kGone);
  EXPECT_EQ(describe(host, {"nosuch", "n1"}).outcome, Outcome::kGone);
}

TEST(SysfsHost, MachineWithoutRdmaHasNoDevices) {
  const test::TemporaryDirectory root;
  SysfsHost host(os::Tree::open(root.path("")).value());
  EXPECT_THAT(host.devices().value(), IsEmpty());
}

// ---- sd_notify

TEST(Notify, SendsOneDatagramToThePathOrTheAbstractName) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.path("notify");
  for (const std::string& name : {path, "@" + path}) {
    const core::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    if (name.front() == '@') {
      address.sun_path[0] = '\0';
    }
    const void* const raw = &address;
    ASSERT_EQ(::bind(socket.get(), static_cast<const sockaddr*>(raw), length), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    ASSERT_TRUE(program::notify("READY=1\nSTATUS=x"));
    std::array<char, 64> buffer{};
    const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    EXPECT_EQ(std::string_view(buffer.data()), "READY=1\nSTATUS=x") << got;
  }
  ::setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
  EXPECT_EQ(program::notify("READY=1").error().error_number, EAFNOSUPPORT);
  ::setenv("NOTIFY_SOCKET", directory.path("nobody").c_str(), 1);
  EXPECT_EQ(program::notify("READY=1").error().error_number, ENOENT);
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(program::notify("READY=1"));
}

/// Resident pages that belong to files (statm's third number).
long resident_file_pages() {
  const auto text = core::read_file("/proc/self/statm", 256);
  return text ? core::parse_number<long>(core::split(*text, " ").at(2)).value_or(0) : 0;
}

TEST(Rest, ProgramTextIsGivenBackAndComesAgainWhenItIsNeeded) {
  const long before = resident_file_pages();
  program::release_program_text();
  const long after = resident_file_pages();
  EXPECT_GT(before, 0);
  EXPECT_LT(after, before);
}

}  // namespace
}  // namespace rdmaboot::ndd
