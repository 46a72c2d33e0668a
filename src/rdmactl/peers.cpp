// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/peers.hpp"

#include "rdmactl/answer.hpp"
#include "rdmactl/table.hpp"

namespace rdmaboot::rdmactl {
namespace {

using nlohmann::json;

std::string time_of(const json& value) {
  return value.is_number_integer() ? duration_text(core::Microseconds(value.get<std::int64_t>()))
                                   : std::string();
}

/// Why the last connection ended; "" if none did.
std::string last_of(const json& peer) {
  std::string reason = text_of(member(peer, "last_reason"));
  if (reason == "none") {
    return {};
  }
  const std::string detail = text_of(member(peer, "last_detail"));
  return detail.empty() ? reason : reason + ": " + detail;
}

void add_peer(const json& peer, Table& table) {
  const std::string nid = text_of(member(peer, "nid"));
  const json& connections = member(peer, "connections");
  if (!connections.is_array() || connections.empty()) {
    table.add({{nid}, {"not connected", Colour::kGrey}, {}, {}, {}, {}, {}, {}, {last_of(peer)}});
    return;
  }
  for (const json& one : connections) {
    const std::string state = text_of(member(one, "state"));
    table.add({{nid},
               {state, state == "established" ? Colour::kGreen : Colour::kYellow},
               {text_of(member(one, "device"))},
               {text_of(member(one, "credits")) + "/" + text_of(member(one, "queue_depth"))},
               {text_of(member(one, "messages_received"))},
               {text_of(member(one, "messages_sent"))},
               {text_of(member(one, "bytes_written"))},
               {time_of(member(one, "idle_usec"))},
               {last_of(peer)}});
  }
}

}  // namespace

std::string peers_text(const json& answer, const Terminal& terminal) {
  const json& counters = member(answer, "counters");
  std::string out = text_of(member(answer, "state")) + "\n";
  if (counters.is_object()) {
    out += "requests: " + text_of(member(counters, "accepted")) + " accepted, " +
           text_of(member(counters, "refused")) + " refused\n" +
           "pings: " + text_of(member(counters, "pings_answered")) + " answered\n";
  }
  const json& peers = member(answer, "peers");
  if (!peers.is_array() || peers.empty()) {
    return out + "No peer.\n";
  }
  using enum Column::Side;
  Table table({{"PEER", kLeft, 0},
               {"STATE", kLeft, 0},
               {"DEVICE", kLeft, 3},
               {"CREDITS", kRight, 5},
               {"RECEIVED", kRight, 4},
               {"SENT", kRight, 4},
               {"BYTES WRITTEN", kRight, 2},
               {"SILENT FOR", kRight, 1},
               {"LAST CLOSED", kLeft, 0, 20}});
  for (const json& peer : peers) {
    add_peer(peer, table);
  }
  return out + table.text(terminal);
}

}  // namespace rdmaboot::rdmactl
