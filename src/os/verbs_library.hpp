// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// libibverbs.so.1, opened at run time. Included by the files of this room alone: verbs.h is not
// for others.

#include <vector>

#include <infiniband/verbs.h>

#include "os/verbs.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// The functions that are used. verbs.h hides some of them behind macros and inline functions which
/// would need the library at link time.
struct VerbsLibrary {
  decltype(&::ibv_get_device_list) get_device_list = nullptr;
  decltype(&::ibv_free_device_list) free_device_list = nullptr;
  decltype(&::ibv_get_device_name) get_device_name = nullptr;
  decltype(&::ibv_open_device) open_device = nullptr;
  decltype(&::ibv_close_device) close_device = nullptr;
  decltype(&::ibv_query_port) query_port = nullptr;
  decltype(&::ibv_get_async_event) get_async_event = nullptr;
  decltype(&::ibv_ack_async_event) ack_async_event = nullptr;
  decltype(&::_ibv_query_gid_table) query_gid_table = nullptr;  ///< may be missing: rdma-core < 32
};

/// Loads the library at the first call and keeps it, because providers do not survive being
/// unloaded. May be called from several threads. Errors: it is not there, or not version 1.
[[nodiscard]] const core::Result<VerbsLibrary>& verbs_library();

/// Asks a device that is open. What it does not answer goes to `errors`.
[[nodiscard]] VerbsDevice query_context(const VerbsLibrary& library, ibv_context* context,
                                        const VerbsQuestion& question, bool gids,
                                        std::vector<core::Error>& errors);

}  // namespace rdmaboot::os
