// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/late.hpp"

#include <algorithm>
#include <exception>
#include <string>

#include "core/clock.hpp"
#include "load-modules/sync_wait.hpp"
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

rdmaboot::load_modules::SyncWait& sync_wait() {
  static const rdmaboot::core::MonotonicClock clock;
  static rdmaboot::load_modules::SyncWait wait({}, clock);
  return wait;
}

bool look() {
  using namespace rdmaboot::load_modules;
  try {
    const auto missing = find_missing(sync_wait().snapshot());
    return std::all_of(missing.begin(), missing.end(),
                       [](const Missing& thing) { return thing.waits == Waits::kForKernel; });
  } catch (const std::exception&) {
    return true;  // out of memory: synchronise() will say so
  }
}

bool synchronise(std::int64_t wait_usec) {
  using namespace rdmaboot;
  try {
    const auto missing = sync_wait().wait(core::Microseconds(wait_usec));
    for (const load_modules::Missing& thing : missing) {
      program::log(Level::kWarning, "waited in vain for " + thing.what);
    }
    return missing.empty();
  } catch (const std::exception& failure) {
    program::log(Level::kWarning, std::string("not waiting for devices: ") + failure.what());
    return false;
  }
}

constexpr RdmabootLateHalf kLateHalf = {log_entry, look, synchronise};

}  // namespace

extern "C" __attribute__((visibility("default"))) const RdmabootLateHalf* rdmaboot_late_half() {
  return &kLateHalf;
}
