// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/run.hpp"

int main(int argc, char** argv) {
  return rdmaboot::load_modules::run_program({argv, static_cast<std::size_t>(argc)});
}
