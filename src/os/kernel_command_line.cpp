// SPDX-License-Identifier: BSD-2-Clause
#include "os/kernel_command_line.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace rdmaboot::os {
namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";

constexpr std::size_t kShownArgument = 80;

struct Argument {
  std::string name;  ///< with '_' for '-'
  std::string_view value;
  bool has_value = false;
  bool is_end_mark = false;  ///< "--": the rest belongs to init
};

/// Takes the next argument off the front of `rest`.
Argument next_argument(std::string_view& rest) {
  const bool quoted = rest.front() == '"';
  bool in_quotes = quoted;
  if (quoted) {
    rest.remove_prefix(1);
  }
  std::size_t equals = std::string_view::npos;
  std::size_t end = 0;
  for (; end < rest.size(); ++end) {
    if (!in_quotes && kSpace.find(rest[end]) != std::string_view::npos) {
      break;
    }
    if (equals == std::string_view::npos && rest[end] == '=') {
      equals = end;
    }
    if (rest[end] == '"') {
      in_quotes = !in_quotes;
    }
  }
  std::string_view whole = rest.substr(0, end);
  rest.remove_prefix(end);
  const auto drop_last_quote = [](std::string_view& text) {
    if (text.ends_with('"')) {
      text.remove_suffix(1);
    }
  };
  if (quoted) {
    drop_last_quote(whole);
  }
  Argument argument;
  if (equals != std::string_view::npos && equals < whole.size()) {
    argument.has_value = true;
    argument.value = whole.substr(equals + 1);
    whole = whole.substr(0, equals);
    if (argument.value.starts_with('"')) {
      argument.value.remove_prefix(1);
      drop_last_quote(argument.value);
    }
  }
  argument.name = whole;
  argument.is_end_mark = whole == "--" && !argument.has_value;
  std::replace(argument.name.begin(), argument.name.end(), '-', '_');
  return argument;
}

/// As the kernel's kstrtobool understands it.
std::optional<bool> truth(std::string_view value) {
  if (value.empty()) {
    return std::nullopt;
  }
  switch (value.front()) {
    case '1':
    case 'y':
    case 'Y':
    case 't':
    case 'T':
      return true;
    case '0':
    case 'n':
    case 'N':
    case 'f':
    case 'F':
      return false;
    default:
      break;
  }
  if (value == "on" || value == "On" || value == "ON") {
    return true;
  }
  if (value == "off" || value == "Off" || value == "OFF") {
    return false;
  }
  return std::nullopt;
}

std::optional<unsigned> number_up_to(std::string_view value, unsigned most) {
  const auto number = core::parse_number<unsigned>(value);
  return number && *number >= 1 && *number <= most ? number : std::nullopt;
}

/// Takes what was understood; returns false for a value that makes no sense.
template <typename To, typename From>
bool assign(To& to, const std::optional<From>& understood) {
  if (understood) {
    to = *understood;
  }
  return understood.has_value();
}

bool take(const Argument& argument, KernelParameters& into) {
  if (argument.name == "module_blacklist") {
    into.blacklist.clear();
    for (const std::string_view name : core::split(argument.value, ",")) {
      into.blacklist.emplace(name);
    }
    return true;
  }
  if (argument.name == "rdma_boot.load") {
    // Without a value it is "yes", as for the kernel's own switches.
    return !argument.has_value || assign(into.load, truth(argument.value));
  }
  if (argument.name == "rdma_boot.jobs") {
    return assign(into.jobs, number_up_to(argument.value, kMostJobs));
  }
  if (argument.name == "rdma_boot.deadline") {
    return assign(into.deadline_seconds, number_up_to(argument.value, kLongestBootDeadline));
  }
  return true;
}

}  // namespace

KernelParameters parse_kernel_command_line(std::string_view text) {
  KernelParameters parameters;
  std::string_view rest = text.substr(0, text.find('\0'));
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(kSpace), rest.size()));
    if (rest.empty()) {
      return parameters;
    }
    const Argument argument = next_argument(rest);
    if (argument.is_end_mark) {
      return parameters;
    }
    if (!take(argument, parameters)) {
      parameters.ignored =
          core::printable(argument.name + "=" + std::string(argument.value), kShownArgument);
    }
  }
}

}  // namespace rdmaboot::os
