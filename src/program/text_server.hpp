// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a running daemon tells, over a socket in /run: whoever connects gets one JSON object and the
// end of the stream.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <sys/un.h>
#include <systemd/sd-event.h>

#include "core/unique_handle.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::program {

/// Most readers at once; further ones wait in the backlog.
inline constexpr std::size_t kMostReaders = 4;
/// A reader that has not taken all within so long is dropped (microseconds).
inline constexpr std::uint64_t kReaderPatience = 5'000'000;

/// The address of a socket in the file system. Errors: ENAMETOOLONG.
[[nodiscard]] core::Result<sockaddr_un> socket_address(const std::string& path);

/// The daemon's side. Lives in one event loop.
class TextServer {
 public:
  /// Listens at `path`, which is replaced. Errors: errno.
  /// @param text makes what a reader gets
  /// @param patience with a reader, in microseconds
  [[nodiscard]] static core::Result<std::unique_ptr<TextServer>> listen(
      sd_event* loop, const std::string& path, std::function<std::string()> text,
      std::uint64_t patience = kReaderPatience);
  ~TextServer();
  TextServer(const TextServer&) = delete;
  TextServer& operator=(const TextServer&) = delete;

 private:
  using Source = core::UniqueHandle<sd_event_source, sd_event_source_disable_unref>;
  struct Reader;
  TextServer(sd_event* loop, std::function<std::string()> text, std::uint64_t patience);
  void accept();
  void drop(const Reader* reader);
  static int on_connection(sd_event_source* source, int fd, std::uint32_t events, void* user);
  static int on_writable(sd_event_source* source, int fd, std::uint32_t events, void* user);
  static int on_patience(sd_event_source* source, std::uint64_t usec, void* user);

  sd_event* loop_;
  std::function<std::string()> text_;
  std::uint64_t patience_;
  core::UniqueFd fd_;
  Source source_;
  std::deque<std::unique_ptr<Reader>> readers_;
};

}  // namespace rdmaboot::program
