// SPDX-License-Identifier: BSD-2-Clause
// rdma_id: IMPORT{program} helper of 75-rdma-description.rules. Not a program::run_main program:
// udev starts it for every event of an RDMA device and waits, so it carries no logger; udevd
// records what it says on standard error.

#include <cstdio>
#include <cstdlib>

#include "core/text.hpp"
#include "udev/rdma_id.hpp"

int main(int argc, char** argv) {
  const auto lines = rdmaboot::udev::parse_id_arguments({argv, static_cast<std::size_t>(argc)},
                                                        std::getenv("DEVPATH"))
                         .and_then(rdmaboot::udev::identify);
  if (!lines) {
    constexpr std::size_t kLongestMessage = 1024;
    const std::string message = rdmaboot::core::printable(lines.error().message(), kLongestMessage);
    static_cast<void>(std::fprintf(stderr, "rdma_id: %s\n", message.c_str()));
    return EXIT_FAILURE;
  }
  const bool written = std::fwrite(lines->data(), 1, lines->size(), stdout) == lines->size() &&
                       std::fflush(stdout) == 0;
  return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
