// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/dump_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace rdmaboot::iwpm {
namespace {

using core::fail;

/// Errors: ENAMETOOLONG.
core::Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return fail("use", path, ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

}  // namespace

struct DumpServer::Reader {
  DumpServer* server = nullptr;
  core::UniqueFd fd;
  std::string text;
  std::size_t written = 0;
  Source writable;
  Source patience;
};

DumpServer::DumpServer(sd_event* loop, std::function<std::string()> text)
    : loop_(loop), text_(std::move(text)) {}

DumpServer::~DumpServer() = default;

core::Result<std::unique_ptr<DumpServer>> DumpServer::listen(sd_event* loop,
                                                             const std::string& path,
                                                             std::function<std::string()> text) {
  auto server = std::unique_ptr<DumpServer>(new DumpServer(loop, std::move(text)));
  const auto address = address_of(path);
  if (!address) {
    return tl::make_unexpected(address.error());
  }
  server->fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server->fd_) {
    return fail("open", path, errno);
  }
  ::unlink(path.c_str());
  if (::bind(server->fd_.get(), generic(*address), sizeof(*address)) != 0 ||
      ::listen(server->fd_.get(), static_cast<int>(kMostReaders)) != 0) {
    return fail("listen at", path, errno);
  }
  sd_event_source* source = nullptr;
  if (const int status =
          sd_event_add_io(loop, &source, server->fd_.get(), EPOLLIN, on_connection, server.get());
      status < 0) {
    return fail("watch", path, -status);
  }
  server->source_.reset(source);
  return server;
}

void DumpServer::accept() {
  auto reader = std::make_unique<Reader>();
  reader->fd.reset(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!reader->fd) {
    return;
  }
  reader->server = this;
  reader->text = text_() + "\n";
  sd_event_source* source = nullptr;
  if (sd_event_add_io(loop_, &source, reader->fd.get(), EPOLLOUT, on_writable, reader.get()) < 0) {
    return;
  }
  reader->writable.reset(source);
  source = nullptr;
  if (sd_event_add_time_relative(loop_, &source, CLOCK_MONOTONIC, kReaderPatience, 0, on_patience,
                                 reader.get()) < 0) {
    return;
  }
  reader->patience.reset(source);
  readers_.push_back(std::move(reader));
  if (readers_.size() >= kMostReaders) {
    sd_event_source_set_enabled(source_.get(), SD_EVENT_OFF);
  }
}

void DumpServer::drop(const Reader* reader) {
  std::erase_if(readers_, [&](const auto& entry) { return entry.get() == reader; });
  sd_event_source_set_enabled(source_.get(), SD_EVENT_ON);
}

int DumpServer::on_connection(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                              void* user) {
  try {
    static_cast<DumpServer*>(user)->accept();
  } catch (const std::exception&) {
    return 0;  // no memory for this reader, who sees the end of the stream
  }
  return 0;
}

int DumpServer::on_writable(sd_event_source* /*source*/, int fd, std::uint32_t /*events*/,
                            void* user) {
  auto& reader = *static_cast<Reader*>(user);
  const std::string_view rest = std::string_view(reader.text).substr(reader.written);
  const ssize_t wrote = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) {
    return 0;
  }
  reader.written += wrote < 0 ? rest.size() : static_cast<std::size_t>(wrote);
  if (reader.written >= reader.text.size()) {
    reader.server->drop(&reader);
  }
  return 0;
}

int DumpServer::on_patience(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
  const auto& reader = *static_cast<Reader*>(user);
  reader.server->drop(&reader);
  return 0;
}

core::Result<int> print_dump() {
  const auto address = address_of(kDumpSocket);
  if (!address) {
    return tl::make_unexpected(address.error());
  }
  const core::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), generic(*address), sizeof(*address)) != 0) {
    return fail("connect to", kDumpSocket, errno, "expected a running iwpmd");
  }
  std::array<char, 65'536> buffer{};
  ssize_t got = 0;
  while ((got = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
    if (std::fwrite(buffer.data(), 1, static_cast<std::size_t>(got), stdout) !=
        static_cast<std::size_t>(got)) {
      return fail("write", "standard output", errno);
    }
  }
  if (got < 0) {
    return fail("read", kDumpSocket, errno);
  }
  return 0;
}

}  // namespace rdmaboot::iwpm
