// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/archive_library.hpp"

#include <string>

#include <dlfcn.h>

#include "core/text.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

constexpr const char* kPackage =
    "snapshots need the package libarchive (Debian: libarchive13t64, before Debian 13 "
    "libarchive13)";

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

bool find_all(void* handle, ArchiveLibrary& library) {
  return find(handle, "archive_error_string", library.error_string) &&
         find(handle, "archive_errno", library.error_code) &&
         find(handle, "archive_read_new", library.read_new) &&
         find(handle, "archive_read_free", library.read_free) &&
         find(handle, "archive_read_support_filter_gzip", library.read_support_filter_gzip) &&
         find(handle, "archive_read_support_format_raw", library.read_support_format_raw) &&
         find(handle, "archive_read_support_format_tar", library.read_support_format_tar) &&
         find(handle, "archive_read_open_memory", library.read_open_memory) &&
         find(handle, "archive_read_next_header", library.read_next_header) &&
         find(handle, "archive_read_data_block", library.read_data_block) &&
         find(handle, "archive_read_data", library.read_data) &&
         find(handle, "archive_write_new", library.write_new) &&
         find(handle, "archive_write_free", library.write_free) &&
         find(handle, "archive_write_add_filter_gzip", library.write_add_filter_gzip) &&
         find(handle, "archive_write_set_format_pax_restricted",
              library.write_set_format_pax_restricted) &&
         find(handle, "archive_write_open_fd", library.write_open_fd) &&
         find(handle, "archive_write_header", library.write_header) &&
         find(handle, "archive_write_data", library.write_data) &&
         find(handle, "archive_write_close", library.write_close) &&
         find(handle, "archive_entry_new", library.entry_new) &&
         find(handle, "archive_entry_free", library.entry_free) &&
         find(handle, "archive_entry_set_pathname", library.entry_set_pathname) &&
         find(handle, "archive_entry_set_filetype", library.entry_set_filetype) &&
         find(handle, "archive_entry_set_symlink", library.entry_set_symlink) &&
         find(handle, "archive_entry_set_perm", library.entry_set_perm) &&
         find(handle, "archive_entry_set_size", library.entry_set_size) &&
         find(handle, "archive_entry_set_mtime", library.entry_set_mtime) &&
         find(handle, "archive_entry_size", library.entry_size) &&
         find(handle, "archive_entry_mtime", library.entry_mtime) &&
         find(handle, "archive_entry_pathname", library.entry_pathname) &&
         find(handle, "archive_entry_filetype", library.entry_filetype) &&
         find(handle, "archive_entry_hardlink", library.entry_hardlink) &&
         find(handle, "archive_entry_symlink", library.entry_symlink);
}

}  // namespace

core::Result<ArchiveLibrary> load_archive_library(const char* name) {
  void* const handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const reason = ::dlerror();
    return core::fail("load", name, 0,
                      std::string(kPackage) + ": " +
                          (reason != nullptr ? core::printable(reason) : "no reason given"));
  }
  ArchiveLibrary library;
  if (!find_all(handle, library)) {
    ::dlclose(handle);
    return core::fail("load", name, 0, std::string(kPackage) + ": it lacks functions");
  }
  return library;
}

const core::Result<ArchiveLibrary>& archive_library() {
  static const core::Result<ArchiveLibrary> library = load_archive_library();
  return library;
}

}  // namespace rdmaboot::rdmactl::doctor
