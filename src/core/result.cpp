// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/result.hpp"

#include <system_error>

namespace rdmaboot::core {

std::string Error::message() const {
  std::string text = attempt;
  if (!object.empty()) {
    text += ' ';
    text += object;
  }
  if (error_number != 0) {
    // Not strerror(): it shares a buffer between threads.
    text += ": " + std::system_category().message(error_number);
  }
  if (!detail.empty()) {
    text += error_number != 0 ? " (" + detail + ")" : ": " + detail;
  }
  return text;
}

tl::unexpected<Error> fail(std::string_view attempt, std::string_view object, int error_number,
                           std::string_view detail) {
  return tl::make_unexpected(
      Error{std::string(attempt), std::string(object), error_number, std::string(detail)});
}

}  // namespace rdmaboot::core
