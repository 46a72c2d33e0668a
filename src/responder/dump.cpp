// SPDX-License-Identifier: BSD-2-Clause
#include "responder/dump.hpp"

#include <nlohmann/json.hpp>

#include "core/text.hpp"

namespace rdmaboot::responder {
namespace {

using nlohmann::json;

json connection_json(const engine::ConnectionInfo& one) {
  return {{"state", to_string(one.state)},
          {"connected_by", one.active ? "us" : "peer"},
          {"version", one.version},
          {"device", core::printable(one.device)},
          {"queue_depth", one.queue_depth},
          {"credits", one.credits},
          {"messages_sent", one.messages_sent},
          {"messages_received", one.messages_received},
          {"bytes_written", one.bytes_written},
          {"age_usec", one.age.count()},
          {"idle_usec", one.idle.count()}};
}

json peer_json(const engine::PeerInfo& peer) {
  json connections = json::array();
  for (const engine::ConnectionInfo& one : peer.connections) {
    connections.push_back(connection_json(one));
  }
  return {{"nid", to_string(peer.nid)},
          {"last_reason", to_string(peer.last_reason)},
          {"last_detail", core::printable(peer.last_detail)},
          {"connections", std::move(connections)}};
}

json counters_json(const engine::Statistics& seen) {
  return {{"accepted", seen.accepts_established},
          {"refused", seen.requests_refused},
          {"closed", seen.connections_closed},
          {"protocol_errors", seen.protocol_errors},
          {"messages_sent", seen.messages_sent},
          {"messages_received", seen.messages_received},
          {"messages_dropped", seen.messages_dropped},
          {"bytes_written", seen.bytes_written},
          {"transfers_completed", seen.transfers_completed},
          {"transfers_failed", seen.transfers_failed},
          {"transfers_timed_out", seen.transfers_timed_out},
          {"failovers", seen.failovers},
          {"pings_answered", seen.pings_answered},
          {"memory_bytes", seen.memory_bytes}};
}

}  // namespace

std::string dump_json(const engine::Engine* engine, const std::string& state) {
  json answer = {{"nid", nullptr},
                 {"device", nullptr},
                 {"state", core::printable(state)},
                 {"peers", json::array()},
                 {"counters", nullptr}};
  if (engine != nullptr) {
    answer["nid"] = to_string(engine->settings().nid);
    answer["device"] = core::printable(engine->device_name());
    for (const engine::PeerInfo& peer : engine->peers()) {
      answer["peers"].push_back(peer_json(peer));
    }
    answer["counters"] = counters_json(engine->statistics());
  }
  return answer.dump();
}

}  // namespace rdmaboot::responder
