// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What is known about the modules of one kernel, as plain data behind a seam: libkmod answers it on
// a real machine (os/kmod.hpp), tests answer it from a table.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Where a module stands, by /sys/module/NAME/initstate of the kernel.
enum class ModuleState {
  kAbsent,   ///< not in the kernel
  kUnnamed,  ///< a directory without the attribute initstate: builtin, or a moment before kComing
  kComing,   ///< its init function has not returned yet
  kLive,     ///< usable
  kGoing,    ///< being removed
  kBuiltin,  ///< part of the kernel image (module_state cannot tell)
};

/// Everything a loader must know about one module.
struct ModuleFacts {
  std::string name;               ///< with underscores, as the kernel spells it
  std::string path;               ///< of the file; empty for a builtin module
  std::string options;            ///< from modprobe.d and the kernel command line, as one string
  std::string install_command;    ///< of modprobe.d; empty: the file is inserted
  std::vector<std::string> hard;  ///< must be live first (all levels of modules.dep)
  std::vector<std::string> soft_before;  ///< softdep "pre": to be loaded first, may fail
  std::vector<std::string> soft_after;   ///< softdep "post": to be loaded afterwards
  std::vector<std::string> weak;         ///< weakdep: orders, but asks for nothing
  bool deny_listed = false;              ///< `blacklist` of modprobe.d or modprobe.blacklist=
  ModuleState state = ModuleState::kAbsent;
  std::uint64_t file_size = 0;  ///< bytes; 0 when it is not needed (live, builtin)
};

/// One kernel's module index. Not thread-safe.
class ModuleIndex {
 public:
  virtual ~ModuleIndex() = default;
  /// The module names that a name or alias stands for; empty when this kernel has none.
  /// Errors: ENOMEM, or what the index said.
  [[nodiscard]] virtual core::Result<std::vector<std::string>> resolve(const std::string& name) = 0;
  /// The facts about the module called exactly `name`.
  /// Errors: ENOENT when this kernel has no such module (or its file is gone), ENOMEM, EIO.
  [[nodiscard]] virtual core::Result<ModuleFacts> describe(const std::string& name) = 0;
};

/// Reads where a module stands.
/// @param sys where sysfs is mounted, "/sys" on a real machine; a missing sysfs means kAbsent
[[nodiscard]] ModuleState module_state(std::string_view sys, const std::string& name);

/// Whether an install command of modprobe.d is only there to keep the module out: /bin/true,
/// /bin/false and their like, with or without arguments.
[[nodiscard]] bool is_denial(std::string_view install_command);

/// Whether a module can be had.
enum class Availability {
  kLive,      ///< in the kernel, as a module that is usable or as part of the image
  kLoadable,  ///< this kernel has it and nobody forbids it
  kDenied,    ///< by `blacklist` or an `install` command that does nothing, in modprobe.d, or by
              ///< the kernel command line
  kMissing,   ///< not in this kernel, or the index has an error for it
};

/// How the module that `name_or_alias` stands for can be had; of several, the one nearest to live
/// counts.
/// @param kernel_blacklist of module_blacklist=
[[nodiscard]] Availability availability(ModuleIndex& index,
                                        const std::set<std::string, std::less<>>& kernel_blacklist,
                                        const std::string& name_or_alias);

}  // namespace rdmaboot::os
