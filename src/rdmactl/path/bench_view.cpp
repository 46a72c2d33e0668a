// SPDX-License-Identifier: BSD-2-Clause
// What `rdmactl bench` tells. Pure.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/text.hpp"
#include "rdmactl/path/bench.hpp"
#include "rdmactl/table.hpp"

namespace rdmaboot::rdmactl {
namespace {

/// A number with about three digits: "9.31", "87.3", "873".
std::string three_digits(double value) {
  std::array<char, 32> text{};
  const int behind = value < 10 ? 2 : value < 100 ? 1 : 0;
  const int length = std::snprintf(text.data(), text.size(), "%.*f", behind, value);
  return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
}

const char* name_of(const Phase& phase) {
  return phase.get ? "get" : "put";
}

}  // namespace

std::string size_text(std::size_t bytes) {
  constexpr std::size_t kKilo = 1U << 10U;
  constexpr std::size_t kMega = 1U << 20U;
  if (bytes >= kMega && bytes % kMega == 0) {
    return std::to_string(bytes / kMega) + " MiB";
  }
  if (bytes >= kKilo && bytes % kKilo == 0) {
    return std::to_string(bytes / kKilo) + " KiB";
  }
  return std::to_string(bytes) + " B";
}

std::string rate_text(double rate) {
  constexpr double kGiga = 1e9;
  constexpr double kMega = 1e6;
  constexpr double kKilo = 1e3;
  if (rate >= kGiga) {
    return three_digits(rate / kGiga) + " GB/s";
  }
  return rate >= kMega ? three_digits(rate / kMega) + " MB/s"
                       : three_digits(rate / kKilo) + " kB/s";
}

core::Result<std::size_t> parse_size(std::string_view text) {
  const std::string_view whole = text;
  std::size_t unit = 1;
  if (text.ends_with('K') || text.ends_with('M')) {
    unit = text.ends_with('K') ? 1U << 10U : 1U << 20U;
    text.remove_suffix(1);
  }
  const auto number = core::parse_number<std::size_t>(text);
  if (!number || *number == 0 || *number > kLargestSize / unit) {
    return core::fail("read size", "\"" + core::printable(whole) + "\"", 0,
                      "expected bytes, or a number with K or M, up to " + size_text(kLargestSize));
  }
  return *number * unit;
}

std::string bench_text(const std::vector<Measured>& results, const Terminal& terminal) {
  using enum Column::Side;
  Table table({{"WHAT", kLeft, 0},
               {"SIZE", kRight, 0},
               {"AT ONCE", kRight, 4},
               {"TRANSFERS", kRight, 3},
               {"RATE", kRight, 0},
               {"MIN", kRight, 2},
               {"MEDIAN", kRight, 0},
               {"90 %", kRight, 5},
               {"99 %", kRight, 1},
               {"99.9 %", kRight, 6},
               {"MAX", kRight, 2}});
  for (const Measured& one : results) {
    table.add({{name_of(one.phase)},
               {size_text(one.phase.size)},
               {std::to_string(one.phase.depth)},
               {std::to_string(one.transfers)},
               {rate_text(one.rate())},
               {duration_text(one.latency.least)},
               {duration_text(one.latency.p50)},
               {duration_text(one.latency.p90)},
               {duration_text(one.latency.p99)},
               {duration_text(one.latency.p999)},
               {duration_text(one.latency.most)}});
  }
  return table.text(terminal);
}

nlohmann::json bench_json(const std::vector<Measured>& results, engine::Nid from, engine::Nid peer,
                          const std::string& device) {
  nlohmann::json list = nlohmann::json::array();
  for (const Measured& one : results) {
    list.push_back({{"operation", name_of(one.phase)},
                    {"size", one.phase.size},
                    {"at_once", one.phase.depth},
                    {"transfers", one.transfers},
                    {"bytes", one.bytes()},
                    {"usec", one.took.count()},
                    {"bytes_per_second", one.rate()},
                    {"bytes_compared", one.phase.get ? one.bytes() : 0},
                    {"latency_usec", latencies_json(one.latency)}});
  }
  return {{"from", to_string(from)},
          {"peer", to_string(peer)},
          {"device", device},
          {"results", std::move(list)}};
}

std::string progress_text(const Progress& progress, std::size_t width) {
  constexpr std::size_t kBar = 20;
  constexpr double kPercent = 100;
  const auto full = static_cast<std::size_t>(std::lround(progress.share * kBar));
  std::string percent = std::to_string(std::lround(progress.share * kPercent));
  percent.insert(0, 3 - std::min<std::size_t>(percent.size(), 3), ' ');
  const std::string bar = "[" + std::string(std::min(full, kBar), '#') +
                          std::string(kBar - std::min(full, kBar), '.') + "]";
  return cut_to(bar + " " + percent + " %  " + name_of(progress.phase) + " " +
                    size_text(progress.phase.size) + "  " + rate_text(progress.rate),
                width);
}

}  // namespace rdmaboot::rdmactl
