// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The format of modules-load.d(5): one module name or alias a line, comments start with # or ;.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::load_modules {

/// A module that somebody asked for.
struct Request {
  std::string name;    ///< module name or alias, normalised
  std::string origin;  ///< who asked, for messages: "/etc/rdma/modules/rdma.conf:3"
};

/// What a list file says. Wrong lines do not hide the good ones.
struct ModuleList {
  std::vector<Request> requests;
  std::vector<core::Error> errors;
};

/// A module's own name has at most 55 bytes (the kernel's MODULE_NAME_LEN on 64 bit, with its NUL);
/// an alias may be longer, and the longest of a real modules.alias has about 200.
inline constexpr std::size_t kLongestName = 255;
/// More names than this in one file are a mistake; the first ones are used.
inline constexpr std::size_t kMostNames = 10000;

/// Spells a name as the kernel does: every '-' is '_', except inside [...] of an alias pattern.
/// Errors: what is wrong with the name, as a phrase in `detail` (empty, too long, '/', "..",
/// a byte that is not printable ASCII, a space).
[[nodiscard]] core::Result<std::string> normalise_name(std::string_view name);

/// Reads the text of a list file. Total: any bytes are accepted, each wrong line is one Error that
/// names `file` and the line (at most kMostErrors are kept, the last one says how many more).
[[nodiscard]] ModuleList parse_list(std::string_view text, std::string_view file);

/// So many wrong lines of one file are named one by one.
inline constexpr std::size_t kMostErrors = 20;

}  // namespace rdmaboot::load_modules
