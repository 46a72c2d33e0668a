// SPDX-License-Identifier: BSD-2-Clause
#include "os/module_index.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <unistd.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::os {

ModuleState module_state(std::string_view sys, const std::string& name) {
  const std::string directory = std::string(sys) + "/module/" + name;
  const core::UniqueFd file(::open((directory + "/initstate").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return ::access(directory.c_str(), F_OK) == 0 ? ModuleState::kUnnamed : ModuleState::kAbsent;
  }
  std::array<char, 16> text{};
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got <= 0) {
    // The attribute of a module that went away while it was read.
    return ModuleState::kGoing;
  }
  const std::string_view state =
      core::trim(std::string_view(text.data(), static_cast<std::size_t>(got)));
  if (state == "live") {
    return ModuleState::kLive;
  }
  return state == "coming" ? ModuleState::kComing : ModuleState::kGoing;
}

bool is_denial(std::string_view install_command) {
  constexpr std::array<std::string_view, 7> kDoNothing = {
      "/bin/true", "/bin/false", "/usr/bin/true", "/usr/bin/false", "true", "false", ":"};
  const auto words = core::split(install_command, " \t");
  const bool compound = install_command.find_first_of(";&|`$\n") != std::string_view::npos;
  return !compound && !words.empty() &&
         std::find(kDoNothing.begin(), kDoNothing.end(), words.front()) != kDoNothing.end();
}

Availability availability(ModuleIndex& index,
                          const std::set<std::string, std::less<>>& kernel_blacklist,
                          const std::string& name_or_alias) {
  const auto names = index.resolve(name_or_alias);
  Availability best = Availability::kMissing;
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    const auto facts = index.describe(name);
    if (!facts) {
      continue;
    }
    if (facts->state == ModuleState::kLive || facts->state == ModuleState::kBuiltin) {
      return Availability::kLive;
    }
    const bool denied = facts->deny_listed || is_denial(facts->install_command) ||
                        kernel_blacklist.contains(facts->name);
    best = std::min(best, denied ? Availability::kDenied : Availability::kLoadable);
  }
  return best;
}

}  // namespace rdmaboot::os
