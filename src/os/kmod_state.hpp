// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// One question to libkmod: will udev be able to load the module of this name or alias?

#include <string>

#include <libkmod.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {

enum class KmodState {
  kLive,       ///< loaded and through its init function, or built in
  kAvailable,  ///< in this kernel's module tree, not loaded (or its init function still runs)
  kMissing,    ///< not in this kernel's module tree
  kDenied,     ///< blacklisted in modprobe.d or by the kernel command line
};

/// Asks the running kernel's module tree and modprobe.d. Reads the configuration when first asked,
/// so that a program that never asks pays nothing. Not thread-safe.
class KmodStates {
 public:
  [[nodiscard]] KmodState state(const std::string& name_or_alias);

 private:
  core::UniqueHandle<kmod_ctx, kmod_unref> context_;
};

}  // namespace rdmaboot::os
