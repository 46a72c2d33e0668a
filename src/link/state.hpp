// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What rdma-link made, written down in one file a link below /run, so that a later run removes what
// is not declared any more, and never what somebody else made.

#include <string>
#include <string_view>
#include <vector>

#include "core/unique_handle.hpp"
#include "link/plan.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::link {

/// Where it is kept: as long as the links themselves live, which no reboot survives.
inline constexpr std::string_view kStateDirectory = "/run/rdma-boot/links";

/// The text of the file about a link.
[[nodiscard]] std::string encode(const MadeLink& made);
/// Parses it. Total. Errors: EBADMSG for a text that encode() did not write.
/// @param name of the file
[[nodiscard]] core::Result<MadeLink> decode(std::string_view text, const std::string& name);

/// All that is kept; files that cannot be read are errors and left alone.
struct State {
  std::vector<MadeLink> made;  ///< by name
  std::vector<core::Error> errors;
};

/// The directory as a store. Not thread-safe; processes take turns by lock().
class StateStore {
 public:
  explicit StateStore(std::string directory = std::string(kStateDirectory))
      : directory_(std::move(directory)) {}

  /// Makes the directory and waits until no other process works on links; until the result is
  /// closed none will. Errors: errno of mkdir, open or flock.
  [[nodiscard]] core::Result<core::UniqueFd> lock() const;
  /// Reads everything. A directory that is not there is empty.
  [[nodiscard]] State read() const;
  /// Writes a link down, in one step. Errors: as core::replace_file().
  [[nodiscard]] core::Result<void> write(const MadeLink& made) const;
  /// Forgets a link. Errors: errno of unlink; a file that is not there is none.
  [[nodiscard]] core::Result<void> forget(const std::string& name) const;

 private:
  std::string directory_;
};

}  // namespace rdmaboot::link
