// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Where the text goes: how wide it is, and whether colours mean anything there.

#include <cstddef>
#include <string>
#include <string_view>

#include "core/clock.hpp"

namespace rdmaboot::rdmactl {

struct Terminal {
  std::size_t width = 0;  ///< columns; 0 means that nothing is cut (a pipe, a file)
  bool colour = false;
};

/// Standard output as it is now. Width: the terminal's, or COLUMNS from the environment where that
/// is a number. Colour only on a terminal that is not "dumb", unless NO_COLOR says no
/// (no-color.org).
[[nodiscard]] Terminal standard_output();

enum class Colour { kNone, kGreen, kYellow, kRed, kGrey, kBold };

/// `text` in a colour, or as it is where colours mean nothing.
[[nodiscard]] std::string coloured(std::string_view text, Colour colour, const Terminal& terminal);

/// "Nov 21 13:02:11", in the local time zone. @param since_epoch since 1970
[[nodiscard]] std::string time_text(core::Microseconds since_epoch);

/// "812 µs", "9.3 ms", "412 ms", "1.204 s", "73.1 s": a duration with about three digits.
[[nodiscard]] std::string duration_text(core::Microseconds time);

/// Columns that `text` takes: one for each character of UTF-8. Wide and combining characters,
/// which nothing here writes itself, are counted as one.
[[nodiscard]] std::size_t columns_of(std::string_view text);

/// `text` in at most `columns` columns; a cut is marked with "…". Columns of 0 give "".
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);

}  // namespace rdmaboot::rdmactl
