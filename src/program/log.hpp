// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// How programs speak: to the journal with structured fields where the journal listens, to standard
// error otherwise. Only programs include this.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace rdmaboot::program {

/// A structured field of a journal entry, for example {"KMOD", "ib_core"}. The name follows
/// systemd.journal-fields(7): upper case, digits and underscores.
using Field = std::pair<std::string_view, std::string>;

enum class Level { kDebug, kInfo, kWarning, kError };

/// Entries below `level` are dropped from now on. The default is kInfo, or kDebug when the
/// environment has RDMA_BOOT_DEBUG=1.
void set_log_level(Level level);

/// Writes one entry. `message` is made printable first. Safe to call from several threads.
void log(Level level, std::string_view message, std::initializer_list<Field> fields = {});

}  // namespace rdmaboot::program
