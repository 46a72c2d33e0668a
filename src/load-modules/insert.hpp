// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Putting one module into the kernel. Everything here may block for as long as the module's init
// function likes: only workers call it.

#include <cstdint>
#include <string>
#include <string_view>

#include "load-modules/graph.hpp"

namespace rdmaboot::load_modules {

/// What came of one attempt. Trivially copyable: it crosses a socket.
struct Answer {
  enum class Status : std::uint8_t {
    kLoaded,       ///< this attempt made it live
    kAlreadyLive,  ///< it was live, or another loader won the race
    kComing,       ///< another loader has it in work (or it is being removed)
    kNotLoaded,    ///< the install command ended well, but the module is not live
    kFailed,       ///< error_number says why, or exit_status of the install command
  };
  Status status = Status::kFailed;
  int error_number = 0;
  int exit_status = 0;            ///< as waitpid(2) gives it, 0 if no command failed
  std::int64_t microseconds = 0;  ///< for the whole attempt
};

/// The compression that the running kernel undoes itself, from /sys/module/compression (5.18 and
/// later with CONFIG_MODULE_DECOMPRESS): "xz", "gzip", "zstd" or "".
[[nodiscard]] std::string kernel_compression();

/// Whether a kernel that undoes `compression` can be given the file `path` as it is.
[[nodiscard]] bool kernel_decompresses(std::string_view compression, std::string_view path);

/// Whether the file is compressed at all, by its name.
[[nodiscard]] bool is_compressed(std::string_view path);

/// The shell command with $CMDLINE_OPTS replaced by the module's options, as libkmod does it.
[[nodiscard]] std::string command_with_options(std::string_view install_command,
                                               std::string_view options);

/// Loads the module: its install command if it has one, finit_module(2) on its file otherwise.
/// The file is read once; compressed files go to the kernel as they are where it can, else through
/// libkmod. A module that is live or coming already is not read at all.
[[nodiscard]] Answer insert(const Module& module, std::string_view compression);

}  // namespace rdmaboot::load_modules
