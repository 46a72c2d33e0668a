// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/daemon.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/text.hpp"

namespace rdmaboot::ndd {
namespace {

using core::fail;
using core::Result;
using program::Level;

/// Longest host name (bytes): __NEW_UTS_LEN of the kernel.
constexpr std::size_t kHostnameLimit = 64;

core::UniqueFd watch_hangup() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return core::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

Result<void> Daemon::start() {
  // First of all: a device that comes while the others are looked at is an event then.
  auto events = seams_.subscribe();
  if (!events) {
    return tl::make_unexpected(events.error());
  }
  events_ = std::move(*events);
  hangup_ = watch_hangup();
  hostname_.reset(::open(seams_.hostname_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!hostname_) {
    program::log(
        Level::kWarning,
        fail("open", seams_.hostname_file, errno, "changes will not be seen").value().message());
  }
  read_configuration();
  read_hostname();
  look();
  seams_.notify("READY=1\nSTATUS=" + status_);
  return {};
}

Result<void> Daemon::turn(std::optional<std::chrono::milliseconds> limit) {
  // The kernel reports a new host name as POLLERR | POLLPRI (proc_sys_poll()); poll() passes over
  // descriptors that are negative.
  std::array<pollfd, 3> inputs = {
      {{events_->fd(), POLLIN, 0}, {hostname_.get(), POLLPRI, 0}, {hangup_.get(), POLLIN, 0}}};
  const int timeout = poll_timeout(limit);
  if (timeout != 0) {
    seams_.rest();
  }
  if (::poll(inputs.data(), inputs.size(), timeout) < 0) {
    return errno == EINTR ? Result<void>() : fail("wait for", "events", errno);
  }
  const auto& [event, hostname, hangup] = inputs;
  signalfd_siginfo signal{};
  if ((hangup.revents & POLLIN) != 0 && ::read(hangup_.get(), &signal, sizeof signal) > 0) {
    read_configuration();
  }
  if (hostname.revents != 0) {
    read_hostname();
  }
  if (event.revents != 0) {
    if (auto taken = take_events(); !taken) {
      return taken;
    }
    look();
  } else {
    describe_all();
  }
  return {};
}

Result<int> Daemon::run(const std::function<Result<void>()>& started) {
  Result<void> going = start().and_then(started);
  while (going) {
    going = turn();
  }
  return tl::make_unexpected(std::move(going).error());
}

Result<void> Daemon::take_events() {
  for (int taken = 0; taken < kMostEventsAtOnce; ++taken) {
    const auto event = events_->receive();
    if (!event) {
      if (event.error().error_number == ENOBUFS) {
        continue;  // events were lost; the list of devices that is read next has what they told
      }
      return tl::make_unexpected(event.error());
    }
    if (!*event) {
      break;
    }
    // A device of this name may have gone and come back, without an index that would tell.
    descriptions_.check((*event)->name);
  }
  return {};
}

void Daemon::read_configuration() {
  device::DescriptionReading reading = seams_.read_config();
  for (const core::Error& error : reading.errors) {
    program::log(Level::kError, error.message());
  }
  descriptions_.use(std::move(reading.config));
}

void Daemon::read_hostname() {
  std::array<char, kHostnameLimit + 2> buffer{};
  ssize_t length = -1;
  if (hostname_) {
    length = ::pread(hostname_.get(), buffer.data(), buffer.size(), 0);
  } else if (::gethostname(buffer.data(), buffer.size() - 1) == 0) {
    length = static_cast<ssize_t>(std::string_view(buffer.data()).size());
  }
  if (length < 0) {
    program::log(Level::kWarning, fail("read", seams_.hostname_file, errno).value().message());
    return;
  }
  const std::string_view text(buffer.data(), static_cast<std::size_t>(length));
  descriptions_.hostname_is(std::string(core::trim(text)));
}

void Daemon::look() {
  auto devices = seams_.host->devices();
  if (devices) {
    listing_error_.clear();
    descriptions_.devices_are(std::move(*devices));
  } else if (std::string error = devices.error().message(); error != listing_error_) {
    listing_error_ = std::move(error);
    program::log(Level::kError, listing_error_);
  }
  describe_all();
}

void Daemon::describe_all() {
  while (const auto write = descriptions_.next(seams_.clock->now())) {
    const Attempt attempt = describe(*seams_.host, *write);
    tell(*write, attempt, descriptions_.record(*write, attempt.outcome, seams_.clock->now()));
  }
  if (std::string status = descriptions_.status(); status != status_) {
    status_ = std::move(status);
    seams_.notify("STATUS=" + status_);
  }
}

void Daemon::tell(const Write& write, const Attempt& attempt, Verdict verdict) const {
  const auto say = [&](Level level, const std::string& text) {
    program::log(level, write.device + ": " + text, {{"RDMA_DEVICE", write.device}});
  };
  switch (verdict) {
    case Verdict::kDone:
      say(attempt.written ? Level::kInfo : Level::kDebug,
          "node description is \"" + write.text + "\"");
      break;
    case Verdict::kForgotten:
      say(Level::kDebug, "gone: " + attempt.reason);
      break;
    case Verdict::kSkipped:
      say(Level::kDebug, "has no node description that can be set: " + attempt.reason);
      break;
    case Verdict::kLater:
      say(Level::kDebug, "node description will be tried again: " + attempt.reason);
      break;
    case Verdict::kGaveUp:
      say(Level::kWarning, "node description is not set: " + attempt.reason);
      break;
  }
}

int Daemon::poll_timeout(std::optional<std::chrono::milliseconds> limit) const {
  constexpr int kForEver = -1;
  const auto due = descriptions_.next_attempt();
  if (!due) {
    return limit ? static_cast<int>(limit->count()) : kForEver;
  }
  // Rounded up: to wake just before the moment would be to wake twice.
  auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(*due - seams_.clock->now(), core::Microseconds(0)));
  left = std::min(left, limit.value_or(left));
  return static_cast<int>(left.count());
}

}  // namespace rdmaboot::ndd
