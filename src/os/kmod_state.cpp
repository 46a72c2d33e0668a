// SPDX-License-Identifier: BSD-2-Clause
#include "os/kmod_state.hpp"

#include <algorithm>
#include <string_view>

#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::os {
namespace {

using List = core::UniqueHandle<kmod_list, kmod_module_unref_list>;
using Module = core::UniqueHandle<kmod_module, kmod_module_unref>;

/// The kernel refuses these with EPERM (kernel/module/main.c, "module_blacklist=").
bool denied_by_kernel(std::string_view name) {
  const auto command_line = core::read_file("/proc/cmdline");
  if (!command_line) {
    return false;
  }
  for (const std::string_view word : core::split(*command_line, " \n")) {
    constexpr std::string_view kKey = "module_blacklist=";
    if (word.starts_with(kKey)) {
      const auto names = core::split(word.substr(kKey.size()), ",");
      return std::find(names.begin(), names.end(), name) != names.end();
    }
  }
  return false;
}

}  // namespace

KmodState KmodStates::state(const std::string& name_or_alias) {
  if (!context_) {
    context_.reset(kmod_new(nullptr, nullptr));
    if (!context_) {
      return KmodState::kMissing;
    }
  }
  kmod_list* raw = nullptr;
  kmod_module_new_from_lookup(context_.get(), name_or_alias.c_str(), &raw);
  const List found(raw);
  if (!found) {
    return KmodState::kMissing;
  }
  kmod_list* allowed_raw = nullptr;
  kmod_module_apply_filter(context_.get(), KMOD_FILTER_BLACKLIST, found.get(), &allowed_raw);
  const List allowed(allowed_raw);
  if (!allowed) {
    return KmodState::kDenied;
  }
  bool available = false;
  kmod_list* at = nullptr;
  kmod_list_foreach(at, allowed.get()) {
    const Module module(kmod_module_get_module(at));
    const int state = kmod_module_get_initstate(module.get());
    if (state == KMOD_MODULE_LIVE || state == KMOD_MODULE_BUILTIN) {
      return KmodState::kLive;
    }
    available = available || !denied_by_kernel(kmod_module_get_name(module.get()));
  }
  return available ? KmodState::kAvailable : KmodState::kDenied;
}

}  // namespace rdmaboot::os
