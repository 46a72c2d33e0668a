// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What rdma-link made, written down in one file a link below /run, so that a later run removes what
// is not declared any more, and never what somebody else made.

#include <cstddef>
#include <optional>
#include <set>
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
  explicit StateStore(std::string directory = std::string(kStateDirectory),
                      std::string refused = std::string(device::kRefusedLinksDirectory))
      : directory_(std::move(directory)), refused_(std::move(refused)) {}

  /// Makes the directory and waits until no other process works on links; until the result is
  /// closed none will. Errors: errno of mkdir, open or flock.
  [[nodiscard]] core::Result<core::UniqueFd> lock() const;
  /// Reads everything. A directory that is not there is empty.
  [[nodiscard]] State read() const;
  /// Writes a link down, in one step. Errors: as core::replace_file().
  [[nodiscard]] core::Result<void> write(const MadeLink& made) const;
  /// Forgets a link. Errors: errno of unlink; a file that is not there is none.
  [[nodiscard]] core::Result<void> forget(const std::string& name) const;
  /// Writes down that a link cannot be made, for rdma-coldplug. Errors: as core::replace_file(),
  /// and of making the directory.
  [[nodiscard]] core::Result<void> refuse(const std::string& name, std::string_view reason) const;
  /// Takes that back. Errors: errno of unlink; a link that was not refused is none.
  [[nodiscard]] core::Result<void> accept(const std::string& name) const;
  /// Takes it back for all links but these. Errors: as accept().
  [[nodiscard]] core::Result<void> accept_all_but(const std::set<std::string>& names) const;
  /// Writes down which declarations all links were worked on by (DeclaredLinks::fingerprint).
  /// Errors: as core::replace_file().
  [[nodiscard]] core::Result<void> applied(std::size_t fingerprint) const;
  /// What was written down so last; nothing if nobody did.
  [[nodiscard]] std::optional<std::size_t> last_applied() const;

 private:
  std::string directory_;
  std::string refused_;
};

}  // namespace rdmaboot::link
