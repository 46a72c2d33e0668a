// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
// What iwpmd reads as text: its configuration, and the table an earlier process left.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "iwpm/saved.hpp"
#include "iwpm/settings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rdmaboot::iwpm;
  const std::string text(data, data + size);
  SettingsRead read;
  add_settings(text, "iwpmd.conf", read);
  if (read.settings.peer_timeout.count() < 1 || read.settings.peer_timeout.count() > 10) {
    std::abort();
  }
  MappingTable table;
  for (const SavedMapping& saved : parse_saved(text)) {
    Mapping mapping;
    mapping.mapped = saved.mapped;
    mapping.references = saved.references;
    mapping.client = saved.client;
    table.insert(saved.local, mapping);
  }
  if (parse_saved(write_saved(table)).size() != table.all().size()) {
    std::abort();
  }
  return 0;
}
