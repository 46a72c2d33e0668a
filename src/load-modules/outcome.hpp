// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.hpp"

namespace rdmaboot::load_modules {

/// How it ended for one module. Every module of a plan ends in exactly one of these.
enum class Outcome : std::uint8_t {
  kLoaded,            ///< by this run (kernels from 6.5 on give a second loader of the same file
                      ///< the first one's success: then both say so)
  kAlreadyLive,       ///< somebody else did
  kBuiltin,           ///< part of the kernel image
  kDenied,            ///< by modprobe.d or module_blacklist=
  kMissing,           ///< this kernel has no such module
  kDependencyFailed,  ///< a module it cannot do without is not live
  kFailed,            ///< the kernel or an install command refused it
  kTimedOut,          ///< not done at the deadline
};

/// The outcome's name as it is written in journals and JSON: "already-live".
[[nodiscard]] std::string_view name_of(Outcome outcome);

/// Whether a module that needs this one can be loaded.
[[nodiscard]] constexpr bool is_usable(Outcome outcome) {
  return outcome == Outcome::kLoaded || outcome == Outcome::kAlreadyLive ||
         outcome == Outcome::kBuiltin;
}

/// Whether the run as a whole failed because of it.
[[nodiscard]] constexpr bool is_failure(Outcome outcome) {
  return outcome == Outcome::kFailed || outcome == Outcome::kTimedOut;
}

/// An outcome with its circumstances.
struct Ending {
  Outcome outcome = Outcome::kTimedOut;
  int error_number = 0;        ///< of a failure, 0 if there was no system call
  core::Microseconds took{0};  ///< what the kernel needed for it; 0 when it was not tried
  std::string detail;          ///< for people: what denied it, which dependency failed
};

}  // namespace rdmaboot::load_modules
