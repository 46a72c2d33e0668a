// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/voice.hpp"

#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

#include <dlfcn.h>
#include <unistd.h>

#include "core/text.hpp"

namespace rdmaboot::load_modules {
namespace {

/// The shared object beside the running program, wherever that is installed or built.
std::string late_half_path() {
  constexpr std::size_t kLongestPath = 4096;
  std::string path(kLongestPath, '\0');
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  path.resize(path.rfind('/') + 1);  // npos + 1 is 0: then the linker's own search path is used
  return path + "rdma-load-modules-late.so";
}

void plainly(const Entry& entry) {
  if (entry.level != program::Level::kDebug) {
    const std::string line = "rdma-load-modules: " + core::printable(entry.message, 2048) + "\n";
    static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
  }
}

}  // namespace

bool Voice::prepare() {
  if (std::exchange(tried_, true)) {
    return false;
  }
  const std::string path = late_half_path();
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = ::dlerror();
    plainly({program::Level::kWarning,
             "log and wait for devices without " + path + ": " + (why != nullptr ? why : "?"),
             {},
             {},
             0});
    return true;
  }
  using Entrance = const RdmabootLateHalf* (*)();
  const auto entrance = reinterpret_cast<Entrance>(::dlsym(library, "rdmaboot_late_half"));
  late_ = entrance != nullptr ? entrance() : nullptr;
  return true;
}

const RdmabootLateHalf* Voice::late_half() {
  prepare();
  return late_;
}

void Voice::say(const Entry& entry) {
  const RdmabootLateHalf* const late = late_half();
  if (late == nullptr) {
    plainly(entry);
    return;
  }
  const RdmabootLateEntry raw = {static_cast<int>(entry.level),
                                 entry.message.c_str(),
                                 entry.module.empty() ? nullptr : entry.module.c_str(),
                                 entry.result.c_str(),
                                 entry.usec,
                                 list_.c_str()};
  late->log(&raw);
}

void Voice::say(program::Level level, std::string message) {
  say({level, std::move(message), {}, {}, 0});
}

void Voice::look() {
  if (!looked_ && late_ != nullptr) {
    looked_ = late_->look();
  }
}

void Voice::synchronise(core::Microseconds wait) {
  if (const RdmabootLateHalf* const late = late_half(); late != nullptr) {
    late->synchronise(wait.count());
  }
}

}  // namespace rdmaboot::load_modules
