// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/answer.hpp"

#include <cstdint>

#include "core/text.hpp"

namespace rdmaboot::rdmactl {

const nlohmann::json& member(const nlohmann::json& object, const char* name) {
  static const nlohmann::json kNull;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? kNull : *found;
}

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) {
    return core::printable(value.get_ref<const std::string&>());
  }
  return value.is_number_unsigned() ? std::to_string(value.get<std::uint64_t>()) : std::string();
}

}  // namespace rdmaboot::rdmactl
