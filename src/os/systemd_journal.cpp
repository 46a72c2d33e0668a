// SPDX-License-Identifier: BSD-2-Clause
#include "os/systemd_journal.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

using Journal = core::UniqueHandle<sd_journal, sd_journal_close>;

int add_matches(sd_journal* journal, const JournalQuery& query) {
  int status = 0;
  for (const auto& group : query.any_of) {
    for (const std::string& match : group) {
      if (status >= 0) {
        status = sd_journal_add_match(journal, match.data(), match.size());
      }
    }
    if (status >= 0) {
      status = sd_journal_add_disjunction(journal);
    }
  }
  if (status >= 0 && query.this_boot) {
    sd_id128_t boot{};
    status = sd_id128_get_boot(&boot);
    std::string match(SD_ID128_STRING_MAX, '\0');
    sd_id128_to_string(boot, match.data());
    match = "_BOOT_ID=" + match.substr(0, SD_ID128_STRING_MAX - 1);
    if (status >= 0) {
      status = sd_journal_add_conjunction(journal);
    }
    if (status >= 0) {
      status = sd_journal_add_match(journal, match.data(), match.size());
    }
  }
  return status;
}

std::optional<std::string> value_of(sd_journal* journal, const std::string& field) {
  const void* data = nullptr;
  std::size_t size = 0;
  if (sd_journal_get_data(journal, field.c_str(), &data, &size) < 0) {
    return std::nullopt;
  }
  std::string_view text(static_cast<const char*>(data), size);
  text.remove_prefix(std::min(text.size(), field.size() + 1));
  return std::string(text.substr(0, kFieldLimit));
}

JournalEntry entry_at(sd_journal* journal, const std::vector<std::string>& fields) {
  JournalEntry entry;
  std::uint64_t usec = 0;
  if (sd_journal_get_realtime_usec(journal, &usec) >= 0) {
    entry.realtime = core::Microseconds(usec);
  }
  sd_id128_t boot{};
  if (sd_journal_get_monotonic_usec(journal, &usec, &boot) >= 0) {
    entry.monotonic = core::Microseconds(usec);
  }
  for (const std::string& field : fields) {
    if (auto value = value_of(journal, field)) {
      entry.fields.emplace(field, std::move(*value));
    }
  }
  return entry;
}

}  // namespace

std::string_view JournalEntry::field(std::string_view name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string_view{} : std::string_view{found->second};
}

core::Result<std::vector<JournalEntry>> read_journal(const JournalQuery& query,
                                                     const std::string& directory) {
  const std::string object = directory.empty() ? "the journal" : directory;
  sd_journal* raw = nullptr;
  int status = directory.empty() ? sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY)
                                 : sd_journal_open_directory(&raw, directory.c_str(), 0);
  const Journal journal(raw);
  if (status >= 0) {
    status = sd_journal_set_data_threshold(raw, kFieldLimit);
  }
  if (status >= 0) {
    status = add_matches(raw, query);
  }
  if (status >= 0) {
    status = sd_journal_seek_tail(raw);
  }
  std::vector<JournalEntry> entries;
  // Backwards, so that the last ones are read when there are too many.
  while (status >= 0 && entries.size() < query.most) {
    status = sd_journal_previous(raw);
    if (status <= 0) {
      break;
    }
    JournalEntry entry = entry_at(raw, query.fields);
    if (query.since && entry.realtime < *query.since) {
      break;
    }
    entries.push_back(std::move(entry));
  }
  if (status < 0) {
    return core::fail("read", object, -status);
  }
  std::reverse(entries.begin(), entries.end());
  return entries;
}

core::Result<void> journal_access(const std::vector<std::string>& directories) {
  namespace fs = std::filesystem;
  bool found = false;
  std::error_code ignored;
  for (const std::string& directory : directories) {
    for (const auto& machine : fs::directory_iterator(directory, ignored)) {
      const std::string file = machine.path() / "system.journal";
      if (::access(file.c_str(), R_OK) == 0) {
        return {};
      }
      found = found || errno == EACCES;
    }
  }
  if (found) {
    return core::fail("read", "the system's journal", EACCES,
                      "root, or the group systemd-journal or adm");
  }
  return core::fail("find", "the system's journal", ENOENT);
}

}  // namespace rdmaboot::os
