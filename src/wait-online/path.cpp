// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/path.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "core/text.hpp"

namespace rdmaboot::wait_online {
namespace {

/// Longest name of a host (RFC 1035) with "@o2ib" and a number of 16 bits.
constexpr std::size_t kLongestPeer = 253 + 10;

bool is_peer_character(unsigned char c) {
  return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == '@';
}

}  // namespace

core::Result<std::string> parse_peer(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= kLongestPeer && text.front() != '-' &&
                    text.front() != '@' && std::all_of(text.begin(), text.end(), is_peer_character);
  if (!fits) {
    return core::fail("read peer", "\"" + core::printable(text) + "\"", 0,
                      "expected a NID such as 10.0.0.1@o2ib, an address or a host");
  }
  return std::string(text);
}

device::Verdict verdict_of(const Paths& paths, std::string_view port) {
  const auto found = paths.find(port);
  if (found == paths.end()) {
    return {device::Readiness::kNotYet, "no peer was asked yet"};
  }
  if (found->second.proven) {
    return {device::Readiness::kReady, {}};
  }
  return {device::Readiness::kNotYet, found->second.missing};
}

void PathProof::set_ports(const std::vector<std::string>& ports) {
  Paths kept;
  for (const std::string& port : ports) {
    auto known = paths_.find(port);
    if (known != paths_.end()) {
      kept.insert(paths_.extract(known));
    } else if (!kept.contains(port)) {
      kept[port].missing = "no peer has answered yet";
    }
  }
  paths_ = std::move(kept);
}

const Paths::value_type* PathProof::first_due() const {
  const Paths::value_type* first = nullptr;
  for (const auto& entry : paths_) {
    if (!entry.second.proven && (first == nullptr || entry.second.due < first->second.due)) {
      first = &entry;
    }
  }
  return peers_.empty() ? nullptr : first;
}

std::optional<Question> PathProof::next(core::Microseconds now) const {
  const auto* const first = first_due();
  if (first == nullptr || first->second.due > now) {
    return std::nullopt;
  }
  return Question{first->first, peers_.at(first->second.next_peer)};
}

std::optional<core::Microseconds> PathProof::next_due() const {
  const auto* const first = first_due();
  return first == nullptr ? std::nullopt : std::optional(first->second.due);
}

void PathProof::answered(const Question& question, const std::optional<std::string>& why,
                         core::Microseconds now) {
  const auto found = paths_.find(question.port);
  if (found == paths_.end()) {
    return;  // it went down meanwhile
  }
  PathState& state = found->second;
  state.proven = !why;
  if (!why) {
    state.missing.clear();
    return;
  }
  state.missing = "no path to " + question.peer + ": " + *why;
  state.due = now;
  if (++state.next_peer >= peers_.size()) {
    state.next_peer = 0;
    state.due = now + state.pause;
    state.pause = std::min(state.pause * 2, kLongestPause);
  }
}

}  // namespace rdmaboot::wait_online
