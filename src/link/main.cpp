// SPDX-License-Identifier: BSD-2-Clause
#include "link/options.hpp"
#include "link/run.hpp"
#include "program/run_main.hpp"

int main(int argc, char** argv) {
  using namespace rdmaboot;
  return program::run_main([&]() -> core::Result<int> {
    const auto options = link::parse_options(argc, argv);
    if (!options) {
      return tl::make_unexpected(options.error());
    }
    return link::run(*options);
  });
}
