// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The late half of the program: what needs libsystemd, libudev and the logger, in a shared object
// of its own (rdma-load-modules-late.so beside the program). Linking it would add 1.4 million
// instructions of dynamic linking, a third, before the first module is loaded; this way it is
// mapped while a CPU is idle, or when all is loaded, or never.

#include <cstdint>

extern "C" {

/// One journal entry; texts end with NUL and are copied. `kmod` may be null: no module fields.
struct RdmabootLateEntry {
  int level;  ///< of program::Level
  const char* message;
  const char* kmod;
  const char* result;
  std::int64_t usec;
  const char* list;
};

/// The functions of the late half. None throws.
struct RdmabootLateHalf {
  void (*log)(const RdmabootLateEntry* entry);
  /// Looks for what synchronise() will wait for, so that it finds PID 1 asked already. Returns
  /// whether that is done: nothing of it depends on modules still to be loaded.
  bool (*look)();
  /// Waits for what the live modules promise for the RDMA devices present (see sync.hpp), for at
  /// most `wait_usec` microseconds, and logs what did not come. Returns whether all came.
  bool (*synchronise)(std::int64_t wait_usec);
};

/// The only symbol of the shared object.
const RdmabootLateHalf* rdmaboot_late_half();
}
