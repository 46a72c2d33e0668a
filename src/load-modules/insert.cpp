// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/insert.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/module.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.hpp"
#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "os/kmod.hpp"

#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4  // linux 5.17
#endif

namespace rdmaboot::load_modules {
namespace {

using Status = Answer::Status;

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kCompressions = {
    {{".xz", "xz"}, {".gz", "gzip"}, {".zst", "zstd"}}};

Answer answer(Status status, int error_number = 0) {
  return {status, error_number, 0, 0};
}

/// finit_module(2) answered EEXIST: who has the module?
Answer explain_existing(const std::string& name) {
  return answer(os::module_state("/sys", name) == os::ModuleState::kLive ? Status::kAlreadyLive
                                                                         : Status::kComing);
}

int insert_file(const Module& module, std::string_view compression) {
  if (is_compressed(module.path) && !kernel_decompresses(compression, module.path)) {
    return os::insert_with_libkmod(module.path, module.options);
  }
  const core::UniqueFd file(::open(module.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return errno;
  }
  const int flags = is_compressed(module.path) ? MODULE_INIT_COMPRESSED_FILE : 0;
  if (::syscall(SYS_finit_module, file.get(), module.options.c_str(), flags) == 0) {
    return 0;
  }
  const int error = errno;
  return flags != 0 && error == EOPNOTSUPP ? os::insert_with_libkmod(module.path, module.options)
                                           : error;
}

Answer run_install_command(const Module& module) {
  std::string shell = "/bin/sh";
  std::string option = "-c";
  std::string command = command_with_options(module.install_command, module.options);
  std::array<char*, 4> arguments = {shell.data(), option.data(), command.data(), nullptr};
  // The worker does nothing else meanwhile, so its own environment may be changed.
  if (::setenv("MODPROBE_MODULE", module.name.c_str(), 1) != 0) {
    return answer(Status::kFailed, errno);
  }
  pid_t child = 0;
  if (const int error =
          ::posix_spawn(&child, shell.c_str(), nullptr, nullptr, arguments.data(), environ);
      error != 0) {
    return answer(Status::kFailed, error);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return answer(Status::kFailed, errno);
    }
  }
  if (os::module_state("/sys", module.name) == os::ModuleState::kLive) {
    return answer(Status::kLoaded);
  }
  Answer result = answer(status == 0 ? Status::kNotLoaded : Status::kFailed);
  result.exit_status = status;
  return result;
}

Answer attempt(const Module& module, std::string_view compression) {
  switch (os::module_state("/sys", module.name)) {
    case os::ModuleState::kLive:
      return answer(Status::kAlreadyLive);
    case os::ModuleState::kComing:
    case os::ModuleState::kUnnamed:
    case os::ModuleState::kGoing:
      return answer(Status::kComing);
    case os::ModuleState::kAbsent:
    case os::ModuleState::kBuiltin:
      break;
  }
  if (!module.install_command.empty()) {
    return run_install_command(module);
  }
  switch (const int error = insert_file(module, compression)) {
    case 0:
      return answer(Status::kLoaded);
    case EEXIST:
      return explain_existing(module.name);
    default:
      return answer(Status::kFailed, error);
  }
}

}  // namespace

std::string kernel_compression() {
  constexpr std::size_t kLimit = 64;
  const auto text = core::read_file("/sys/module/compression", kLimit);
  return text ? std::string(core::trim(*text)) : std::string();
}

bool is_compressed(std::string_view path) {
  for (const auto& [suffix, name] : kCompressions) {
    if (path.ends_with(suffix)) {
      return true;
    }
  }
  return false;
}

bool kernel_decompresses(std::string_view compression, std::string_view path) {
  for (const auto& [suffix, name] : kCompressions) {
    if (path.ends_with(suffix)) {
      return name == compression;
    }
  }
  return false;
}

std::string command_with_options(std::string_view install_command, std::string_view options) {
  constexpr std::string_view kPlaceholder = "$CMDLINE_OPTS";
  std::string command;
  while (true) {
    const std::size_t at = install_command.find(kPlaceholder);
    command += install_command.substr(0, at);
    if (at == std::string_view::npos) {
      return command;
    }
    command += options;
    install_command.remove_prefix(at + kPlaceholder.size());
  }
}

Answer insert(const Module& module, std::string_view compression) {
  const core::MonotonicClock clock;
  const core::Microseconds start = clock.now();
  Answer result = attempt(module, compression);
  result.microseconds = (clock.now() - start).count();
  return result;
}

}  // namespace rdmaboot::load_modules
