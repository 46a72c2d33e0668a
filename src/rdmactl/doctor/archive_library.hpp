// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// libarchive, opened at run time: of all verbs only snapshots need it, and it brings libxml2 and
// ICU (40 MB), which a boot package should not ask for.

#include <archive.h>
#include <archive_entry.h>

#include "rdmaboot/result.hpp"

namespace rdmaboot::rdmactl::doctor {

/// The functions that are used, by their names without "archive_", but where that is a macro.
struct ArchiveLibrary {
  decltype(&::archive_error_string) error_string = nullptr;
  decltype(&::archive_errno) error_code = nullptr;  ///< archive_errno
  decltype(&::archive_read_new) read_new = nullptr;
  decltype(&::archive_read_free) read_free = nullptr;
  decltype(&::archive_read_support_filter_gzip) read_support_filter_gzip = nullptr;
  decltype(&::archive_read_support_format_raw) read_support_format_raw = nullptr;
  decltype(&::archive_read_support_format_tar) read_support_format_tar = nullptr;
  decltype(&::archive_read_open_memory) read_open_memory = nullptr;
  decltype(&::archive_read_next_header) read_next_header = nullptr;
  decltype(&::archive_read_data_block) read_data_block = nullptr;
  decltype(&::archive_read_data) read_data = nullptr;
  decltype(&::archive_write_new) write_new = nullptr;
  decltype(&::archive_write_free) write_free = nullptr;
  decltype(&::archive_write_add_filter_gzip) write_add_filter_gzip = nullptr;
  decltype(&::archive_write_set_format_pax_restricted) write_set_format_pax_restricted = nullptr;
  decltype(&::archive_write_open_fd) write_open_fd = nullptr;
  decltype(&::archive_write_header) write_header = nullptr;
  decltype(&::archive_write_data) write_data = nullptr;
  decltype(&::archive_write_close) write_close = nullptr;
  decltype(&::archive_entry_new) entry_new = nullptr;
  decltype(&::archive_entry_free) entry_free = nullptr;
  decltype(&::archive_entry_set_pathname) entry_set_pathname = nullptr;
  decltype(&::archive_entry_set_filetype) entry_set_filetype = nullptr;
  decltype(&::archive_entry_set_symlink) entry_set_symlink = nullptr;
  decltype(&::archive_entry_set_perm) entry_set_perm = nullptr;
  decltype(&::archive_entry_set_size) entry_set_size = nullptr;
  decltype(&::archive_entry_set_mtime) entry_set_mtime = nullptr;
  decltype(&::archive_entry_size) entry_size = nullptr;
  decltype(&::archive_entry_mtime) entry_mtime = nullptr;
  decltype(&::archive_entry_pathname) entry_pathname = nullptr;
  decltype(&::archive_entry_filetype) entry_filetype = nullptr;
  decltype(&::archive_entry_hardlink) entry_hardlink = nullptr;
  decltype(&::archive_entry_symlink) entry_symlink = nullptr;
};

/// Of the release of libarchive that all supported distributions have.
inline constexpr const char* kArchiveLibrary = "libarchive.so.13";

/// Loads the library; it stays. Errors: it is not there, or lacks a function; says what to install.
[[nodiscard]] core::Result<ArchiveLibrary> load_archive_library(const char* name = kArchiveLibrary);

/// Loads it at the first call. May be called from several threads.
[[nodiscard]] const core::Result<ArchiveLibrary>& archive_library();

}  // namespace rdmaboot::rdmactl::doctor
