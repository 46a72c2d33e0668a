// SPDX-License-Identifier: BSD-2-Clause
#include "program/run_main.hpp"
#include "wait-online/options.hpp"
#include "wait-online/wait.hpp"

int main(int argc, char** argv) {
  using namespace rdmaboot;
  return program::run_main([&]() -> core::Result<int> {
    const auto options = wait_online::parse_options(argc, argv);
    if (!options) {
      return tl::make_unexpected(options.error());
    }
    return wait_online::wait_until_ready(*options);
  });
}
