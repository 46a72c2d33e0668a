// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/doctor/unit_file.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kLock = "CAP_IPC_LOCK";

bool is_yes(std::string_view value) {
  return value == "yes" || value == "true" || value == "on" || value == "1";
}

void append(std::vector<std::string>& names, std::string_view value) {
  for (const std::string_view name : core::split(value, kBlanks)) {
    names.emplace_back(name);
  }
}

void take_dependency(std::string_view key, std::string_view value, UnitFile& unit) {
  if (key == "After" || key == "Before") {
    append(unit.after, value);
  } else if (key == "Requires" || key == "Requisite" || key == "BindsTo") {
    append(unit.needs, value);
  } else if (key == "Wants" || key == "PartOf" || key == "Upholds") {
    append(unit.wants, value);
  }
}

/// An empty value takes back what was said before (systemd.exec(5)).
void take_service(std::string_view key, std::string_view value, UnitFile& unit) {
  const bool has_lock = value.find(kLock) != std::string_view::npos;
  if (key == "User") {
    unit.user = value;
  } else if (key == "DynamicUser" && is_yes(value) && unit.user.empty()) {
    unit.user = "-";
  } else if (key == "ExecStart") {
    unit.exec = value;
  } else if (key == "LimitMEMLOCK") {
    unit.memory_lock = parse_limit(value);
  } else if (key == "AmbientCapabilities") {
    unit.may_lock = (unit.may_lock && !value.empty()) || has_lock;
  } else if (key == "CapabilityBoundingSet") {
    unit.bounded = value.starts_with('~') ? has_lock : !has_lock;
  }
}

void take_line(std::string_view line, std::string& section, UnitFile& unit) {
  line = core::trim(line);
  if (line.empty() || line.front() == '#' || line.front() == ';') {
    return;
  }
  if (line.front() == '[') {
    section = line;
    return;
  }
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    return;
  }
  const std::string_view key = core::trim(line.substr(0, equals));
  const std::string_view value = core::trim(line.substr(equals + 1));
  if (section == "[Unit]") {
    take_dependency(key, value, unit);
  } else if (section == "[Service]") {
    take_service(key, value, unit);
  }
}

}  // namespace

void parse_unit(std::string_view text, UnitFile& unit) {
  std::string section;
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    line += text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\\') && !text.empty()) {
      line.back() = ' ';
      continue;
    }
    take_line(line, section, unit);
    line.clear();
  }
}

std::optional<std::uint64_t> parse_limit(std::string_view text) {
  text = core::trim(text.substr(0, text.find(':')));
  if (text == "infinity") {
    return UINT64_MAX;
  }
  constexpr std::string_view kUnits = "KMGTPE";
  constexpr unsigned kBitsAUnit = 10;
  unsigned shift = 0;
  if (!text.empty()) {
    if (const std::size_t unit = kUnits.find(text.back()); unit != std::string_view::npos) {
      shift = kBitsAUnit * (static_cast<unsigned>(unit) + 1);
      text.remove_suffix(1);
    }
  }
  const auto number = core::parse_number<std::uint64_t>(text);
  if (!number || *number > UINT64_MAX >> shift) {
    return std::nullopt;
  }
  return *number << shift;
}

bool is_rdma_name(std::string_view unit) {
  constexpr auto kPrefixes = std::to_array<std::string_view>(
      {"rdma.", "rdma-", "openib", "opensm", "iwpmd", "ibacm", "srp_daemon", "mlnx", "ofed",
       "infiniband", "opa-", "opafm"});
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [unit](std::string_view prefix) { return unit.starts_with(prefix); });
}

std::string template_of(std::string_view unit) {
  const std::size_t at = unit.find('@');
  const std::size_t dot = unit.rfind('.');
  if (at == std::string_view::npos || dot == std::string_view::npos || dot < at) {
    return std::string(unit);
  }
  return std::string(unit.substr(0, at + 1)) + std::string(unit.substr(dot));
}

}  // namespace rdmaboot::rdmactl::doctor
