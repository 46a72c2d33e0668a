// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The devices of this machine, behind a seam, and one attempt to describe one of them.

#include <string>
#include <utility>
#include <vector>

#include "ndd/descriptions.hpp"
#include "os/sysfs.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::ndd {

/// Where devices and their descriptions are.
class Host {
 public:
  virtual ~Host() = default;
  /// All devices. None where there is no RDMA. Errors: errno of listing them.
  [[nodiscard]] virtual core::Result<std::vector<DeviceFacts>> devices() = 0;
  /// The description that a device has. Errors: errno of open or read.
  [[nodiscard]] virtual core::Result<std::string> read(const std::string& device) = 0;
  /// Gives a device a description. Errors: errno of open or write; EOPNOTSUPP where the driver
  /// cannot do it.
  [[nodiscard]] virtual core::Result<void> write(const std::string& device,
                                                 const std::string& text) = 0;
};

/// The running kernel, or a recorded tree. Not thread-safe.
class SysfsHost final : public Host {
 public:
  explicit SysfsHost(os::Tree tree) : tree_(std::move(tree)) {}
  [[nodiscard]] core::Result<std::vector<DeviceFacts>> devices() override;
  [[nodiscard]] core::Result<std::string> read(const std::string& device) override;
  [[nodiscard]] core::Result<void> write(const std::string& device,
                                         const std::string& text) override;

 private:
  os::Tree tree_;
};

/// How one attempt ended, with the reason for everything but kSet.
struct Attempt {
  Outcome outcome = Outcome::kFailed;
  std::string reason;
  bool written = false;  ///< false as well where the device had the description already
};

/// Gives one device its description unless it has it, and reads it back.
[[nodiscard]] Attempt describe(Host& host, const Write& write);

}  // namespace rdmaboot::ndd
