// SPDX-License-Identifier: BSD-2-Clause
// Puts a line of text into a peer's memory over RDMA, or shows the lines that peers put into its
// own.
//   engine 10.0.0.1@o2ib                       waits for lines
//   engine 10.0.0.2@o2ib 10.0.0.1@o2ib TEXT    puts one
#include <array>
#include <cstring>
#include <iostream>

#include <poll.h>
#include "rdmaboot/engine/engine.hpp"

using namespace rdmaboot::engine;

template <typename T>
T need(rdmaboot::core::Result<T> result) {
  if (!result) {
    std::cerr << result.error().message() << '\n';
    std::exit(EXIT_FAILURE);
  }
  return std::move(*result);
}

int main(int argc, char** argv) {
  std::array<char, 4096> line{};
  iovec buffer{line.data(), line.size()};
  Settings settings;
  settings.nid = need(parse_nid(argc > 1 ? argv[1] : ""));
  auto engine = need(start_on_verbs(settings));
  bool done = false;
  if (argc > 3) {
    buffer = {argv[3], std::strlen(argv[3])};
    const auto ended = [](void* flag, const TransferResult& result) {
      std::cout << to_string(result.status) << ", " << result.bytes << " bytes\n";
      *static_cast<bool*>(flag) = true;
    };
    done = !engine->put(need(parse_nid(argv[2])), {&buffer, 1}, {.portal = 1}, {ended, &done});
  } else {
    ExposeOptions options;
    options.portal = 1;
    options.context = line.data();
    options.function = [](void* text, const ExposureEvent& event) {
      std::cout.write(static_cast<char*>(text), static_cast<long>(event.bytes)) << std::endl;
    };
    need(engine->expose({&buffer, 1}, options));
  }
  while (!done) {
    engine->process();
    pollfd input{engine->fd(), POLLIN, 0};
    ::poll(&input, 1, done ? 0 : engine->poll_timeout());
  }
}
