// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/module_runs.hpp"

#include <cstdint>
#include <map>

#include "core/text.hpp"

namespace rdmaboot::rdmactl {

os::JournalQuery journal_about_modules() {
  os::JournalQuery query;
  query.any_of = {{"SYSLOG_IDENTIFIER=rdma-load-modules"}};
  query.fields = {"KMOD", "RESULT", "USEC", "RDMA_LIST"};
  return query;
}

std::vector<ModuleRun> module_runs(const std::vector<os::JournalEntry>& entries) {
  std::vector<ModuleRun> runs;
  for (const os::JournalEntry& entry : entries) {
    const auto usec = core::parse_number<std::uint32_t>(entry.field("USEC"));
    if (entry.field("KMOD").empty() || entry.field("RESULT").empty() || !usec) {
      continue;  // about a whole run, or only said that a module goes on after its deadline
    }
    ModuleRun run;
    run.module = core::printable(entry.field("KMOD"));
    run.result = core::printable(entry.field("RESULT"));
    run.list = core::printable(entry.field("RDMA_LIST"));
    run.took = core::Microseconds(*usec);
    run.ended = entry.monotonic;
    run.ended_realtime = entry.realtime;
    runs.push_back(std::move(run));
  }
  return runs;
}

std::vector<ModuleRun> last_runs(const std::vector<ModuleRun>& runs) {
  std::map<std::string, const ModuleRun*> last;
  for (const ModuleRun& run : runs) {
    last[run.module] = &run;
  }
  std::vector<ModuleRun> answer;
  answer.reserve(last.size());
  for (const auto& [module, run] : last) {
    answer.push_back(*run);
  }
  return answer;
}

}  // namespace rdmaboot::rdmactl
