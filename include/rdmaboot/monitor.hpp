// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What changes, as it happens. Open a Monitor first and take a snapshot after that: then nothing
// can fall between the two.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rdmaboot/export.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::device {

enum class ChangeKind : std::uint8_t {
  kAdded,
  kRemoved,
  kChanged,
  kMoved,    ///< renamed: `previous_path` is where it was
  kOverrun,  ///< more came than the kernel could keep for us: take a snapshot again
};

/// "added", "removed", "changed", "moved", "overrun".
[[nodiscard]] RDMABOOT_API std::string_view name_of(ChangeKind kind);

/// One thing that happened to one device. With kOverrun everything else is empty.
struct Change {
  ChangeKind kind = ChangeKind::kOverrun;
  std::string name;           ///< "mlx5_0", "uverbs0", "eth0"
  std::string subsystem;      ///< "infiniband", "infiniband_verbs", "infiniband_mad" or "net"
  std::string sysfs_path;     ///< "/sys/devices/…", as in Device
  std::string previous_path;  ///< kMoved only; the same form
  /// Properties as udev has them, or as the kernel sent them, by name.
  std::vector<std::pair<std::string, std::string>> properties;

  /// The value of a property; empty if there is none of that name.
  [[nodiscard]] RDMABOOT_API std::string_view property(std::string_view key) const;
};

struct MonitorOptions {
  enum class Source : std::uint8_t {
    kUdev,   ///< after udev has run its rules: nodes, links and properties are there. Where udev
             ///< does not run (containers) nothing ever comes, which is not an error.
    kKernel  ///< at once; also where udev does not run
  };
  Source source = Source::kUdev;
  bool netdevs = true;  ///< subsystem net too
  /// Receive buffer (bytes), 0 for the kernel's default. Without privilege the kernel gives at most
  /// net.core.rmem_max, which is not an error.
  std::size_t receive_buffer = 1U << 20U;
};

/// A stream of changes. Not thread-safe; moved-from objects may only be destroyed or assigned to.
class Monitor {
 public:
  /// Subscribes; what happens from now on is delivered.
  /// Errors: errno of libudev (no netlink in a sandbox, too many files).
  [[nodiscard]] RDMABOOT_API static core::Result<Monitor> open(const MonitorOptions& options = {});

  RDMABOOT_API Monitor(Monitor&&) noexcept;
  RDMABOOT_API Monitor& operator=(Monitor&&) noexcept;
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  RDMABOOT_API ~Monitor();

  /// A descriptor to poll for input. It stays the same and belongs to this object.
  [[nodiscard]] RDMABOOT_API int fd() const;

  /// The next change, or nothing if there is none now; never blocks. Call it until it says nothing
  /// before polling again. Actions other than add, remove, change and move count as kChanged.
  /// Errors: errno of receiving, other than an overrun; the stream can be used on.
  [[nodiscard]] RDMABOOT_API core::Result<std::optional<Change>> next();

 private:
  struct State;
  explicit Monitor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rdmaboot::device
