// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/peer_question.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "core/text.hpp"

namespace rdmaboot::wait_online {
namespace {

/// How long a peer has for its answer (seconds): a connection is made in milliseconds, or in the
/// time of a lost packet's repetition.
constexpr const char* kPingTimeout = "5";
/// A program that does not end by itself (a resolver, a driver) is killed after this.
constexpr std::uint64_t kPatience = 20'000'000;
/// So much of what the program says is read (bytes).
constexpr std::size_t kMostSaid = 64U << 10U;
/// The end of `rdmactl ping` when no answer came, as its manual page says.
constexpr int kNotAnswered = 2;

/// What was written to the file, up to the limit.
std::string said(const core::UniqueFd& file) {
  std::string text(kMostSaid, '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

/// Owners of what posix_spawn() is told.
struct FileActions {
  posix_spawn_file_actions_t raw{};
  FileActions() { ::posix_spawn_file_actions_init(&raw); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&raw); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};
struct Attributes {
  posix_spawnattr_t raw{};
  Attributes() { ::posix_spawnattr_init(&raw); }
  ~Attributes() { ::posix_spawnattr_destroy(&raw); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

}  // namespace

std::optional<std::string> reason_of(int exit_status, std::string_view output,
                                     std::string_view complaints) {
  if (exit_status == 0) {
    return std::nullopt;
  }
  if (exit_status == kNotAnswered) {
    const auto answer = nlohmann::json::parse(output, nullptr, false);
    const auto pings = answer.is_object() ? answer.find("pings") : answer.end();
    if (answer.is_object() && pings != answer.end() && pings->is_array() && !pings->empty() &&
        pings->back().is_object()) {
      const auto why = pings->back().find("why");
      if (why != pings->back().end() && why->is_string()) {
        return core::printable(why->get<std::string>());
      }
    }
    return "no answer";
  }
  if (exit_status < 0) {
    return "the question did not end by itself";
  }
  // The last line is the error; warnings come before.
  const auto lines = core::split(complaints, "\n");
  constexpr std::string_view kName = "rdmactl: ";
  std::string_view line = lines.empty() ? std::string_view() : lines.back();
  if (line.starts_with(kName)) {
    line.remove_prefix(kName.size());
  }
  return line.empty() ? "rdmactl ended with status " + std::to_string(exit_status)
                      : core::printable(line);
}

core::Result<std::unique_ptr<PeerQuestion>> PeerQuestion::ask(
    sd_event* loop, const std::string& program, const Question& question,
    std::function<void(std::optional<std::string>)> done) {
  auto asked = std::unique_ptr<PeerQuestion>(new PeerQuestion());
  asked->done_ = std::move(done);
  if (auto started = asked->start(loop, program, question); !started) {
    return tl::make_unexpected(std::move(started).error());
  }
  return asked;
}

core::Result<void> PeerQuestion::start(sd_event* loop, const std::string& program,
                                       const Question& question) {
  // Files in memory, which are read when all is over: nothing blocks, nothing is lost.
  output_.reset(::memfd_create("answer", MFD_CLOEXEC));
  complaints_.reset(::memfd_create("complaints", MFD_CLOEXEC));
  if (!output_ || !complaints_) {
    return core::fail("make", "a file in memory", errno);
  }
  std::vector<std::string> words = {program,       "ping",      "--json",     "--count",
                                    "1",           "--timeout", kPingTimeout, "--on",
                                    question.port, "--",        question.peer};
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  FileActions files;
  ::posix_spawn_file_actions_addopen(&files.raw, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files.raw, output_.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files.raw, complaints_.get(), STDERR_FILENO);
  Attributes attributes;
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes.raw, &none);
  ::posix_spawnattr_setflags(&attributes.raw, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, program.c_str(), &files.raw, &attributes.raw, pointers.data(), environ);
  if (error != 0) {
    return core::fail("run", program, error);
  }
  sd_event_source* source = nullptr;
  int status = sd_event_add_child(loop, &source, child, WEXITED, on_end, this);
  if (status < 0) {
    ::kill(child, SIGKILL);
    static_cast<void>(::waitpid(child, nullptr, 0));
    return core::fail("watch", program, -status);
  }
  end_.reset(source);
  // From here on the process goes with its source.
  static_cast<void>(sd_event_source_set_child_process_own(source, 1));
  source = nullptr;
  status =
      sd_event_add_time_relative(loop, &source, CLOCK_MONOTONIC, kPatience, 0, on_patience, this);
  if (status < 0) {
    return core::fail("watch", program, -status);
  }
  patience_.reset(source);
  return {};
}

void PeerQuestion::ended(int exit_status) {
  auto reason = reason_of(exit_status, said(output_), said(complaints_));
  // A copy: the call may be the end of this object.
  const auto done = std::move(done_);
  done(std::move(reason));
}

int PeerQuestion::on_end(sd_event_source* /*source*/, const siginfo_t* info, void* user) {
  try {
    static_cast<PeerQuestion*>(user)->ended(info->si_code == CLD_EXITED ? info->si_status : -1);
    return 0;
  } catch (const std::exception&) {
    return -ENOMEM;  // ends the loop
  }
}

int PeerQuestion::on_patience(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
  // Its end is told by the other source.
  const auto& self = *static_cast<PeerQuestion*>(user);
  static_cast<void>(sd_event_source_send_child_signal(self.end_.get(), SIGKILL, nullptr, 0));
  return 0;
}

}  // namespace rdmaboot::wait_online
