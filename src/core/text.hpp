// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Text that comes from outside: bounded, checked, made safe to show.

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rdmaboot::core {

/// `text` without spaces, tabs, CR and LF at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

/// The non-empty parts of `text` between any of the characters in `separators`.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text,
                                                  std::string_view separators);

/// The whole of `text` as a number of type T in `base`; nothing if any character is left over or
/// the value does not fit.
template <typename T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || stopped != end) {
    return std::nullopt;
  }
  return value;
}

/// `text` with every byte that is not printable ASCII (and not part of well-formed UTF-8 text)
/// written as \xNN, so that nothing a device or a file says can control a terminal or a journal.
/// At most `limit` bytes of input are shown; a cut is marked with "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 256);

/// Length of the printable character at the start of `text`: 1 for ASCII, 2 to 4 for well-formed
/// UTF-8 (RFC 3629); 0 for a control character, a byte that is no part of UTF-8 text, or no text.
[[nodiscard]] std::size_t character_length(std::string_view text);

/// The unit name systemd gives to a path ("/sys/devices/a-b" with suffix ".device" is
/// "sys-devices-a\x2db.device"), as defined in systemd.unit(5), "String escaping for inclusion in
/// unit names".
[[nodiscard]] std::string unit_name_from_path(std::string_view path, std::string_view suffix);

}  // namespace rdmaboot::core
