// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// libkmod as a ModuleIndex: modules.dep, aliases, modprobe.d, soft and weak dependencies.

#include <memory>
#include <string>

#include "os/module_index.hpp"

namespace rdmaboot::os {

/// Which kernel of which tree is asked.
struct KmodPlace {
  std::string root;     ///< prefix of another tree, "" is this machine
  std::string release;  ///< kernel release; "" is the running kernel's
};

/// Opens libkmod's context over `place`. Every index file is checked to be whole first, because
/// libkmod follows the offsets in them without looking at the file's size.
/// With a root, modprobe.d is read below that root and the state of this machine's kernel is
/// ignored; libkmod takes modprobe.blacklist= and options from /proc/cmdline in any case.
/// Errors: ENOENT when the directory of that kernel's modules is missing, ENOMEM.
/// Not thread-safe, as libkmod is not: one index a thread.
[[nodiscard]] core::Result<std::unique_ptr<ModuleIndex>> open_kmod(const KmodPlace& place);

/// Inserts the module file `path` by libkmod, which decompresses in user space what the kernel
/// cannot. Returns 0 or an errno value.
[[nodiscard]] int insert_with_libkmod(const std::string& path, const std::string& options);

/// Loads the module `name` of the running kernel as modprobe(8) does: what it depends on first,
/// with the options, install commands and soft dependencies of modprobe.d. A module that is live
/// already is no error. Blocks for as long as the init functions take. Errors: ENOENT when there is
/// none of that name; errno of the kernel or of an install command.
[[nodiscard]] core::Result<void> load_module(const std::string& name);

/// Checks that the root node of a modules.*.bin file is there completely.
/// @param root_offset the header's third word: offset and, in the upper four bits, node flags
/// @param from_root the bytes of the file from that offset on (its end may be cut for size)
/// depmod writes children before their parents, so that a file which was cut has lost its root.
/// Source of the format: the index reader of libkmod (version 2.1, big endian).
[[nodiscard]] bool index_root_is_whole(std::uint32_t root_offset, std::string_view from_root);

}  // namespace rdmaboot::os
