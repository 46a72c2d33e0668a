// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/daemon_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::rdmactl {
namespace {

core::Result<core::UniqueFd> connect_to(const DaemonSocket& daemon) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& path = daemon.path;
  if (path.size() >= sizeof(address.sun_path)) {
    return core::fail("connect to", path, ENAMETOOLONG);
  }
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  core::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* const generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (!fd || ::connect(fd.get(), generic, sizeof(address)) != 0) {
    const int error = errno;
    // EAGAIN: its backlog is full, so nobody accepts.
    return core::fail(
        "ask " + daemon.name + " at", path, error == EAGAIN ? ETIMEDOUT : error,
        error == EACCES ? daemon.allowed : "it does not run: systemctl status " + daemon.unit);
  }
  return fd;
}

}  // namespace

DaemonSocket mapper_socket() {
  return {"iwpmd", "iwpmd.service", "/run/iwpmd/iwpmd.sock", "root, or a member of its group"};
}

DaemonSocket responder_socket() {
  return {"rdma-responder", "rdma-responder.service", "/run/rdma-responder/responder.sock",
          "only root may"};
}

core::Result<nlohmann::json> ask_daemon(const DaemonSocket& daemon,
                                        std::chrono::milliseconds patience) {
  const std::string& socket = daemon.path;
  const std::string reading = "read the answer of " + daemon.name + " at";
  const auto fd = connect_to(daemon);
  if (!fd) {
    return tl::make_unexpected(fd.error());
  }
  const core::MonotonicClock clock;
  const core::Microseconds deadline = clock.now() + patience;
  std::string answer;
  std::array<char, 65'536> buffer;  // not cleared: read() says how much counts
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock.now());
    pollfd waiting{fd->get(), POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready == 0) {
      return core::fail(reading, socket, ETIMEDOUT);
    }
    const ssize_t got = ready < 0 ? -1 : ::read(fd->get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    if (got < 0) {
      return core::fail(reading, socket, errno);
    }
    if (got == 0) {
      break;
    }
    answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (answer.size() > kAnswerLimit) {
      return core::fail(reading, socket, EFBIG);
    }
  }
  nlohmann::json object = nlohmann::json::parse(answer, nullptr, false);
  if (!object.is_object()) {
    return core::fail("understand the answer of " + daemon.name + " at", socket, EBADMSG,
                      "a JSON object");
  }
  return object;
}

}  // namespace rdmaboot::rdmactl
