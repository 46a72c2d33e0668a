// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a device tells while it runs: asynchronous events of verbs. They are the only notice of what
// happens to a port of InfiniBand, and of a GID that entered the table.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/verbs.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// enum ibv_event_type of <infiniband/verbs.h>, as far as a waiter is concerned.
enum class VerbsEvent {
  kPortActive,
  kPortError,
  kGidChange,
  kLidChange,
  kPKeyChange,
  kSmChange,
  kDeviceFatal,  ///< the last one of a device: read no further, close
  kOther,
};

/// Events of one device. Not thread-safe. While it is open the device's module cannot be unloaded,
/// and drivers that cannot take a device away from its users wait for its end when the device goes:
/// close it as soon as the uverbs node is gone.
class VerbsEventSource {
 public:
  virtual ~VerbsEventSource() = default;
  /// Readable when there is an event.
  [[nodiscard]] virtual int fd() const = 0;
  /// The next event, or nothing if there is none now. Errors: errno; EIO after the device went.
  [[nodiscard]] virtual core::Result<std::optional<VerbsEvent>> receive() = 0;
  /// As query_verbs(), of the device that is open here: no other is opened for it.
  [[nodiscard]] virtual VerbsDevice query(const VerbsQuestion& question, bool gids,
                                          std::vector<core::Error>& errors) = 0;
};

/// Opens a device by name. Loads libibverbs at the first call (see verbs.hpp).
/// Errors: no library; ENODEV; errno of the opening.
[[nodiscard]] core::Result<std::unique_ptr<VerbsEventSource>> open_verbs_events(
    const std::string& device);

}  // namespace rdmaboot::os
