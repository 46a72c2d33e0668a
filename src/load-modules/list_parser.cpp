// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/list_parser.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace rdmaboot::load_modules {
namespace {

constexpr std::size_t kShownName = 64;

core::Result<std::string> refuse(std::string_view name, std::string_view why) {
  return core::fail("use module name", "\"" + core::printable(name, kShownName) + "\"", 0, why);
}

}  // namespace

core::Result<std::string> normalise_name(std::string_view name) {
  if (name.empty()) {
    return refuse(name, "expected a name");
  }
  if (name.size() > kLongestName) {
    return refuse(name, "expected at most " + std::to_string(kLongestName) + " bytes");
  }
  if (name == "." || name.find("..") != std::string_view::npos) {
    return refuse(name, "expected a name without \"..\"");
  }
  std::string out;
  out.reserve(name.size());
  bool in_brackets = false;
  for (const char c : name) {
    if (c == '/') {
      return refuse(name, "expected a module name, not a path");
    }
    if (c <= ' ' || c > '~') {
      return refuse(name, "expected printable ASCII without spaces");
    }
    in_brackets = c == '[' || (in_brackets && c != ']');
    out += c == '-' && !in_brackets ? '_' : c;
  }
  return out;
}

ModuleList parse_list(std::string_view text, std::string_view file) {
  ModuleList list;
  std::size_t wrong = 0;
  const auto report = [&](core::Error error) {
    if (++wrong <= kMostErrors) {
      list.errors.push_back(std::move(error));
    }
  };
  std::size_t line_number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = core::trim(text.substr(at, end - at));
    at = end + 1;
    ++line_number;
    if (line.empty() || line.front() == '#' || line.front() == ';') {
      continue;
    }
    const std::string origin = std::string(file) + ":" + std::to_string(line_number);
    if (list.requests.size() >= kMostNames) {
      report(core::fail("read", origin, 0,
                        "expected at most " + std::to_string(kMostNames) + " names in one file")
                 .value());
      break;
    }
    if (auto name = normalise_name(line)) {
      list.requests.push_back({std::move(*name), origin});
    } else {
      name.error().attempt = origin + ": " + name.error().attempt;
      report(std::move(name.error()));
    }
  }
  if (wrong > kMostErrors) {
    list.errors.push_back(
        core::fail("read", file, 0, std::to_string(wrong - kMostErrors) + " more wrong lines")
            .value());
  }
  return list;
}

}  // namespace rdmaboot::load_modules
