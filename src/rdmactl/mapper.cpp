// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/mapper.hpp"

#include "rdmactl/answer.hpp"
#include "rdmactl/table.hpp"

namespace rdmaboot::rdmactl {
namespace {

using nlohmann::json;

std::string count(const json& object, const char* name, const char* words) {
  const std::string number = text_of(member(object, name));
  return (number.empty() ? "?" : number) + words;
}

}  // namespace

std::string mapper_text(const json& answer, const Terminal& terminal) {
  const json& kernel = member(answer, "kernel");
  const json& counters = member(answer, "counters");
  std::string out = "kernel: " + text_of(member(kernel, "state"));
  if (const std::string version = text_of(member(kernel, "version")); !version.empty()) {
    out += ", interface version " + version;
  }
  out += "\nqueries: " + count(counters, "answered", " answered, ") +
         count(counters, "without_mapper", " by hosts without a mapper, ") +
         count(counters, "timed_out", " timed out\n") +
         "peers: " + count(counters, "requests_accepted", " requests accepted\n");
  const json& mappings = member(answer, "mappings");
  if (!mappings.is_array() || mappings.empty()) {
    return out + "No mapping.\n";
  }
  using enum Column::Side;
  Table table({{"LOCAL", kLeft, 0},
               {"MAPPED", kLeft, 0},
               {"USES", kRight, 2},
               {"CLIENT", kLeft, 3},
               {"PORT", kLeft, 1}});
  for (const json& mapping : mappings) {
    const json& reserved = member(mapping, "reserved");
    table.add({{text_of(member(mapping, "local"))},
               {text_of(member(mapping, "mapped"))},
               {text_of(member(mapping, "references"))},
               {text_of(member(mapping, "client"))},
               {reserved == true ? "reserved" : "not reserved",
                reserved == true ? Colour::kNone : Colour::kYellow}});
  }
  return out + table.text(terminal);
}

}  // namespace rdmaboot::rdmactl
