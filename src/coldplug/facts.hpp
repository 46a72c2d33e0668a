// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reads from sysfs and /etc/rdma/links.d what the policy needs to know.

#include <functional>
#include <string>
#include <vector>

#include "coldplug/policy.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::coldplug {

/// Questions that sysfs cannot answer; tests give their own answers.
struct Outside {
  /// How far the module of this name or alias is: not in this kernel or denied (kNeverComes), live
  /// or built in (kDone), otherwise kOnTheWay.
  std::function<Driver(const std::string& name_or_alias)> module_state;
  /// Which of these units are active, in the same order. Called once a reading.
  std::function<std::vector<bool>(const std::vector<std::string>& units)> active_units;
};

/// What was read, and what could not be (never a reason to stop: a boot must go on).
struct Reading {
  Facts facts;
  std::vector<core::Error> errors;
};

/// Reads everything below `root` ("" is this machine). Directories that are not there mean that
/// there is nothing of the kind. Bounded by kMaxEntries a directory.
[[nodiscard]] Reading read_facts(const std::string& root, const Outside& outside);

/// More entries than this in one sysfs directory are not looked at.
inline constexpr std::size_t kMaxEntries = 4096;

}  // namespace rdmaboot::coldplug
