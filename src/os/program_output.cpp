// SPDX-License-Identifier: BSD-2-Clause
#include "os/program_output.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

/// Starts it with its standard output in `out`.
core::Result<pid_t> start(std::vector<std::string>& words, int out, bool quiet) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (quiet) {
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed =
      ::posix_spawn(&child, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return core::fail("run", core::printable(words.front()), failed);
  }
  return child;
}

}  // namespace

core::Result<ProgramOutput> run_program(std::vector<std::string> words, std::size_t limit,
                                        bool quiet) {
  std::array<int, 2> ends{};
  if (words.empty() || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return core::fail("run", words.empty() ? "" : words.front(), words.empty() ? EINVAL : errno);
  }
  core::UniqueFd in(ends[0]);
  core::UniqueFd out(ends[1]);
  const auto child = start(words, out.get(), quiet);
  out.reset();
  if (!child) {
    return tl::make_unexpected(child.error());
  }
  ProgramOutput output;
  int error = 0;
  std::array<char, 16384> buffer;  // not cleared: read() says how much counts
  for (;;) {
    const ssize_t got = ::read(in.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      error = got < 0 ? errno : 0;
      break;
    }
    output.text.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.text.size() > limit) {
      error = EFBIG;
      break;
    }
  }
  in.reset();  // one that writes on is ended by it
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (error != 0) {
    return core::fail("read what it says:", core::printable(words.front()), error);
  }
  constexpr int kSignalled = 128;
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
  return output;
}

}  // namespace rdmaboot::os
