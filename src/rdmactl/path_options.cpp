// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/path_options.hpp"

namespace rdmaboot::rdmactl {

void add_client_options(CLI::App& verb, ClientOptions& options) {
  verb.add_option("--from", options.from,
                  "Ask from this address of this host, not from that of the route")
      ->type_name("ADDRESS");
  verb.add_option("--on", options.on, "Ask from an address of this device or port of this host")
      ->type_name("PORT");
  verb.add_option("--port", options.port, "Where the peer listens; 987")
      ->check(CLI::Range(1, 65535))
      ->type_name("NUMBER");
}

core::Result<core::Microseconds> seconds(double value, std::string_view option) {
  constexpr double kLongest = 86400;
  constexpr double kMicro = 1e6;
  if (!(value > 0) || value > kLongest) {
    return core::fail("read option", option, 0, "expected seconds, more than 0 and at most a day");
  }
  return core::Microseconds(static_cast<std::int64_t>(value * kMicro));
}

}  // namespace rdmaboot::rdmactl
