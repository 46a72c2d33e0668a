// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/unique_handle.hpp"
#include "rdmactl/daemon_client.hpp"
#include "rdmactl/mapper.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::rdmactl {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::milliseconds kSoon{50};

json answer_of_mapper() {
  return json::parse(R"({
    "kernel": {"state": "served", "version": 4},
    "mappings": [
      {"local": "10.0.0.1:7200", "mapped": "10.0.0.1:40001", "references": 1, "client": 2,
       "reserved": true},
      {"local": "[fd00::1]:7200", "mapped": "[fd00::1]:40002", "references": 12, "client": 2,
       "reserved": false}],
    "pending_queries": 0, "accepted_exchanges": 0, "silent_peers": 0,
    "counters": {"answered": 3, "without_mapper": 1, "timed_out": 0, "requests_accepted": 2}})");
}

DaemonSocket mapper_at(const std::string& path) {
  DaemonSocket daemon = mapper_socket();
  daemon.path = path;
  return daemon;
}

/// Listens at a socket; serve() answers one reader.
class FakeMapper {
 public:
  explicit FakeMapper(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(std::begin(address.sun_path), sizeof(address.sun_path) - 1);
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* const generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
    EXPECT_EQ(::bind(fd_.get(), generic, sizeof(address)), 0);
    EXPECT_EQ(::listen(fd_.get(), 1), 0);
  }

  void serve(const std::string& text) const {
    const core::UniqueFd reader(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_EQ(::write(reader.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

 private:
  core::UniqueFd fd_;
};

TEST(MapperTable, ShowsEveryMapping) {
  EXPECT_EQ(mapper_text(answer_of_mapper(), {80, false}),
            R"(kernel: served, interface version 4
queries: 3 answered, 1 by hosts without a mapper, 0 timed out
peers: 2 requests accepted
LOCAL           MAPPED           USES  CLIENT  PORT
10.0.0.1:7200   10.0.0.1:40001      1  2       reserved
[fd00::1]:7200  [fd00::1]:40002    12  2       not reserved
)");
}

TEST(MapperTable, AnswersOfAnotherFormAreSurvived) {
  EXPECT_THAT(mapper_text(json::object(), {}), HasSubstr("No mapping.\n"));
  EXPECT_THAT(mapper_text(json::parse(R"({"kernel":3,"mappings":{},"counters":[]})"), {}),
              HasSubstr("No mapping.\n"));
  EXPECT_THAT(mapper_text(json::parse(R"({"mappings":[3,{"local":-1}]})"), {}),
              HasSubstr("not reserved"));
}

TEST(MapperTable, HostileTextIsMadePrintable) {
  EXPECT_THAT(mapper_text(json::parse(R"({"mappings":[{"local":"\u001b[2J"}]})"), {}),
              Not(HasSubstr("\x1b")));
}

TEST(MapperClient, ReadsTheAnswer) {
  const test::TemporaryDirectory directory;
  const FakeMapper mapper(directory.path("sock"));
  std::thread server([&] { mapper.serve(answer_of_mapper().dump()); });
  const auto answer = ask_daemon(mapper_at(directory.path("sock")));
  server.join();
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(*answer, answer_of_mapper());
}

TEST(MapperClient, NoMapperIsAnErrorThatSaysWhatToLookAt) {
  const test::TemporaryDirectory directory;
  const auto answer = ask_daemon(mapper_at(directory.path("sock")));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error_number, ENOENT);
  EXPECT_THAT(answer.error().message(), HasSubstr("systemctl status iwpmd.service"));
}

TEST(MapperClient, AMapperThatNeverAnswersIsGivenUp) {
  const test::TemporaryDirectory directory;
  const FakeMapper mapper(directory.path("sock"));
  const auto answer = ask_daemon(mapper_at(directory.path("sock")), kSoon);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error_number, ETIMEDOUT);
}

TEST(MapperClient, WhatIsNoObjectIsAnError) {
  for (const std::string text : {"", "[]", "{\"a\":", "3"}) {
    const test::TemporaryDirectory directory;
    const FakeMapper mapper(directory.path("sock"));
    std::thread server([&] { mapper.serve(text); });
    const auto answer = ask_daemon(mapper_at(directory.path("sock")));
    server.join();
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().error_number, EBADMSG);
  }
}

TEST(MapperClient, APathThatIsTooLongIsAnError) {
  EXPECT_EQ(ask_daemon(mapper_at(std::string(200, 'x'))).error().error_number, ENAMETOOLONG);
}

}  // namespace
}  // namespace rdmaboot::rdmactl
