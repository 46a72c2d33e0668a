// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/archive.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.hpp"
#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "rdmactl/doctor/archive_library.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

using core::fail;
using core::Result;
using Archive = std::unique_ptr<archive, int (*)(archive*)>;
using Entry = std::unique_ptr<archive_entry, void (*)(archive_entry*)>;
using Parts = std::vector<std::string_view>;

constexpr std::string_view kUnpack = "unpack snapshot";

/// Only after archive_library() was asked and is there.
const ArchiveLibrary& lib() {
  return *archive_library();
}

tl::unexpected<core::Error> refuse(std::string_view object, std::string_view why) {
  return fail(kUnpack, core::printable(object), 0, why);
}

tl::unexpected<core::Error> library_error(std::string_view attempt, archive* which) {
  const char* const text = lib().error_string(which);
  return fail(attempt, "", lib().error_code(which) > 0 ? lib().error_code(which) : 0,
              text == nullptr ? "libarchive failed" : core::printable(text));
}

// --- writing -----------------------------------------------------------------------------------

Result<void> write_entry(archive* out, const std::string& path, const Seen& seen) {
  const Entry entry(lib().entry_new(), lib().entry_free);
  lib().entry_set_pathname(entry.get(), path.c_str() + 1);  // without the first '/'
  constexpr unsigned kFileMode = 0644;
  constexpr unsigned kDirectoryMode = 0755;
  switch (seen.kind) {
    case Seen::Kind::kLink:
      lib().entry_set_filetype(entry.get(), AE_IFLNK);
      lib().entry_set_symlink(entry.get(), relative_target(path, seen.text).c_str());
      break;
    case Seen::Kind::kDirectory:
      lib().entry_set_filetype(entry.get(), AE_IFDIR);
      lib().entry_set_perm(entry.get(), kDirectoryMode);
      break;
    case Seen::Kind::kFile:
      lib().entry_set_filetype(entry.get(), AE_IFREG);
      lib().entry_set_perm(entry.get(), kFileMode);
      lib().entry_set_size(entry.get(), static_cast<la_int64_t>(seen.text.size()));
      lib().entry_set_mtime(entry.get(), seen.changed, 0);
      break;
  }
  if (lib().write_header(out, entry.get()) != ARCHIVE_OK) {
    return library_error("write " + path, out);
  }
  if (seen.kind == Seen::Kind::kFile && !seen.text.empty() &&
      lib().write_data(out, seen.text.data(), seen.text.size()) !=
          static_cast<la_ssize_t>(seen.text.size())) {
    return library_error("write " + path, out);
  }
  return {};
}

Result<void> write_all(const std::map<std::string, Seen>& seen, const LiveFacts& live, int fd) {
  std::size_t total = 0;
  for (const auto& [path, what] : seen) {
    total += what.text.size();
    if (path.size() > kPathLimit) {
      return fail("save", core::printable(path), ENAMETOOLONG);
    }
  }
  if (seen.size() >= kEntryLimit || total > kUnpackedLimit / 2) {
    return fail("save snapshot", "", EFBIG, "there is more of it than could be read again");
  }
  const Archive out(lib().write_new(), lib().write_free);
  lib().write_add_filter_gzip(out.get());
  lib().write_set_format_pax_restricted(out.get());
  if (lib().write_open_fd(out.get(), fd) != ARCHIVE_OK) {
    return library_error("write snapshot", out.get());
  }
  const Seen facts{Seen::Kind::kFile, live_json(live).dump(2) + "\n", 0};
  if (auto written = write_entry(out.get(), kLiveFile, facts); !written) {
    return written;
  }
  for (const auto& [path, what] : seen) {
    // A snapshot of a snapshot has it already.
    if (path == kLiveFile) {
      continue;
    }
    if (auto written = write_entry(out.get(), path, what); !written) {
      return written;
    }
  }
  if (lib().write_close(out.get()) != ARCHIVE_OK) {
    return library_error("write snapshot", out.get());
  }
  return {};
}

// --- reading -----------------------------------------------------------------------------------

Archive new_reader() {
  return {lib().read_new(), lib().read_free};
}

/// Undoes the compression, into memory, so that no trick of compression meets the parser of tar.
Result<std::string> expand(std::string_view bytes) {
  const Archive in = new_reader();
  lib().read_support_filter_gzip(in.get());
  lib().read_support_format_raw(in.get());
  archive_entry* entry = nullptr;
  if (lib().read_open_memory(in.get(), bytes.data(), bytes.size()) != ARCHIVE_OK ||
      lib().read_next_header(in.get(), &entry) != ARCHIVE_OK) {
    return library_error(kUnpack, in.get());
  }
  std::string plain;
  for (;;) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int status = lib().read_data_block(in.get(), &block, &size, &offset);
    if (status == ARCHIVE_EOF) {
      return plain;
    }
    if (status != ARCHIVE_OK) {
      return library_error(kUnpack, in.get());
    }
    if (size > kUnpackedLimit - plain.size()) {
      return refuse("", "it expands to more than " + std::to_string(kUnpackedLimit) + " bytes");
    }
    plain.append(static_cast<const char*>(block), size);
  }
}

/// Parts of an entry's path.
Result<Parts> check_path(std::string_view path) {
  if (path.empty() || path.size() > kPathLimit) {
    return refuse(path,
                  "its path is empty or longer than " + std::to_string(kPathLimit) + " bytes");
  }
  if (path.front() == '/') {
    return refuse(path, "its path is absolute");
  }
  Parts parts = core::split(path, "/");
  std::erase(parts, ".");
  if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
    return refuse(path, "its path has \"..\"");
  }
  if (parts.size() > kDepthLimit) {
    return refuse(path, "it is deeper than " + std::to_string(kDepthLimit) + " directories");
  }
  return parts;
}

/// Whether a link in a directory of that depth stays in the tree, whatever other links there are:
/// ".." only in front, where it counts from the directory that the link itself is in.
bool stays_inside(std::string_view target, std::size_t depth) {
  if (target.empty() || target.size() > kPathLimit || target.front() == '/') {
    return false;
  }
  std::size_t up = 0;
  bool in_front = true;
  for (const std::string_view part : core::split(target, "/")) {
    if (part == "..") {
      if (!in_front || ++up > depth) {
        return false;
      }
    } else if (part != ".") {
      in_front = false;
    }
  }
  return true;
}

/// Opens the directory of the first `count` parts, making what is missing; never through a link.
Result<core::UniqueFd> enter(int root, const Parts& parts, std::size_t count) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  constexpr mode_t kPrivate = 0700;
  core::UniqueFd here(::openat(root, ".", kFlags));
  for (std::size_t i = 0; i < count && here; ++i) {
    const std::string name(parts[i]);
    if (::mkdirat(here.get(), name.c_str(), kPrivate) != 0 && errno != EEXIST) {
      return fail(kUnpack, core::printable(name), errno);
    }
    core::UniqueFd next(::openat(here.get(), name.c_str(), kFlags));
    if (!next) {
      const int error = errno;
      return error == ENOTDIR || error == ELOOP
                 ? refuse(name, "a path goes through it, and it is no directory")
                 : fail(kUnpack, core::printable(name), error);
    }
    here = std::move(next);
  }
  if (!here) {
    return fail(kUnpack, "", errno);
  }
  return here;
}

Result<void> unpack_file(archive* in, archive_entry* entry, int directory,
                         const std::string& name) {
  if (lib().entry_size(entry) > static_cast<la_int64_t>(kFileLimit)) {
    return refuse(name, "it is larger than " + std::to_string(kFileLimit) + " bytes");
  }
  constexpr mode_t kPrivate = 0600;
  const core::UniqueFd file(::openat(
      directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kPrivate));
  if (!file) {
    return errno == EEXIST ? refuse(name, "it is there twice")
                           : fail(kUnpack, core::printable(name), errno);
  }
  constexpr std::size_t kBlock = 65536;
  std::string block(kBlock, '\0');
  std::size_t total = 0;
  for (;;) {
    const la_ssize_t got = lib().read_data(in, block.data(), block.size());
    if (got < 0) {
      return library_error(kUnpack, in);
    }
    if (got == 0) {
      break;
    }
    const auto size = static_cast<std::size_t>(got);
    total += size;
    if (total > kFileLimit) {
      return refuse(name, "it is larger than " + std::to_string(kFileLimit) + " bytes");
    }
    // A regular file takes all or fails.
    if (::write(file.get(), block.data(), size) != got) {
      return fail(kUnpack, core::printable(name), errno);
    }
  }
  const timespec changed{static_cast<time_t>(lib().entry_mtime(entry)), 0};
  const timespec both[2] = {changed, changed};
  static_cast<void>(::futimens(file.get(), &both[0]));  // a time that no file can have
  return {};
}

Result<void> unpack_entry(archive* in, archive_entry* entry, int root) {
  const char* const raw = lib().entry_pathname(entry);
  const auto parts = check_path(raw == nullptr ? std::string_view{} : std::string_view{raw});
  if (!parts) {
    return tl::make_unexpected(parts.error());
  }
  const auto type = lib().entry_filetype(entry);
  if (lib().entry_hardlink(entry) != nullptr ||
      (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)) {
    return refuse(raw, "it is neither file, directory nor symbolic link");
  }
  const bool is_directory = type == AE_IFDIR;
  if (parts->empty()) {
    return is_directory ? Result<void>{} : refuse(raw, "it has no name");
  }
  const auto directory = enter(root, *parts, parts->size() - (is_directory ? 0 : 1));
  if (!directory) {
    return tl::make_unexpected(directory.error());
  }
  const std::string name(parts->back());
  if (type == AE_IFREG) {
    return unpack_file(in, entry, directory->get(), name);
  }
  if (type == AE_IFLNK) {
    const char* const target = lib().entry_symlink(entry);
    if (target == nullptr || !stays_inside(target, parts->size() - 1)) {
      return refuse(raw, "it is a link that is absolute, or leads out of the snapshot");
    }
    if (::symlinkat(target, directory->get(), name.c_str()) != 0) {
      return errno == EEXIST ? refuse(raw, "it is there twice")
                             : fail(kUnpack, core::printable(raw), errno);
    }
  }
  return {};
}

}  // namespace

std::string relative_target(std::string_view path, std::string_view target) {
  Parts from = core::split(path, "/");
  if (!from.empty()) {
    from.pop_back();
  }
  if (stays_inside(target, from.size())) {
    return std::string(target);
  }
  Parts to = target.starts_with('/') ? Parts{} : from;
  for (const std::string_view part : core::split(target, "/")) {
    if (part == "..") {
      if (!to.empty()) {
        to.pop_back();
      }
    } else if (part != ".") {
      to.push_back(part);
    }
  }
  std::string relative = from.empty() ? "." : "..";
  for (std::size_t i = 1; i < from.size(); ++i) {
    relative += "/..";
  }
  for (const std::string_view part : to) {
    relative += "/" + std::string(part);
  }
  return relative;
}

Result<void> save_snapshot(const std::map<std::string, Seen>& seen, const LiveFacts& live,
                           const std::string& path) {
  if (const auto& library = archive_library(); !library) {
    return tl::make_unexpected(library.error());
  }
  constexpr mode_t kPrivate = 0600;
  const core::UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kPrivate));
  if (!file) {
    return fail("make", core::printable(path), errno);
  }
  auto written = write_all(seen, live, file.get());
  if (!written) {
    static_cast<void>(::unlink(path.c_str()));
  }
  return written;
}

Result<PrivateDirectory> PrivateDirectory::make() {
  const char* const home = std::getenv("TMPDIR");
  std::string pattern =
      std::string(home == nullptr || *home == '\0' ? "/tmp" : home) + "/rdmactl-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    return fail("make directory", pattern, errno);
  }
  return PrivateDirectory(std::move(pattern));
}

PrivateDirectory::~PrivateDirectory() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

Result<void> unpack_snapshot(const std::string& path, const std::string& directory) {
  const auto bytes = core::read_file(path, kPackedLimit);
  if (!bytes) {
    return tl::make_unexpected(bytes.error());
  }
  return unpack_snapshot_bytes(*bytes, directory);
}

Result<void> unpack_snapshot_bytes(std::string_view bytes, const std::string& directory) {
  if (const auto& library = archive_library(); !library) {
    return tl::make_unexpected(library.error());
  }
  const auto plain = expand(bytes);
  if (!plain) {
    return tl::make_unexpected(plain.error());
  }
  const core::UniqueFd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    return fail(kUnpack, directory, errno);
  }
  const Archive in = new_reader();
  lib().read_support_format_tar(in.get());
  if (lib().read_open_memory(in.get(), plain->data(), plain->size()) != ARCHIVE_OK) {
    return library_error(kUnpack, in.get());
  }
  for (std::size_t entries = 0;; ++entries) {
    archive_entry* entry = nullptr;
    const int status = lib().read_next_header(in.get(), &entry);
    if (status == ARCHIVE_EOF) {
      return entries > 0 ? Result<void>{} : refuse("", "there is nothing in it");
    }
    if (status != ARCHIVE_OK) {
      return library_error(kUnpack, in.get());
    }
    if (entries == kEntryLimit) {
      return refuse("", "it has more than " + std::to_string(kEntryLimit) + " entries");
    }
    if (auto unpacked = unpack_entry(in.get(), entry, root.get()); !unpacked) {
      return unpacked;
    }
  }
}

}  // namespace rdmaboot::rdmactl::doctor
