// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/late.hpp"

#include <exception>
#include <string>

#include "program/log.hpp"

namespace {

using rdmaboot::program::Level;

void log_entry(const RdmabootLateEntry* entry) {
  try {
    const auto level = static_cast<Level>(entry->level);
    if (entry->kmod == nullptr) {
      rdmaboot::program::log(level, entry->message, {{"RDMA_LIST", entry->list}});
      return;
    }
    rdmaboot::program::log(level, entry->message,
                           {{"KMOD", entry->kmod},
                            {"RESULT", entry->result},
                            {"USEC", std::to_string(entry->usec)},
                            {"RDMA_LIST", entry->list}});
  } catch (const std::exception&) {
    // Out of memory: the entry is lost, the run is not.
    return;
  }
}

bool synchronise(std::int64_t) {
  return true;
}

constexpr RdmabootLateHalf kLateHalf = {log_entry, synchronise};

}  // namespace

extern "C" __attribute__((visibility("default"))) const RdmabootLateHalf* rdmaboot_late_half() {
  return &kLateHalf;
}
