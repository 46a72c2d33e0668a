// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/record.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "core/file.hpp"

namespace rdmaboot::iwpm {

core::Result<std::vector<SavedMapping>> Record::read() const {
  const auto text = core::read_file(path_, kSavedLimit);
  if (text) {
    return parse_saved(*text);
  }
  if (text.error().error_number == ENOENT) {
    return std::vector<SavedMapping>();
  }
  return tl::make_unexpected(text.error());
}

core::Result<void> Record::give_up(const char* attempt, int error) {
  fd_.reset();
  changes_.clear();
  ::unlink(path_.c_str());
  return core::fail(attempt, path_, error);
}

core::Result<void> Record::start(const MappingTable& mappings) {
  if (auto written = core::replace_file(path_, write_saved(mappings)); !written) {
    static_cast<void>(give_up("write", 0));
    return written;
  }
  changes_.clear();
  lines_ = mappings.all().size();
  fd_.reset(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  return fd_ ? core::Result<void>() : give_up("open", errno);
}

void Record::add(const Address& local, const Mapping* mapping) {
  if (fd_) {
    changes_ += saved_line(local, mapping);
    ++lines_;
  }
}

core::Result<void> Record::flush(const MappingTable& mappings) {
  if (changes_.empty()) {
    return {};
  }
  if (lines_ > 2 * mappings.all().size() + kSavedSlack) {
    return start(mappings);
  }
  for (std::string_view rest = changes_; !rest.empty();) {
    const ssize_t put = ::write(fd_.get(), rest.data(), rest.size());
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      return give_up("write", put < 0 ? errno : EIO);
    }
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  changes_.clear();
  return {};
}

}  // namespace rdmaboot::iwpm
