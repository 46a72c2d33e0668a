// SPDX-License-Identifier: BSD-2-Clause
#include "device/description_config.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <fnmatch.h>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"

namespace rdmaboot::device {
namespace {

constexpr std::string_view kSections = "expected [NodeDescription], [Device GLOB] or [Board GLOB]";

/// What a section's name means.
struct Section {
  std::optional<DescriptionRule::By> by;  ///< nothing: the general one
  std::string pattern;
};

std::optional<Section> read_section(std::string_view name) {
  if (name == "NodeDescription") {
    return Section{};
  }
  for (const auto& [word, by] :
       {std::pair<std::string_view, DescriptionRule::By>{"Device ", DescriptionRule::By::kDevice},
        std::pair<std::string_view, DescriptionRule::By>{"Board ", DescriptionRule::By::kBoard}}) {
    if (name.starts_with(word)) {
      const std::string_view pattern = core::trim(name.substr(word.size()));
      if (pattern.empty() || pattern.size() > kDescriptionPatternLimit) {
        return std::nullopt;
      }
      return Section{by, std::string(pattern)};
    }
  }
  return std::nullopt;
}

/// Why an entry is of no use, or nothing after it was taken.
std::optional<std::string> take(const core::IniEntry& entry, DescriptionConfig& config) {
  const auto section = read_section(entry.section);
  if (!section) {
    return std::string(kSections);
  }
  if (entry.key != "Format") {
    return "expected Format=";
  }
  auto format = DescriptionFormat::parse(entry.value);
  if (!format) {
    return format.error().detail;
  }
  if (!section->by) {
    config.general = std::move(*format);
  } else if (config.rules.size() < kMostDescriptionRules) {
    config.rules.push_back({*section->by, section->pattern, std::move(*format)});
  } else {
    return "expected at most " + std::to_string(kMostDescriptionRules) + " sections";
  }
  return std::nullopt;
}

void bound(std::vector<core::Error>& errors) {
  if (errors.size() > kMostDescriptionErrors) {
    const std::size_t more = errors.size() - kMostDescriptionErrors;
    errors.resize(kMostDescriptionErrors);
    errors.push_back(
        core::fail("read configuration", "rdma-ndd.conf", 0, std::to_string(more) + " more errors")
            .value());
  }
}

}  // namespace

const DescriptionFormat& DescriptionConfig::format_for(const std::string& device,
                                                       const std::string& board_id) const {
  const auto last_match = [&](DescriptionRule::By by,
                              const std::string& value) -> const DescriptionFormat* {
    for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
      if (rule->by == by && ::fnmatch(rule->pattern.c_str(), value.c_str(), 0) == 0) {
        return &rule->format;
      }
    }
    return nullptr;
  };
  if (const DescriptionFormat* const own = last_match(DescriptionRule::By::kDevice, device)) {
    return *own;
  }
  if (!board_id.empty()) {
    if (const DescriptionFormat* const shared = last_match(DescriptionRule::By::kBoard, board_id)) {
      return *shared;
    }
  }
  return general;
}

void parse_description_config(std::string_view text, std::string_view file,
                              DescriptionConfig& config, std::vector<core::Error>& errors) {
  core::IniFile ini = core::parse_ini(text, file);
  std::move(ini.errors.begin(), ini.errors.end(), std::back_inserter(errors));
  for (const core::IniEntry& entry : ini.entries) {
    if (const auto wrong = take(entry, config)) {
      errors.push_back(
          core::fail("use line " + std::to_string(entry.line) + " of", file, 0, *wrong).value());
    }
  }
}

DescriptionReading read_description_config(const std::string& root, const char* environment) {
  DescriptionReading reading;
  const core::ConfigLayers layers = core::ConfigLayers::rdma("", root);
  core::ConfigFiles files = core::find_config(layers, "rdma-ndd.conf");
  std::move(files.errors.begin(), files.errors.end(), std::back_inserter(reading.errors));
  for (const std::string& path : files.paths) {
    const auto text = core::read_file(path);
    if (!text) {
      reading.errors.push_back(text.error());
      continue;
    }
    parse_description_config(*text, path, reading.config, reading.errors);
  }
  bound(reading.errors);
  if (environment != nullptr) {
    auto format = DescriptionFormat::parse(environment);
    if (format) {
      reading.config.general = std::move(*format);
    } else {
      reading.errors.push_back(
          core::fail("use", "RDMA_NDD_ND_FORMAT", 0, format.error().detail).value());
    }
  }
  return reading;
}

}  // namespace rdmaboot::device
