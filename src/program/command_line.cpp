// SPDX-License-Identifier: BSD-2-Clause
#include "program/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <getopt.h>

namespace rdmaboot::program {
namespace {

/// What getopt_long() returns for the first option; above all letters.
constexpr int kFirst = 256;

}  // namespace

Option flag(const char* name, bool& flag, bool to, char letter) {
  return {name, false,
          [&flag, to](const char*) {
            flag = to;
            return core::Result<void>();
          },
          letter};
}

Option text(const char* name, std::string& into) {
  return {name, true, [&into](const char* value) {
            into = value;
            return core::Result<void>();
          }};
}

core::Result<std::vector<std::string>> read_command_line(int argc, char** argv, const char* program,
                                                         const char* help,
                                                         const std::vector<Option>& options) {
  std::vector<option> known;
  std::string letters;
  const int end = kFirst + static_cast<int>(options.size());
  for (int value = kFirst; const Option& one : options) {
    known.push_back({one.name, one.has_value ? required_argument : no_argument, nullptr, value++});
    if (one.letter != 0) {
      letters += one.letter;
      letters += one.has_value ? ":" : "";
    }
  }
  known.push_back({"help", no_argument, nullptr, 'h'});
  known.push_back({"version", no_argument, nullptr, end});
  known.push_back({nullptr, 0, nullptr, 0});
  letters += letters.empty() ? "" : "h";
  optind = 0;  // reads anew: tests parse more than once
  opterr = 0;
  int choice = 0;
  while ((choice = ::getopt_long(argc, argv, letters.c_str(), known.data(), nullptr)) != -1) {
    if (choice == 'h') {
      static_cast<void>(std::fputs(help, stdout));
      std::exit(EXIT_SUCCESS);
    }
    if (choice == end) {
      std::printf("%s %s\n", program, RDMABOOT_VERSION);
      std::exit(EXIT_SUCCESS);
    }
    const auto chosen =
        choice >= kFirst
            ? options.begin() + (choice - kFirst)
            : std::find_if(options.begin(), options.end(),
                           [choice](const Option& one) { return one.letter == choice; });
    if (choice == '?' || chosen == options.end()) {
      return core::fail("read option", argv[optind - 1], 0, "see --help");
    }
    if (auto taken = chosen->take(optarg); !taken) {
      return tl::make_unexpected(std::move(taken).error());
    }
  }
  return std::vector<std::string>(argv + optind, argv + argc);
}

core::Result<void> expect_no_words(const std::vector<std::string>& words) {
  if (!words.empty()) {
    return core::fail("read argument", words.front(), 0, "expected options only, see --help");
  }
  return {};
}

}  // namespace rdmaboot::program
