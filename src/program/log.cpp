// SPDX-License-Identifier: BSD-2-Clause
#include "program/log.hpp"

#include <cerrno>
#include <cstdlib>
#include <vector>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "core/text.hpp"

namespace rdmaboot::program {
namespace {

constexpr std::size_t kLongestMessage = 2048;

Level initial_level() {
  const char* const debug = std::getenv("RDMA_BOOT_DEBUG");
  return debug != nullptr && std::string_view(debug) == "1" ? Level::kDebug : Level::kInfo;
}

Level& threshold() {
  static Level level = initial_level();
  return level;
}

/// systemd tells in $JOURNAL_STREAM (device:inode of standard error) that the journal is at the
/// other end, as sd_journal_stream_fd(3) describes. Only then are native entries wanted: whoever
/// redirects standard error expects to find the text there.
bool journal_listens() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) {
    return false;
  }
  const auto parts = core::split(stream, ":");
  struct stat err {};
  if (parts.size() != 2 || ::fstat(STDERR_FILENO, &err) != 0) {
    return false;
  }
  return core::parse_number<dev_t>(parts[0]) == err.st_dev &&
         core::parse_number<ino_t>(parts[1]) == err.st_ino;
}

int priority(Level level) {
  switch (level) {
    case Level::kDebug:
      return LOG_DEBUG;
    case Level::kInfo:
      return LOG_INFO;
    case Level::kWarning:
      return LOG_WARNING;
    case Level::kError:
      break;
  }
  return LOG_ERR;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      break;
  }
  return spdlog::level::err;
}

spdlog::logger& terminal_logger() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>(
        program_invocation_short_name, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%n: %^%v%$");
    made->set_level(spdlog::level::debug);
    return made;
  }();
  return *logger;
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
  static const bool to_journal = journal_listens();
  if (!to_journal) {
    terminal_logger().log(spdlog_level(level), "{}", text);
    return;
  }
  std::vector<std::string> entries;
  entries.reserve(fields.size() + 2);
  entries.push_back("MESSAGE=" + text);
  entries.push_back("PRIORITY=" + std::to_string(priority(level)));
  for (const auto& [name, value] : fields) {
    entries.push_back(std::string(name) + "=" + core::printable(value, kLongestMessage));
  }
  std::vector<iovec> vectors;
  vectors.reserve(entries.size());
  for (std::string& entry : entries) {
    vectors.push_back({entry.data(), entry.size()});
  }
  if (sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) < 0) {
    terminal_logger().log(spdlog_level(level), "{}", text);
  }
}

}  // namespace rdmaboot::program
