// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/dump.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace rdmaboot::iwpm {
namespace {

using Entry = MappingTable::Map::value_type;

std::vector<const Entry*> sorted(const MappingTable& mappings) {
  std::vector<const Entry*> entries;
  entries.reserve(mappings.all().size());
  for (const Entry& entry : mappings.all()) {
    entries.push_back(&entry);
  }
  const auto key = [](const Entry* entry) {
    return std::tuple(entry->first.family, entry->first.ip, entry->first.port);
  };
  std::sort(entries.begin(), entries.end(),
            [&](const Entry* a, const Entry* b) { return key(a) < key(b); });
  return entries;
}

const char* name_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::kUnasked:
      return "none";
    case Kernel::kAsked:
      return "asked";
    case Kernel::kListed:
      return "listing";
    case Kernel::kServed:
      return "served";
    case Kernel::kAbsent:
      break;
  }
  return "absent";
}

}  // namespace

std::string dump_json(const Session& session) {
  nlohmann::json mappings = nlohmann::json::array();
  for (const Entry* entry : sorted(session.mappings())) {
    const auto& [local, mapping] = *entry;
    mappings.push_back({{"local", local.text()},
                        {"mapped", mapping.mapped.text()},
                        {"references", mapping.references},
                        {"client", mapping.client},
                        {"reserved", mapping.reservation != kNoReservation}});
  }
  const Counters& counted = session.counters();
  const nlohmann::json document = {
      {"kernel", {{"state", name_of(session.kernel())}, {"version", session.version()}}},
      {"mappings", std::move(mappings)},
      {"pending_queries", session.queries().waiting()},
      {"accepted_exchanges", session.accepted().size()},
      {"silent_peers", session.silent_peers().size()},
      {"counters",
       {{"adds", counted.adds},
        {"removes", counted.removes},
        {"queries", counted.queries},
        {"answered", counted.answered},
        {"rejected", counted.rejected},
        {"without_mapper", counted.without_mapper},
        {"timed_out", counted.timed_out},
        {"from_cache", counted.from_cache},
        {"requests_accepted", counted.requests_accepted},
        {"requests_rejected", counted.requests_rejected},
        {"datagrams_limited", counted.datagrams_limited},
        {"datagrams_refused", counted.datagrams_refused},
        {"datagrams_ignored", counted.datagrams_ignored},
        {"messages_malformed", counted.messages_malformed},
        {"overruns", counted.overruns}}}};
  return document.dump();
}

std::vector<std::string> dump_lines(const Session& session) {
  std::vector<std::string> lines;
  for (const Entry* entry : sorted(session.mappings())) {
    const auto& [local, mapping] = *entry;
    lines.push_back("mapping " + local.text() + " to " + mapping.mapped.text() + ", references " +
                    std::to_string(mapping.references) +
                    (mapping.reservation == kNoReservation ? ", no port reserved" : ""));
  }
  return lines;
}

std::string status_line(const Session& session) {
  const Counters& counted = session.counters();
  std::string line = std::to_string(session.mappings().all().size()) + " mappings, " +
                     std::to_string(session.queries().waiting()) + " queries open, " +
                     std::to_string(counted.requests_accepted) + " requests of peers accepted; ";
  switch (session.kernel()) {
    case Kernel::kUnasked:
      return line + "the kernel has no RDMA";
    case Kernel::kAsked:
    case Kernel::kListed:
      return line + "waiting for the kernel";
    case Kernel::kServed:
      return line + "the kernel's interface has version " + std::to_string(session.version());
    case Kernel::kAbsent:
      break;
  }
  return line + "the kernel has no iWARP connection manager";
}

}  // namespace rdmaboot::iwpm
