// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/driver.hpp"

namespace rdmaboot::coldplug {

Driver driver_state(os::ModuleIndex& index,
                    const std::set<std::string, std::less<>>& kernel_blacklist,
                    const std::string& name_or_alias) {
  switch (os::availability(index, kernel_blacklist, name_or_alias)) {
    case os::Availability::kLive:
      return Driver::kDone;
    case os::Availability::kLoadable:
      return Driver::kOnTheWay;
    case os::Availability::kDenied:
    case os::Availability::kMissing:
      break;
  }
  return Driver::kNeverComes;
}

}  // namespace rdmaboot::coldplug
