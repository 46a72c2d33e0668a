// SPDX-License-Identifier: BSD-2-Clause
#include "core/file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::core {

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  // O_NONBLOCK: opening a FIFO that somebody put in the place of a file must not hang a boot.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    return fail("open", path, errno);
  }
  std::string content;
  constexpr std::size_t kChunk = 4096;
  while (true) {
    const std::size_t used = content.size();
    content.resize(used + kChunk);
    const ssize_t got = ::read(file.get(), content.data() + used, kChunk);
    if (got < 0) {
      const int error = errno;
      content.resize(used);
      if (error == EINTR) {
        continue;
      }
      return fail("read", path, error);
    }
    content.resize(used + static_cast<std::size_t>(got));
    if (content.size() > limit) {
      return fail("read", path, EFBIG, "expected at most " + std::to_string(limit) + " bytes");
    }
    if (got == 0) {
      return content;
    }
  }
}

Result<void> replace_file(const std::string& path, std::string_view content) {
  std::string temporary = path + ".XXXXXX";
  UniqueFd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) {
    return fail("create", temporary, errno);
  }
  const auto give_up = [&](std::string_view attempt) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return fail(attempt, path, error);
  };
  while (!content.empty()) {
    const ssize_t put = ::write(file.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      return give_up("write");
    }
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  constexpr mode_t kReadableByAll = 0644;
  if (::fchmod(file.get(), kReadableByAll) != 0) {
    return give_up("set the mode of");
  }
  if (::close(file.release()) != 0) {
    return give_up("close");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return give_up("replace");
  }
  return {};
}

}  // namespace rdmaboot::core
