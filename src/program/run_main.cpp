// SPDX-License-Identifier: BSD-2-Clause
#include "program/run_main.hpp"

#include <cstdlib>
#include <exception>

#include "program/log.hpp"

namespace rdmaboot::program {

int run_main(const std::function<core::Result<int>()>& body) {
  try {
    const core::Result<int> status = body();
    if (status) {
      return *status;
    }
    log(Level::kError, status.error().message());
  } catch (const std::exception& failure) {
    log(Level::kError, failure.what());
  }
  return EXIT_FAILURE;
}

}  // namespace rdmaboot::program
