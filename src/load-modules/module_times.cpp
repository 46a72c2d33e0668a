// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/module_times.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "load-modules/list_parser.hpp"

namespace rdmaboot::load_modules {

ModuleTimes parse_module_times(std::string_view text) {
  ModuleTimes times;
  for (std::size_t at = 0; at < text.size() && times.size() < kMostTimes;) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const auto words = core::split(text.substr(at, end - at), " ");
    at = end + 1;
    if (words.size() != 2) {
      continue;
    }
    const auto name = normalise_name(words[0]);
    const auto time = core::parse_number<std::uint64_t>(words[1]);
    if (name && *name == words[0] && time && *time <= kLongestTime) {
      times.insert_or_assign(*name, *time);
    }
  }
  return times;
}

std::string format_module_times(const ModuleTimes& times) {
  std::string text;
  std::size_t written = 0;
  for (const auto& [name, time] : times) {
    if (++written > kMostTimes) {
      break;
    }
    text += name + " " + std::to_string(std::min(time, kLongestTime)) + "\n";
  }
  return text;
}

}  // namespace rdmaboot::load_modules
