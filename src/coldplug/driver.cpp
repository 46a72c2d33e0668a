// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/driver.hpp"

namespace rdmaboot::coldplug {

Driver driver_state(os::ModuleIndex& index,
                    const std::set<std::string, std::less<>>& kernel_blacklist,
                    const std::string& name_or_alias) {
  const auto names = index.resolve(name_or_alias);
  Driver state = Driver::kNeverComes;
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    const auto facts = index.describe(name);
    if (!facts) {
      continue;
    }
    if (facts->state == os::ModuleState::kLive || facts->state == os::ModuleState::kBuiltin) {
      return Driver::kDone;
    }
    if (!facts->deny_listed && !os::is_denial(facts->install_command) &&
        !kernel_blacklist.contains(facts->name)) {
      state = Driver::kOnTheWay;
    }
  }
  return state;
}

}  // namespace rdmaboot::coldplug
