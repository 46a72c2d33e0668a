// SPDX-License-Identifier: BSD-2-Clause
#include "engine/fabric.hpp"

namespace rdmaboot::engine {

std::string_view to_string(WorkStatus status) {
  switch (status) {
    case WorkStatus::kSuccess:
      return "success";
    case WorkStatus::kFlushed:
      return "flushed";
    case WorkStatus::kLocalError:
      return "local error";
    case WorkStatus::kRemoteAccessError:
      return "remote access error";
    case WorkStatus::kRemoteError:
      return "remote error";
    case WorkStatus::kRetryExceeded:
      return "retries exceeded";
    case WorkStatus::kReceiverNotReady:
      return "receiver not ready";
    case WorkStatus::kWindowError:
      return "memory window error";
    case WorkStatus::kDeviceError:
      return "device error";
  }
  return "unknown";
}

}  // namespace rdmaboot::engine
