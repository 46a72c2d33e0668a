// SPDX-License-Identifier: BSD-2-Clause
#include "program/run_main.hpp"
#include "rdmactl/command_line.hpp"

int main(int argc, char** argv) {
  return rdmaboot::program::run_main([&] { return rdmaboot::rdmactl::run(argc, argv); });
}
