// SPDX-License-Identifier: BSD-2-Clause
//
// Formats: first line the format, second the host name, the rest the device. Whatever the bytes, a
// description is at most 64 bytes of printable text, and an error names a position or a length.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/text.hpp"
#include "device/description_format.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto line = [&rest] {
    const std::string_view taken = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(taken.size() < rest.size() ? taken.size() + 1 : rest.size());
    return taken;
  };
  const std::string_view text = line();
  const std::string_view hostname = line();
  const auto format = device::DescriptionFormat::parse(text);
  if (!format) {
    const std::string& detail = format.error().detail;
    if (detail.find("position") == std::string::npos && detail.find("bytes") == std::string::npos) {
      std::abort();
    }
    return 0;
  }
  const std::string description = format->expand({hostname, rest, std::nullopt});
  if (description.size() > device::kDescriptionLimit ||
      core::printable(description, device::kDescriptionLimit) != description) {
    std::abort();
  }
  return 0;
}
