// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Soft-RoCE and soft-iWARP links as admins declare them in links.d/*.conf: the format of
// rdma-links.d(5), and which network interface a declaration means.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/network_interfaces.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::device {

/// Kinds of RDMA device that the kernel makes on top of a network interface.
enum class SoftLinkType {
  kRxe,  ///< soft-RoCE, module rdma_rxe
  kSiw,  ///< soft-iWARP, module siw
};

/// "rxe" or "siw", as RDMA netlink spells them.
[[nodiscard]] std::string_view name_of(SoftLinkType type);
/// The type of that name, or nothing.
[[nodiscard]] std::optional<SoftLinkType> parse_soft_link_type(std::string_view text);
/// The module that brings the type: "rdma_rxe" or "siw".
[[nodiscard]] std::string_view module_of(SoftLinkType type);

/// What an interface must look like. Each list that is not empty must have an entry that fits, and
/// one list at least is not empty.
struct NetdevMatch {
  std::vector<std::string> names;      ///< shell patterns (fnmatch(3)) for the interface name
  std::vector<std::string> addresses;  ///< hardware addresses, "52:54:00:00:00:01"
  std::vector<std::string> paths;      ///< shell patterns for ID_PATH of udev
};

/// Whether the interface is one that is meant. The loopback interface never is: the connection
/// manager finds no route over it.
[[nodiscard]] bool matches(const NetdevMatch& match, const os::NetworkInterface& interface);

/// One link.
struct DeclaredLink {
  std::string name;  ///< of the RDMA device to be; usable as one, and as a file name
  SoftLinkType type = SoftLinkType::kRxe;
  NetdevMatch match;
  bool wait_at_boot = true;  ///< whether rdma-coldplug holds sysinit.target for it
  std::string file;          ///< path of the file that declares it
};

/// What one file says. Wrong lines are errors that name file and line; the link is there if its
/// name, type and match are good without them.
struct LinkFile {
  std::optional<DeclaredLink> link;
  std::vector<core::Error> errors;
};

/// rdma-link's word that a declared link cannot be made, one file of its name each, so that the
/// boot does not wait for it. As long as the machine is up; a file goes when its link is made after
/// all.
inline constexpr std::string_view kRefusedLinksDirectory = "/run/rdma-boot/refused-links";

/// Errors that are told of one file; the rest is counted.
inline constexpr std::size_t kMostLinkErrors = 16;

/// Parses one file. Total: any bytes. A text without any entry declares nothing, which is no error.
/// @param file for messages, and DeclaredLink::file
[[nodiscard]] LinkFile parse_link_file(std::string_view text, const std::string& file);

/// Everything that is declared on this machine.
struct DeclaredLinks {
  std::vector<DeclaredLink> links;    ///< in the order of the file names, each name once
  std::vector<std::string> unusable;  ///< base names of files that say something, but give no link
  /// False if a directory could not be listed: then a link that is missing here may be declared.
  bool complete = true;
  std::vector<core::Error> errors;
  /// Differs (but for an accident) when any byte of any file changed.
  std::size_t fingerprint = 0;
};

/// Reads links.d/*.conf in its layers below `root` ("" is this machine), bounded as core/config and
/// core/file are. A name that two files declare belongs to the first; the second is an error.
[[nodiscard]] DeclaredLinks read_declared_links(const std::string& root);

}  // namespace rdmaboot::device
