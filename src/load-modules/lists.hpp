// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reading the lists NAME.conf with their layers, drop-ins and masks.

#include <span>
#include <string>
#include <vector>

#include "load-modules/list_parser.hpp"

namespace rdmaboot::load_modules {

/// What the named lists ask for.
struct GatheredLists {
  std::vector<Request> requests;
  std::vector<core::Error> warnings;  ///< wrong lines: skipped, the run goes on and may succeed
  std::vector<core::Error> errors;    ///< a list that is missing or unreadable: the run fails
  std::vector<std::string> masked;    ///< names of lists that are masked
};

/// Reads NAME.conf and NAME.conf.d/*.conf from /etc/rdma/modules, /run/rdma/modules and
/// /usr/lib/rdma/modules below `root` for every name. What can be read is used even if something
/// else cannot.
[[nodiscard]] GatheredLists gather_lists(std::span<const std::string> names,
                                         const std::string& root);

}  // namespace rdmaboot::load_modules
