// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Level path: which port asks which peer, when, and what came of it. Pure; peer_question.hpp asks.

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "device/readiness.hpp"

namespace rdmaboot::wait_online {

/// More peers than this are a mistake: they are asked one after the other.
inline constexpr std::size_t kMostPeers = 16;
/// The pause of a port after all peers were asked in vain, doubled for each further round: a peer
/// that boots at the same time is found soon, one that is dead is not bothered.
inline constexpr core::Microseconds kFirstPause = std::chrono::milliseconds(500);
inline constexpr core::Microseconds kLongestPause = std::chrono::seconds(8);

/// Checks the name of a peer: a NID ("10.0.0.1@o2ib"), an address or a host. `rdmactl ping` reads
/// it and knows more. Total. Errors: what cannot be one of them, named.
[[nodiscard]] core::Result<std::string> parse_peer(std::string_view text);

/// What is known of the way from one port.
struct PathState {
  bool proven = false;                    ///< a peer has answered
  std::string missing;                    ///< why not
  std::size_t next_peer = 0;              ///< whose turn it is
  core::Microseconds due{0};              ///< not to be asked before
  core::Microseconds pause{kFirstPause};  ///< after the round that is going on
};

/// By subject_of() a port.
using Paths = std::map<std::string, PathState, std::less<>>;

/// The answer for a port that has every lower level.
[[nodiscard]] device::Verdict verdict_of(const Paths& paths, std::string_view port);

/// One question to ask.
struct Question {
  std::string port;  ///< "mlx5_0:1"
  std::string peer;
};

/// Belongs to one thread.
class PathProof {
 public:
  /// @param peers not empty if anything is to be asked
  explicit PathProof(std::vector<std::string> peers) : peers_(std::move(peers)) {}

  [[nodiscard]] const Paths& paths() const { return paths_; }

  /// Ports that now have every level below path. What was known of others is forgotten: who went
  /// down and came back has to prove its path again.
  void set_ports(const std::vector<std::string>& ports);

  /// What to ask at `now`: of the port that has waited for its turn the longest. Nothing: no port
  /// is due.
  [[nodiscard]] std::optional<Question> next(core::Microseconds now) const;
  /// When a port is due; nothing if all paths are proven.
  [[nodiscard]] std::optional<core::Microseconds> next_due() const;

  /// The end of a question. @param why it was not answered; nothing: it was
  void answered(const Question& question, const std::optional<std::string>& why,
                core::Microseconds now);

 private:
  [[nodiscard]] const Paths::value_type* first_due() const;

  std::vector<std::string> peers_;
  Paths paths_;
};

}  // namespace rdmaboot::wait_online
