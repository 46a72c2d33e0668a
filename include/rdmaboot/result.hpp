// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// How a library function of rdma-boot says that it failed. Libraries return, programs log: nothing
// below a program's shell writes to a terminal or a journal.

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "rdmaboot/export.hpp"

namespace rdmaboot::core {

/// What went wrong: what was attempted, on which object, and why.
struct RDMABOOT_API Error {
  std::string attempt;   ///< what was being done, as a phrase: "open", "parse line 3"
  std::string object;    ///< on what: a path, a device, a module name; may be empty
  int error_number = 0;  ///< errno at that moment, 0 where no system call failed
  std::string detail;    ///< what was expected instead, for people; may be empty

  /// One line for a person: "open /etc/x: Permission denied (expected a readable file)".
  [[nodiscard]] std::string message() const;
};

/// A value of T, or the Error that prevented it.
template <typename T>
using Result = tl::expected<T, Error>;

/// Makes the failed state of any Result from parts.
/// @param error_number an errno value, or 0
[[nodiscard]] RDMABOOT_API tl::unexpected<Error> fail(std::string_view attempt,
                                                      std::string_view object, int error_number = 0,
                                                      std::string_view detail = {});

}  // namespace rdmaboot::core
