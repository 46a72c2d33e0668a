// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/terminal.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <sys/ioctl.h>
#include <unistd.h>

#include "core/text.hpp"

namespace rdmaboot::rdmactl {
namespace {

std::string_view environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

std::string_view code_of(Colour colour) {
  switch (colour) {
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kGrey:
      return "\x1b[90m";
    case Colour::kBold:
      return "\x1b[1m";
    case Colour::kNone:
      break;
  }
  return {};
}

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

}  // namespace

Terminal standard_output() {
  Terminal terminal;
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    terminal.width = size.ws_col;
  }
  if (const auto told = core::parse_number<std::size_t>(environment("COLUMNS"))) {
    terminal.width = *told;
  }
  terminal.colour = is_terminal && environment("TERM") != "dumb" && environment("NO_COLOR").empty();
  return terminal;
}

std::string coloured(std::string_view text, Colour colour, const Terminal& terminal) {
  if (!terminal.colour || colour == Colour::kNone) {
    return std::string(text);
  }
  return std::string(code_of(colour)) + std::string(text) + "\x1b[0m";
}

std::string time_text(core::Microseconds since_epoch) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch).count();
  std::tm parts{};
  std::array<char, 32> text{};
  if (::localtime_r(&seconds, &parts) == nullptr) {
    return {};
  }
  // Not %b: that would be in the language of the locale, and then the column has no fixed width.
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::size_t length = std::strftime(text.data(), text.size(), " %d %H:%M:%S", &parts);
  return std::string(kMonths.at(static_cast<std::size_t>(parts.tm_mon))) +
         std::string(text.data(), length);
}

std::string duration_text(core::Microseconds time) {
  constexpr std::int64_t kMilli = 1000;
  constexpr std::int64_t kSecond = 1'000'000;
  constexpr std::int64_t kTen = 10;
  const std::int64_t usec = time.count();
  if (usec < kMilli) {
    return std::to_string(usec) + " µs";
  }
  if (usec < kTen * kMilli) {
    return std::to_string(usec / kMilli) + "." + std::to_string(usec % kMilli / 100) + " ms";
  }
  if (usec < kSecond) {
    return std::to_string(usec / kMilli) + " ms";
  }
  if (usec < kTen * kSecond) {
    const std::string milli = std::to_string(usec % kSecond / kMilli);
    return std::to_string(usec / kSecond) + "." + std::string(3 - milli.size(), '0') + milli + " s";
  }
  return std::to_string(usec / kSecond) + "." + std::to_string(usec % kSecond / 100'000) + " s";
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !continues(byte); }));
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) {
    return std::string(text);
  }
  if (columns == 0) {
    return {};
  }
  std::size_t end = 0;
  for (std::size_t shown = 0; end < text.size(); ++end) {
    if (!continues(text[end]) && shown++ == columns - 1) {
      break;
    }
  }
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace rdmaboot::rdmactl
