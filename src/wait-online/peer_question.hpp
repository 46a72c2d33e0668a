// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The shell of level path: asks a peer, in a process of its own.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <systemd/sd-event.h>

#include "core/unique_handle.hpp"
#include "rdmaboot/result.hpp"
#include "wait-online/path.hpp"

namespace rdmaboot::wait_online {

/// Why `rdmactl ping --json` of one ping ended as it did; nothing if the peer has answered. Pure,
/// total, printable.
/// @param exit_status of the program; -1: it was killed
/// @param output of the program @param complaints its standard error
[[nodiscard]] std::optional<std::string> reason_of(int exit_status, std::string_view output,
                                                   std::string_view complaints);

/// One run of `rdmactl ping`. A process, because a resolver and a driver may block, because what
/// they leave behind goes with it, and because a wait without level path then carries no engine.
/// Killed when the object goes. Belongs to the thread of the loop, in which SIGCHLD is blocked.
class PeerQuestion {
 public:
  /// @param program the path of rdmactl
  /// @param done called from the loop with reason_of(); the object may be destroyed in it
  /// Errors: of the system calls that start a process.
  [[nodiscard]] static core::Result<std::unique_ptr<PeerQuestion>> ask(
      sd_event* loop, const std::string& program, const Question& question,
      std::function<void(std::optional<std::string>)> done);

 private:
  using Source = core::UniqueHandle<sd_event_source, sd_event_source_disable_unref>;
  PeerQuestion() = default;
  core::Result<void> start(sd_event* loop, const std::string& program, const Question& question);
  void ended(int exit_status);
  static int on_end(sd_event_source* source, const siginfo_t* info, void* user);
  static int on_patience(sd_event_source* source, std::uint64_t usec, void* user);

  std::function<void(std::optional<std::string>)> done_;
  core::UniqueFd output_;
  core::UniqueFd complaints_;
  Source end_;
  Source patience_;
};

}  // namespace rdmaboot::wait_online
