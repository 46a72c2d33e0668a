// SPDX-License-Identifier: BSD-2-Clause
// link: link-policy
//
// Declarations of links and the notes about them: whatever the bytes, a link has a usable name and
// something to match, messages are printable and bounded.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/text.hpp"
#include "device/declared_link.hpp"
#include "link/state.hpp"
#include "os/rdma_netlink.hpp"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const device::LinkFile file = device::parse_link_file(text, "fuzz.conf");
  require(file.errors.size() <= device::kMostLinkErrors + 1);
  for (const auto& error : file.errors) {
    require(error.message() == core::printable(error.message(), 4096));
  }
  if (file.link) {
    const auto& match = file.link->match;
    require(!file.link->name.empty() && file.link->name.size() <= os::kDeviceNameLimit);
    require(file.link->name.find_first_of("/% \n") == std::string::npos);
    require(file.link->name.front() != '.');
    require(!match.names.empty() || !match.addresses.empty() || !match.paths.empty());
    static_cast<void>(device::matches(match, {"eth0", 2, "52:54:00:00:00:01", "pci-0000:03:00.0"}));
  }
  if (const auto made = link::decode(text, "rxe0")) {
    const auto again = link::decode(link::encode(*made), made->name);
    require(again && again->device_index == made->device_index && again->type == made->type);
  }
  return 0;
}
