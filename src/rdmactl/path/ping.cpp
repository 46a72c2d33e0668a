// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/path/ping.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "rdmactl/path/latency.hpp"
#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {
namespace {

using engine::TransferStatus;

/// What the engine knows of the peer; nothing before the first transfer.
const engine::PeerInfo* find(const std::vector<engine::PeerInfo>& peers, engine::Nid nid) {
  const auto found = std::find_if(peers.begin(), peers.end(),
                                  [&](const engine::PeerInfo& one) { return one.nid == nid; });
  return found == peers.end() ? nullptr : &*found;
}

bool is_connected(const engine::Engine& engine, engine::Nid nid) {
  const auto peers = engine.peers();
  const engine::PeerInfo* const peer = find(peers, nid);
  return peer != nullptr &&
         std::any_of(peer->connections.begin(), peer->connections.end(), [](const auto& one) {
           return one.state == engine::ConnectionState::kEstablished;
         });
}

struct Answer {
  bool done = false;
  TransferStatus status = TransferStatus::kStopped;
  engine::PingReply reply;
  static void note(void* context, const engine::TransferResult& result,
                   const engine::PingReply* reply) {
    auto& answer = *static_cast<Answer*>(context);
    answer.done = true;
    answer.status = result.status;
    if (reply != nullptr) {
      answer.reply = *reply;
    }
  }
};

Ping ping_once(Session& session, const PingOptions& options, unsigned number, Answer& answer) {
  Ping ping;
  ping.number = number;
  ping.connected = is_connected(session.engine(), options.peer);
  const core::Microseconds begin = session.now();
  answer = Answer{};
  const auto started =
      session.engine().ping(options.peer, {&Answer::note, &answer}, options.timeout);
  if (!started) {
    answer.status = started.error();
  } else if (!session.run_until([&] { return answer.done; },
                                begin + options.timeout + std::chrono::seconds(1))) {
    // The engine ends each transfer at its deadline; this is for one that it forgot.
    answer.status = TransferStatus::kTimedOutAnswer;
  }
  ping.took = session.now() - begin;
  ping.status = answer.status;
  ping.reply = answer.reply;
  if (!ping.answered()) {
    ping.why = why_not(session.engine(), options.peer, ping.status);
  }
  return ping;
}

Latencies latencies_of(const std::vector<Ping>& pings) {
  std::vector<core::Microseconds> times;
  for (const Ping& ping : pings) {
    if (ping.answered() && ping.connected) {
      times.push_back(ping.took);
    }
  }
  return latencies(std::move(times));
}

nlohmann::json nids_json(const engine::PingReply& reply) {
  nlohmann::json nids = nlohmann::json::array();
  for (std::uint32_t i = 0; i < std::min<std::size_t>(reply.count, engine::PingReply::kMaxNids);
       ++i) {
    nids.push_back({{"nid", to_string(reply.nids[i])}, {"up", reply.up[i]}});
  }
  return nids;
}

}  // namespace

std::string why_not(const engine::Engine& engine, engine::Nid peer, TransferStatus status) {
  std::string text(to_string(status));
  const auto peers = engine.peers();
  const engine::PeerInfo* const known = find(peers, peer);
  if (known == nullptr || known->last_reason == engine::CloseReason::kNone) {
    return text;
  }
  text += " (" + std::string(to_string(known->last_reason));
  if (!known->last_detail.empty()) {
    text += ": " + core::printable(known->last_detail);
  }
  return text + ")";
}

std::vector<Ping> run_pings(Session& session, const PingOptions& options,
                            const std::function<void(const Ping&)>& told) {
  std::vector<Ping> pings;
  // One for all: an answer that comes when nobody waits any more still finds a place.
  std::vector<Answer> answers(options.count);
  for (unsigned number = 1; number <= options.count; ++number) {
    const core::Microseconds next = session.now() + options.interval;
    pings.push_back(ping_once(session, options, number, answers[number - 1]));
    if (told) {
      told(pings.back());
    }
    if (number < options.count) {
      static_cast<void>(session.run_until([] { return false; }, next));
    }
  }
  if (std::any_of(answers.begin(), answers.end(), [](const Answer& one) { return !one.done; })) {
    session.engine().stop();  // nobody may write to them after this function
  }
  return pings;
}

std::string ping_line(const Ping& ping) {
  std::string line = std::to_string(ping.number) + ": ";
  if (!ping.answered()) {
    line += "no answer: " + ping.why;
  } else {
    line += (ping.connected ? "" : "connected and answered in ") + duration_text(ping.took);
  }
  return line + "\n";
}

std::string ping_summary(const std::vector<Ping>& pings) {
  const auto answered =
      std::count_if(pings.begin(), pings.end(), [](const Ping& one) { return one.answered(); });
  std::string text =
      std::to_string(pings.size()) + " sent, " + std::to_string(answered) + " answered";
  if (const Latencies times = latencies_of(pings); times.count > 0) {
    text += "; min " + duration_text(times.least) + ", median " + duration_text(times.p50) +
            ", max " + duration_text(times.most);
  }
  text += "\n";
  const auto last =
      std::find_if(pings.rbegin(), pings.rend(), [](const Ping& one) { return one.answered(); });
  if (last != pings.rend()) {
    text += "the peer has:";
    for (const auto& entry : nids_json(last->reply)) {
      text += " " + entry["nid"].get<std::string>() + (entry["up"] == true ? "" : " (down)");
    }
    text += "\n";
  }
  return text;
}

nlohmann::json ping_json(const std::vector<Ping>& pings, engine::Nid from, engine::Nid peer,
                         const std::string& device) {
  nlohmann::json list = nlohmann::json::array();
  nlohmann::json nids = nlohmann::json::array();
  std::size_t answered = 0;
  for (const Ping& ping : pings) {
    nlohmann::json entry = {{"number", ping.number},
                            {"answered", ping.answered()},
                            {"connected_before", ping.connected},
                            {"usec", ping.took.count()}};
    if (ping.answered()) {
      ++answered;
      nids = nids_json(ping.reply);
    } else {
      entry["why"] = ping.why;
    }
    list.push_back(std::move(entry));
  }
  return {{"from", to_string(from)},  {"peer", to_string(peer)},
          {"device", device},         {"sent", pings.size()},
          {"answered", answered},     {"latency_usec", latencies_json(latencies_of(pings))},
          {"pings", std::move(list)}, {"nids", std::move(nids)}};
}

}  // namespace rdmaboot::rdmactl
