// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reading a command line: options by name, --help and --version, and the words that are left.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::program {

/// One option.
struct Option {
  const char* name;        ///< without the dashes: "timeout"
  bool has_value = false;  ///< --timeout=VALUE or --timeout VALUE
  /// Called where the option stands, with its value or nothing. An Error ends the reading.
  std::function<core::Result<void>(const char* value)> take;
  char letter = 0;  ///< a short form, 0 for none
};

/// An option without a value that sets `flag` to `to`.
[[nodiscard]] Option flag(const char* name, bool& flag, bool to = true, char letter = 0);
/// An option whose value is any text.
[[nodiscard]] Option text(const char* name, std::string& into);

/// Reads the options and returns the other words, in their order; a word may stand before an
/// option.
/// --help prints `help` and ends the program with status 0, as does --version with "PROGRAM
/// VERSION"; -h is --help where any option has a letter. Not thread-safe (getopt_long(3)). Errors:
/// an unknown option, a value that is missing or not wanted, or what an option's `take` says.
[[nodiscard]] core::Result<std::vector<std::string>> read_command_line(
    int argc, char** argv, const char* program, const char* help,
    const std::vector<Option>& options);

/// For programs that take no words. Errors: the first one.
[[nodiscard]] core::Result<void> expect_no_words(const std::vector<std::string>& words);

}  // namespace rdmaboot::program
