// SPDX-License-Identifier: BSD-2-Clause
#include "program/text_server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rdmaboot::program {
namespace {

using core::fail;

const sockaddr* generic(const sockaddr_un& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

}  // namespace

struct TextServer::Reader {
  TextServer* server = nullptr;
  core::UniqueFd fd;
  std::string text;
  std::size_t written = 0;
  Source writable;
  Source patience;
};

core::Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return fail("use", path, ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

TextServer::TextServer(sd_event* loop, std::function<std::string()> text, std::uint64_t patience)
    : loop_(loop), text_(std::move(text)), patience_(patience) {}

TextServer::~TextServer() = default;

core::Result<std::unique_ptr<TextServer>> TextServer::listen(sd_event* loop,
                                                             const std::string& path,
                                                             std::function<std::string()> text,
                                                             std::uint64_t patience) {
  auto server = std::unique_ptr<TextServer>(new TextServer(loop, std::move(text), patience));
  const auto address = socket_address(path);
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

void TextServer::accept() {
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
  if (sd_event_add_time_relative(loop_, &source, CLOCK_MONOTONIC, patience_, 0, on_patience,
                                 reader.get()) < 0) {
    return;
  }
  reader->patience.reset(source);
  readers_.push_back(std::move(reader));
  if (readers_.size() >= kMostReaders) {
    sd_event_source_set_enabled(source_.get(), SD_EVENT_OFF);
  }
}

void TextServer::drop(const Reader* reader) {
  std::erase_if(readers_, [&](const auto& entry) { return entry.get() == reader; });
  sd_event_source_set_enabled(source_.get(), SD_EVENT_ON);
}

int TextServer::on_connection(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                              void* user) {
  try {
    static_cast<TextServer*>(user)->accept();
  } catch (const std::exception&) {
    return 0;  // no memory for this reader, who sees the end of the stream
  }
  return 0;
}

int TextServer::on_writable(sd_event_source* /*source*/, int fd, std::uint32_t /*events*/,
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

int TextServer::on_patience(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
  const auto& reader = *static_cast<Reader*>(user);
  reader.server->drop(&reader);
  return 0;
}

}  // namespace rdmaboot::program
