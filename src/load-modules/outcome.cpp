// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/outcome.hpp"

namespace rdmaboot::load_modules {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kLoaded:
      return "loaded";
    case Outcome::kAlreadyLive:
      return "already-live";
    case Outcome::kBuiltin:
      return "builtin";
    case Outcome::kDenied:
      return "denied";
    case Outcome::kMissing:
      return "missing";
    case Outcome::kDependencyFailed:
      return "dependency-failed";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kTimedOut:
      break;
  }
  return "timed-out";
}

}  // namespace rdmaboot::load_modules
