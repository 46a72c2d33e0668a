// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/run.hpp"
#include "program/run_main.hpp"

int main(int argc, char** argv) {
  using namespace rdmaboot;
  return program::run_main(
      [&]() -> core::Result<int> { return ndd::parse_options(argc, argv).and_then(ndd::run); });
}
