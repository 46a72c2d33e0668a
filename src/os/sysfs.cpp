// SPDX-License-Identifier: BSD-2-Clause
#include "os/sysfs.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/text.hpp"

namespace rdmaboot::os {
namespace {

using core::fail;
using core::Result;
using core::UniqueFd;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
/// A lookup that must stay below the root is refused with EAGAIN when anything on the machine is
/// renamed meanwhile (openat2(2)).
constexpr int kMaxLookups = 64;

/// openat2() has no wrapper in the C library.
int open_in_root(int root, const std::string& path) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(kDirectoryFlags);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0; attempt < kMaxLookups; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) {
      return static_cast<int>(fd);
    }
  }
  return -1;
}

}  // namespace

Result<std::string> Directory::attribute(const std::string& name) const {
  // O_NONBLOCK: a FIFO in a recorded tree must not hang the reader.
  const UniqueFd file(
      ::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) {
    return fail("open", path_ + "/" + name, errno);
  }
  std::array<char, kAttributeLimit + 1> buffer;  // not cleared: read() says how much counts
  std::size_t used = 0;
  while (used < buffer.size()) {
    const std::size_t wanted = buffer.size() - used;
    const ssize_t got = ::read(file.get(), buffer.data() + used, wanted);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return fail("read", path_ + "/" + name, errno);
    }
    used += static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < wanted) {
      // Less than asked for is the end, both of an attribute and of a regular file; asking once
      // more would make it half as many system calls again.
      break;
    }
  }
  if (used > kAttributeLimit) {
    return fail("read", path_ + "/" + name, EFBIG,
                "expected at most " + std::to_string(kAttributeLimit) + " bytes");
  }
  if (used > 0 && buffer[used - 1] == '\n') {
    --used;
  }
  return std::string(buffer.data(), used);
}

Result<void> Directory::set_attribute(const std::string& name, std::string_view text) const {
  const std::string path = path_ + "/" + name;
  // O_TRUNC means nothing to sysfs; in a recorded tree it makes a shorter text replace a longer
  // one.
  const UniqueFd file(
      ::openat(fd_.get(), name.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  if (!file) {
    const int error = errno;
    constexpr mode_t kAnyWrite = S_IWUSR | S_IWGRP | S_IWOTH;
    struct stat status {};
    if (error == EACCES && ::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        (status.st_mode & kAnyWrite) == 0) {
      return fail("write", path, EOPNOTSUPP);
    }
    return fail("open", path, error);
  }
  ssize_t written = -1;
  do {
    written = ::write(file.get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    return fail("write", path, errno);
  }
  if (static_cast<std::size_t>(written) != text.size()) {
    return fail("write", path, EIO, "expected all " + std::to_string(text.size()) + " bytes taken");
  }
  return {};
}

Result<std::vector<std::string>> Directory::entries() const {
  // Not opendir(): it opens the directory once more and asks what it is, which would be half of all
  // system calls where every directory is listed once.
  constexpr std::size_t kChunk = 8192;
  alignas(dirent64) std::array<char, kChunk> buffer;  // not cleared: getdents64() says what counts
  std::vector<std::string> names;
  if (::lseek(fd_.get(), 0, SEEK_SET) < 0) {
    return fail("list", path_, errno);
  }
  while (true) {
    const ssize_t got = ::getdents64(fd_.get(), buffer.data(), buffer.size());
    if (got < 0) {
      return fail("list", path_, errno);
    }
    if (got == 0) {
      break;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      const auto* const entry =
          static_cast<const dirent64*>(static_cast<const void*>(buffer.data() + at));
      at += entry->d_reclen;
      const std::string_view name = static_cast<const char*>(entry->d_name);
      if (name == "." || name == "..") {
        continue;
      }
      if (names.size() >= kDirectoryLimit) {
        return fail("list", path_, EOVERFLOW,
                    "expected at most " + std::to_string(kDirectoryLimit) + " entries");
      }
      names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<Directory> Directory::subdirectory(const std::string& name) const {
  std::string path = path_ + "/" + name;
  UniqueFd fd(::openat(fd_.get(), name.c_str(), kDirectoryFlags | O_NOFOLLOW));
  if (!fd) {
    return fail("open", path, errno);
  }
  return Directory(std::move(fd), std::move(path));
}

Result<std::string> Directory::link(const std::string& name) const {
  constexpr std::size_t kLinkLimit = 4096;
  std::array<char, kLinkLimit> target;  // not cleared: readlinkat() says how much counts
  const ssize_t length = ::readlinkat(fd_.get(), name.c_str(), target.data(), target.size());
  if (length < 0) {
    return fail("read the link", path_ + "/" + name, errno);
  }
  if (static_cast<std::size_t>(length) == target.size()) {
    return fail("read the link", path_ + "/" + name, ENAMETOOLONG);
  }
  return std::string(target.data(), static_cast<std::size_t>(length));
}

std::uint64_t Directory::identity() const {
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 ? status.st_ino : 0;
}

Result<Tree> Tree::open(const std::string& root) {
  if (root.empty() || root == "/") {
    return Tree(UniqueFd(), "");
  }
  UniqueFd fd(::open(root.c_str(), kDirectoryFlags));
  if (!fd) {
    return fail("open", root, errno);
  }
  return Tree(std::move(fd), root);
}

Result<Directory> Tree::directory(const std::string& path) const {
  // This machine's own sysfs is opened in the ordinary way, which tools that stand in for a kernel
  // (umockdev) can see.
  UniqueFd fd(is_live() ? ::open(path.c_str(), kDirectoryFlags) : open_in_root(root_.get(), path));
  if (!fd) {
    return fail("open", prefix_ + path, errno);
  }
  return Directory(std::move(fd), prefix_ + path);
}

std::string resolve_link(std::string_view directory, std::string_view target) {
  std::vector<std::string_view> parts;
  if (!target.starts_with('/')) {
    parts = core::split(directory, "/");
  }
  for (const std::string_view part : core::split(target, "/")) {
    if (part == "..") {
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (part != ".") {
      parts.push_back(part);
    }
  }
  std::string path;
  for (const std::string_view part : parts) {
    path += '/';
    path += part;
  }
  return path.empty() ? "/" : path;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace rdmaboot::os
