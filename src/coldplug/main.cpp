// SPDX-License-Identifier: BSD-2-Clause
#include "coldplug/options.hpp"
#include "coldplug/wait.hpp"
#include "program/run_main.hpp"

int main(int argc, char** argv) {
  using namespace rdmaboot;
  return program::run_main([&]() -> core::Result<int> {
    const auto options = coldplug::parse_options(argc, argv);
    if (!options) {
      return tl::make_unexpected(options.error());
    }
    return coldplug::wait_for_devices(*options);
  });
}
