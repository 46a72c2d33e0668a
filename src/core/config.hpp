// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Layered configuration as systemd's: the same file name in /etc wins over /run wins over /usr/lib,
// NAME.d/*.conf drop-ins add to it in the order of their names, a link to /dev/null (or an empty
// file in the place of a drop-in) masks what lower layers say.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rdmaboot/result.hpp"

namespace rdmaboot::core {

/// Directories of one kind of configuration, highest priority first, below `root`.
struct ConfigLayers {
  std::vector<std::string> directories;

  /// /etc/rdma[/sub], /run/rdma[/sub], /usr/lib/rdma[/sub] below `root` ("" is this machine).
  [[nodiscard]] static ConfigLayers rdma(std::string_view sub, std::string_view root = {});
};

/// What a layered name stands for.
struct ConfigFiles {
  std::vector<std::string> paths;  ///< to be read in this order, later ones add or override
  bool masked = false;             ///< the main file is a link to /dev/null: nothing is to be read
  std::vector<Error> errors;       ///< what could not be listed or leads nowhere; the rest is there
};

/// Finds `name` (for example "rdma.conf") in the layers, and its drop-ins `name`.d/*.conf.
/// A main file that is masked masks its drop-ins too. Nothing found: empty paths.
[[nodiscard]] ConfigFiles find_config(const ConfigLayers& layers, std::string_view name);

/// Finds all *.conf files of the layers themselves (a directory such as links.d), one for each
/// file name, in the order of their names.
[[nodiscard]] ConfigFiles find_config_directory(const ConfigLayers& layers);

/// One `key = value` of an INI file.
struct IniEntry {
  std::string section;
  std::string key;
  std::string value;
  int line = 0;
};

/// Parses INI text (libinih: sections, `key=value`, comments with # and ;).
/// Good lines are returned even if others are wrong; each wrong line gives an Error that names
/// `file` and the line. Total: any bytes are accepted.
struct IniFile {
  std::vector<IniEntry> entries;
  std::vector<Error> errors;
};
[[nodiscard]] IniFile parse_ini(std::string_view text, std::string_view file);

}  // namespace rdmaboot::core
