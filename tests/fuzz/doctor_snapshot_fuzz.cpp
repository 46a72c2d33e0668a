// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-doctor
// A snapshot with hostile contents, from the bytes of the file to the report about it. Whatever is
// unpacked, no link in it leads out, and every text can be shown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <unistd.h>

#include "rdmactl/doctor/archive.hpp"
#include "rdmactl/doctor/gather.hpp"
#include "rdmactl/doctor/report.hpp"
#include "temporary_directory.hpp"

namespace {

using namespace rdmaboot;
using namespace rdmaboot::rdmactl::doctor;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

std::filesystem::path memory() {
  const std::filesystem::path shared = "/dev/shm";
  return ::access(shared.c_str(), W_OK) == 0 ? shared : std::filesystem::temp_directory_path();
}

/// Only what could be unpacked is there, and every link that leads anywhere leads inside.
void check_tree(const std::string& root) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const auto type = entry.symlink_status().type();
    require(type == std::filesystem::file_type::regular ||
            type == std::filesystem::file_type::directory ||
            type == std::filesystem::file_type::symlink);
    if (type == std::filesystem::file_type::symlink) {
      std::error_code nowhere;
      const std::string end = std::filesystem::canonical(entry.path(), nowhere);
      require(nowhere || end == root || end.starts_with(root + "/"));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(static_cast<const char*>(static_cast<const void*>(data)), size);
  const auto facts = parse_live(bytes);
  if (facts) {
    require(parse_live(live_json(*facts).dump()).has_value());
  }
  UnitFile unit;
  parse_unit(bytes, unit);
  const test::TemporaryDirectory home(memory());
  static_cast<void>(unpack_snapshot_bytes(bytes, home.path("")));
  check_tree(home.path(""));
  Tree tree(home.path(""));
  std::vector<core::Error> notes;
  if (const auto examined = gather(tree, notes)) {
    const auto outcomes = run_checks(*examined, {});
    require(report_text(outcomes, {}).find('\x1b') == std::string::npos);
    static_cast<void>(report_json(*examined, outcomes, notes).dump());
  }
  return 0;
}
