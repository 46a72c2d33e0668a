// SPDX-License-Identifier: BSD-2-Clause
// log.hpp for daemons that stay: the journal's datagrams written here, and plain text on standard
// error. spdlog and libsystemd would be most of such a program's memory.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "core/text.hpp"
#include "os/datagram.hpp"
#include "program/log.hpp"

namespace rdmaboot::program {
namespace {

constexpr std::size_t kLongestMessage = 2048;
constexpr std::string_view kJournal = "/run/systemd/journal/socket";

Level initial_level() {
  const char* const debug = std::getenv("RDMA_BOOT_DEBUG");
  return debug != nullptr && std::string_view(debug) == "1" ? Level::kDebug : Level::kInfo;
}

Level& threshold() {
  static Level level = initial_level();
  return level;
}

/// Whether the journal is at the other end of standard error ($JOURNAL_STREAM, as
/// sd_journal_stream_fd(3) describes it), or nobody is: a daemon in the background.
bool journal_is_wanted() {
  struct stat err {};
  struct stat null {};
  if (::fstat(STDERR_FILENO, &err) != 0) {
    return true;
  }
  if (S_ISCHR(err.st_mode) && ::stat("/dev/null", &null) == 0 && null.st_rdev == err.st_rdev) {
    return true;
  }
  const char* const stream = std::getenv("JOURNAL_STREAM");
  const auto parts = core::split(stream != nullptr ? stream : "", ":");
  return parts.size() == 2 && core::parse_number<dev_t>(parts[0]) == err.st_dev &&
         core::parse_number<ino_t>(parts[1]) == err.st_ino;
}

}  // namespace

void set_log_level(Level level) {
  threshold() = level;
}

void log(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (level < threshold()) {
    return;
  }
  const std::string text = core::printable(message, kLongestMessage);
  if (journal_is_wanted()) {
    // In the order of Level.
    constexpr std::array kPriorities = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};
    std::string entry = "MESSAGE=" + text + "\nPRIORITY=" +
                        std::to_string(kPriorities.at(static_cast<std::size_t>(level))) +
                        "\nSYSLOG_IDENTIFIER=" + program_invocation_short_name + "\n";
    for (const auto& [name, value] : fields) {
      entry.append(name).append("=").append(core::printable(value, kLongestMessage)).append("\n");
    }
    if (os::send_datagram(kJournal, entry)) {
      return;
    }
  }
  const std::string line = std::string(program_invocation_short_name) + ": " + text + "\n";
  static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
}

}  // namespace rdmaboot::program
