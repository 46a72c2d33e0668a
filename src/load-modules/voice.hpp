// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "core/clock.hpp"
#include "load-modules/late.hpp"
#include "load-modules/report.hpp"

namespace rdmaboot::load_modules {

/// Speaks through the late half, which is mapped the first time it is needed; where it is missing
/// (a small initramfs), plainly on standard error.
class Voice {
 public:
  /// @param list value of RDMA_LIST= in every entry
  void set_list(std::string list) { list_ = std::move(list); }
  void say(const Entry& entry);
  void say(program::Level level, std::string message);

  /// Maps the late half now, because there is time. Returns false if that was done before.
  bool prepare();
  /// Looks for promised devices ahead of synchronise(), unless the late half has seen enough.
  void look();
  /// Waits for promised devices as the late half's synchronise() does.
  void synchronise(core::Microseconds wait);

 private:
  const RdmabootLateHalf* late_half();

  std::string list_;
  bool tried_ = false;
  bool looked_ = false;
  const RdmabootLateHalf* late_ = nullptr;
};

}  // namespace rdmaboot::load_modules
