// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ndd/options.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::ndd {

/// The daemon on this machine; ends only by a signal or an error. In the background, the calling
/// process ends with status 0 as soon as every device is described.
[[nodiscard]] core::Result<int> run(const Options& options);

}  // namespace rdmaboot::ndd
