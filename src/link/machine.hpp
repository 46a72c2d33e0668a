// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The running machine as the plan sees it, and the two changes that the plan may ask for.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "link/plan.hpp"
#include "os/rdma_netlink.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::link {

/// Longest time that the kernel may take for one answer: to make a link it may load a module.
inline constexpr std::chrono::milliseconds kNetlinkBudget{30'000};

/// Not thread-safe.
class Machine {
 public:
  /// Reads devices, interfaces and the state of modules; what was made earlier and what is declared
  /// is given.
  /// Errors: RDMA netlink or sysfs cannot be read. Without devices and modules of RDMA netlink is
  /// not asked: the kernel would load ib_core for the question.
  [[nodiscard]] core::Result<Facts> facts(device::DeclaredLinks declared,
                                          std::vector<MadeLink> made);

  /// Differs (but for an accident) when an interface came, went or got another name.
  [[nodiscard]] static std::size_t interfaces_fingerprint();

  /// Loads the module of the step's type where it is not live, makes the link, and returns what is
  /// to be written down about it. Errors: of the module, or of the kernel with its reason in words.
  [[nodiscard]] core::Result<MadeLink> create(const Step& step);

  /// Removes the link's device. One that is gone already is no error.
  [[nodiscard]] core::Result<void> remove(const Step& step);

 private:
  core::Result<os::RdmaNetlink*> netlink();
  core::Result<std::vector<ExistingDevice>> devices();

  core::MonotonicClock clock_;
  std::optional<os::RdmaNetlink> netlink_;
};

}  // namespace rdmaboot::link
