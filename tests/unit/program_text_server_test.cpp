// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-text-server
//
// Whoever connects gets the whole text; nobody can hold the daemon.
#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "core/unique_handle.hpp"
#include "program/text_server.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::program {
namespace {

/// Larger than any socket's buffer.
constexpr std::size_t kLong = 4U << 20U;

class TextServerTest : public testing::Test {
 protected:
  TextServerTest() {
    sd_event* raw = nullptr;
    EXPECT_GE(sd_event_new(&raw), 0);
    loop_.reset(raw);
  }

  void serve(std::uint64_t patience = kReaderPatience) {
    auto server = TextServer::listen(
        loop_.get(), path_,
        [this] {
          ++asked_;
          return text_;
        },
        patience);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
  }

  /// Everything that can be done without waiting.
  void turn() {
    while (sd_event_run(loop_.get(), 0) > 0) {
    }
  }

  [[nodiscard]] core::UniqueFd connect() const {
    core::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), std::begin(address.sun_path));
    EXPECT_EQ(::connect(fd.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)),
                        sizeof(address)),
              0);
    return fd;
  }

  /// Reads to the end while the server has its turns; "..." at the end: no end came.
  std::string read_all(const core::UniqueFd& fd) {
    std::string text;
    std::vector<char> buffer(65'536);
    for (int turns = 0; turns < 10'000; ++turns) {
      turn();
      const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
      if (got == 0) {
        return text;
      }
      if (got > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
      }
    }
    return text + "...";
  }

  const test::TemporaryDirectory directory_;
  const std::string path_ = directory_.path("a.sock");
  core::UniqueHandle<sd_event, sd_event_unref> loop_;
  std::unique_ptr<TextServer> server_;
  std::string text_ = "{\"a\":1}";
  int asked_ = 0;
};

TEST_F(TextServerTest, AReaderGetsTheTextAndTheEnd) {
  serve();
  EXPECT_EQ(read_all(connect()), "{\"a\":1}\n");
  text_ = "{\"a\":2}";
  EXPECT_EQ(read_all(connect()), "{\"a\":2}\n") << "made for each reader, as it is then";
  EXPECT_EQ(asked_, 2);
}

TEST_F(TextServerTest, ALongTextComesWholeToASlowReader) {
  text_ = std::string(kLong, 'x');
  serve();
  EXPECT_EQ(read_all(connect()), text_ + "\n");
}

TEST_F(TextServerTest, AReaderThatTakesNothingDoesNotHoldTheOthers) {
  text_ = std::string(kLong, 'x');
  serve();
  const core::UniqueFd idle = connect();
  turn();
  EXPECT_EQ(read_all(connect()).size(), kLong + 1);
}

TEST_F(TextServerTest, NoMoreThanSoManyAreServedAtOnceAndTheNextOneGetsItsTurn) {
  text_ = std::string(kLong, 'x');
  serve();
  std::vector<core::UniqueFd> idle;
  for (std::size_t i = 0; i < kMostReaders; ++i) {
    idle.push_back(connect());
    turn();
  }
  const core::UniqueFd next = connect();
  turn();
  EXPECT_EQ(asked_, static_cast<int>(kMostReaders)) << "the text is not made for one that waits";
  idle.pop_back();  // went away: its place is free
  EXPECT_EQ(read_all(next).size(), kLong + 1);
}

TEST_F(TextServerTest, AReaderThatGoesAwayInTheMiddleIsForgotten) {
  text_ = std::string(kLong, 'x');
  serve();
  for (std::size_t i = 0; i < 3 * kMostReaders; ++i) {
    const core::UniqueFd gone = connect();
    turn();
  }
  EXPECT_EQ(read_all(connect()).size(), kLong + 1);
}

TEST_F(TextServerTest, AReaderThatTakesNothingIsDroppedWhenItsTimeIsOver) {
  text_ = std::string(kLong, 'x');
  serve(20'000);
  const core::UniqueFd idle = connect();
  turn();
  pollfd seen{idle.get(), POLLRDHUP, 0};
  for (int turns = 0; turns < 100 && ::poll(&seen, 1, 0) == 0; ++turns) {
    sd_event_run(loop_.get(), 100'000);
  }
  EXPECT_NE(seen.revents & POLLRDHUP, 0) << "its time is over long before the usual one";
  EXPECT_LT(read_all(idle).size(), kLong) << "cut off, with an end";
}

TEST_F(TextServerTest, ASocketThatADeadDaemonLeftIsReplaced) {
  serve();
  server_.reset();
  struct stat there {};
  ASSERT_EQ(::stat(path_.c_str(), &there), 0);
  serve();
  EXPECT_EQ(read_all(connect()), "{\"a\":1}\n");
}

TEST_F(TextServerTest, WhoIsServedWhenTheServerGoesSeesTheEnd) {
  text_ = std::string(kLong, 'x');
  serve();
  const core::UniqueFd reader = connect();
  turn();
  server_.reset();
  EXPECT_LT(read_all(reader).size(), kLong);
}

TEST_F(TextServerTest, APlaceThatCannotBeUsedIsAnErrorThatNamesIt) {
  const auto error_at = [this](const std::string& path) {
    auto server = TextServer::listen(loop_.get(), path, [] { return std::string(); });
    return server ? core::Error{} : server.error();
  };
  EXPECT_EQ(error_at("/" + std::string(200, 'a')).error_number, ENAMETOOLONG);
  const core::Error nowhere = error_at(directory_.path("nowhere/a.sock"));
  EXPECT_EQ(nowhere.error_number, ENOENT);
  EXPECT_THAT(nowhere.message(), ::testing::HasSubstr("nowhere/a.sock"));
  EXPECT_EQ(error_at(directory_.path("")).error_number, EADDRINUSE) << "a directory";
}

}  // namespace
}  // namespace rdmaboot::program
