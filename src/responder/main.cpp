// SPDX-License-Identifier: BSD-2-Clause
#include "program/run_main.hpp"
#include "responder/daemon.hpp"
#include "responder/options.hpp"

int main(int argc, char** argv) {
  using namespace rdmaboot;
  return program::run_main([&]() -> core::Result<int> {
    return responder::parse_options(argc, argv).and_then(responder::serve);
  });
}
