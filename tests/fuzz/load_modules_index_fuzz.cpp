// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-kmod
//
// The check of a module index before libkmod follows its offsets.
#include <cstdint>
#include <cstring>
#include <string_view>

#include "os/kmod.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint32_t root = 0;
  if (size < sizeof root) {
    return 0;
  }
  std::memcpy(&root, data, sizeof root);
  const std::string_view rest(reinterpret_cast<const char*>(data) + sizeof root,
                              size - sizeof root);
  static_cast<void>(rdmaboot::os::index_root_is_whole(root, rest));
  return 0;
}
