// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-policy
//
// The list format: whatever the bytes, names are usable and messages printable.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "load-modules/list_parser.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::load_modules;
  const ModuleList list =
      parse_list(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.conf");
  if (list.requests.size() > kMostNames || list.errors.size() > kMostErrors + 1) {
    std::abort();
  }
  for (const Request& request : list.requests) {
    const bool usable = !request.name.empty() && request.name.size() <= kLongestName &&
                        request.name.find_first_of("/ \n") == std::string::npos;
    if (!usable || normalise_name(request.name).value() != request.name) {
      std::abort();
    }
  }
  for (const auto& error : list.errors) {
    for (const char c : error.message()) {
      if (static_cast<unsigned char>(c) < ' ') {
        std::abort();
      }
    }
  }
  return 0;
}
