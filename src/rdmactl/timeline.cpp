// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/timeline.hpp"

#include <algorithm>
#include <ctime>

#include "core/text.hpp"
#include "rdmactl/table.hpp"

namespace rdmaboot::rdmactl {
namespace {

using core::Microseconds;

constexpr const char* kTarget = "rdma-hw.target";
constexpr std::string_view kLoader = "rdma-load-modules@";
constexpr std::string_view kService = ".service";
/// No chain of ours is longer; a loop of orderings would be.
constexpr std::size_t kLongestChain = 32;

bool is_ours(const std::string& unit) {
  return unit.starts_with("rdma-") || unit.starts_with("iwpmd");
}

bool is_after_target(const os::UnitTimes& unit) {
  return unit.name.ends_with(kService) &&
         std::find(unit.after.begin(), unit.after.end(), kTarget) != unit.after.end();
}

const os::UnitTimes* find_unit(const TimelineFacts& facts, const std::string& name) {
  const auto found = std::find_if(facts.units.begin(), facts.units.end(),
                                  [&](const os::UnitTimes& unit) { return unit.name == name; });
  return found == facts.units.end() ? nullptr : &*found;
}

/// The list that an instance of the loader is for; empty for other units.
std::string list_of(const std::string& unit) {
  if (!unit.starts_with(kLoader) || !unit.ends_with(kService)) {
    return {};
  }
  return unit.substr(kLoader.size(), unit.size() - kLoader.size() - kService.size());
}

Bar bar_of(const DeviceTimes& device, const TimelineFacts& facts) {
  Bar bar{BarKind::kDevice, device.name,   device.known, std::max(device.known, device.chardev),
          device.protocol,  device.chardev};
  for (const std::string& name :
       {std::string(kTarget), std::string(kLoader) + "rdma" + std::string(kService),
        std::string(kLoader) + device.protocol + std::string(kService)}) {
    const os::UnitTimes* const unit = find_unit(facts, name);
    if (unit != nullptr && unit->active > bar.end) {
      bar.end = unit->active;
    }
  }
  return bar;
}

/// The module of the list that was done last while the unit started.
const ModuleRun* last_module(const TimelineFacts& facts, const os::UnitTimes& unit,
                             const std::string& list) {
  const ModuleRun* last = nullptr;
  for (const ModuleRun& run : facts.modules) {
    if (run.list == list && run.ended >= unit.started && run.ended <= unit.active &&
        (last == nullptr || run.ended > last->ended)) {
      last = &run;
    }
  }
  return last;
}

/// The device whose uevent came last before that.
const DeviceTimes* device_before(const TimelineFacts& facts, Microseconds time) {
  const DeviceTimes* last = nullptr;
  for (const DeviceTimes& device : facts.devices) {
    if (device.known.count() > 0 && device.known <= time &&
        (last == nullptr || device.known > last->known)) {
      last = &device;
    }
  }
  return last;
}

/// Of the units that this one is ordered after: the one that was active last, before this one
/// began.
const os::UnitTimes* waited_for(const TimelineFacts& facts, const os::UnitTimes& unit) {
  const Microseconds begin = unit.started.count() > 0 ? unit.started : unit.active;
  const os::UnitTimes* last = nullptr;
  for (const std::string& name : unit.after) {
    const os::UnitTimes* const before = find_unit(facts, name);
    if (before != nullptr && is_ours(before->name) && before->active.count() > 0 &&
        before->active <= begin && (last == nullptr || before->active > last->active)) {
      last = before;
    }
  }
  return last;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : core::printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

std::string_view name_of(BarKind kind) {
  switch (kind) {
    case BarKind::kDevice:
      return "device";
    case BarKind::kModule:
      return "module";
    case BarKind::kUnit:
      break;
  }
  return "unit";
}

std::vector<Bar> bars_of(const TimelineFacts& facts) {
  std::vector<Bar> bars;
  for (const DeviceTimes& device : facts.devices) {
    if (device.known.count() > 0) {
      bars.push_back(bar_of(device, facts));
    }
  }
  for (const ModuleRun& run : facts.modules) {
    bars.push_back({BarKind::kModule, run.module, run.ended - std::min(run.took, run.ended),
                    run.ended, run.result + (run.list.empty() ? "" : ", list " + run.list),
                    Microseconds(0)});
  }
  for (const os::UnitTimes& unit : facts.units) {
    if ((is_ours(unit.name) || is_after_target(unit)) && unit.active.count() > 0) {
      const bool timed = unit.started.count() > 0 && unit.started <= unit.active;
      bars.push_back({BarKind::kUnit,
                      unit.name,
                      timed ? unit.started : unit.active,
                      unit.active,
                      {},
                      Microseconds(0)});
    }
  }
  std::erase_if(bars, [&](const Bar& bar) { return bar.end < facts.since; });
  std::stable_sort(bars.begin(), bars.end(),
                   [](const Bar& a, const Bar& b) { return a.begin < b.begin; });
  return bars;
}

std::string blame_text(const std::vector<Bar>& bars, const Terminal& terminal) {
  if (bars.empty()) {
    return "Nothing of RDMA in this time.\n";
  }
  std::vector<const Bar*> sorted;
  sorted.reserve(bars.size());
  for (const Bar& bar : bars) {
    sorted.push_back(&bar);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Bar* a, const Bar* b) {
    return a->end - a->begin > b->end - b->begin;
  });
  using enum Column::Side;
  Table table({{"TIME", kRight, 0},
               {"AT", kRight, 1},
               {"KIND", kLeft, 0},
               {"NAME", kLeft, 0},
               {"NOTE", kLeft, 2}});
  for (const Bar* const bar : sorted) {
    table.add({{duration_text(bar->end - bar->begin)},
               {duration_text(bar->begin)},
               {std::string(name_of(bar->kind))},
               {core::printable(bar->name)},
               {core::printable(bar->note)}});
  }
  return table.text(terminal);
}

nlohmann::json bars_json(const std::vector<Bar>& bars) {
  nlohmann::json all = nlohmann::json::array();
  for (const Bar& bar : bars) {
    all.push_back({{"kind", name_of(bar.kind)},
                   {"name", core::printable(bar.name)},
                   {"begin_usec", bar.begin.count()},
                   {"end_usec", bar.end.count()},
                   {"note", core::printable(bar.note)}});
  }
  return {{"bars", all}};
}

std::vector<Step> critical_chain(const TimelineFacts& facts, const std::string& unit) {
  std::vector<Step> chain;
  const os::UnitTimes* now = find_unit(facts, unit);
  if (now == nullptr || now->active.count() == 0) {
    return chain;
  }
  Microseconds first = now->active;
  while (now != nullptr && chain.size() < kLongestChain) {
    Step step{core::printable(now->name), now->active, std::nullopt};
    first = now->active;
    if (now->started.count() > 0 && now->started < now->active) {
      step.took = now->active - now->started;
      first = now->started;
    }
    chain.push_back(step);
    const std::string list = list_of(now->name);
    if (const ModuleRun* const run = list.empty() ? nullptr : last_module(facts, *now, list)) {
      chain.push_back({"module " + run->module, run->ended, run->took});
    }
    now = waited_for(facts, *now);
  }
  if (const DeviceTimes* const device = device_before(facts, first)) {
    chain.push_back({"device " + core::printable(device->name), device->known, std::nullopt});
  }
  return chain;
}

std::string chain_text(const std::vector<Step>& chain, const Terminal& terminal) {
  std::string out;
  for (std::size_t depth = 0; depth < chain.size(); ++depth) {
    const Step& step = chain[depth];
    std::string line = depth == 0 ? "" : std::string(2 * (depth - 1), ' ') + "└─";
    line += step.name + " @" + duration_text(step.at);
    if (step.took) {
      line += coloured(" +" + duration_text(*step.took), Colour::kRed, terminal);
    }
    out += line + "\n";
  }
  return out;
}

std::string plot_svg(const std::vector<Bar>& bars) {
  constexpr std::int64_t kWidth = 1000;
  constexpr std::int64_t kLane = 20;
  constexpr std::int64_t kTop = 40;
  constexpr std::int64_t kText = 400;  // room behind the last bar for its name
  Microseconds begin = bars.empty() ? Microseconds(0) : bars.front().begin;
  Microseconds end = begin + Microseconds(1);
  for (const Bar& bar : bars) {
    end = std::max(end, bar.end);
  }
  const auto place = [&](Microseconds time) {
    return (time - begin).count() * kWidth / (end - begin).count();
  };
  const auto lanes = static_cast<std::int64_t>(bars.size());
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
                    std::to_string(kWidth + kText) + "\" height=\"" +
                    std::to_string(kTop + (lanes + 1) * kLane) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
                    "<text x=\"10\" y=\"22\" font-size=\"16\">RDMA: " +
                    escaped(duration_text(end - begin)) + " from " + escaped(duration_text(begin)) +
                    " after the kernel started</text>\n";
  std::int64_t y = kTop;
  for (const Bar& bar : bars) {
    const char* const colour = bar.kind == BarKind::kDevice   ? "#4477aa"
                               : bar.kind == BarKind::kModule ? "#ccbb44"
                                                              : "#66ccee";
    const std::int64_t x = place(bar.begin);
    const std::int64_t width = std::max<std::int64_t>(place(bar.end) - x, 2);
    out += "<rect x=\"" + std::to_string(x + 10) + "\" y=\"" + std::to_string(y) + "\" width=\"" +
           std::to_string(width) + "\" height=\"" + std::to_string(kLane - 4) + "\" fill=\"" +
           colour + "\"/>\n";
    if (bar.mark > bar.begin && bar.mark < bar.end) {
      out += "<rect x=\"" + std::to_string(place(bar.mark) + 10) + "\" y=\"" + std::to_string(y) +
             "\" width=\"2\" height=\"" + std::to_string(kLane - 4) +
             "\" fill=\"#000000\"><title>nodes</title></rect>\n";
    }
    // Beside a short bar, inside one that leaves no room at the right.
    out += "<text x=\"" + std::to_string(x + 14) + "\" y=\"" + std::to_string(y + 13) + "\">" +
           escaped(std::string(name_of(bar.kind)) + " " + bar.name +
                   (bar.note.empty() ? "" : " (" + bar.note + ")") + " " +
                   duration_text(bar.end - bar.begin)) +
           "</text>\n";
    y += kLane;
  }
  return out + "</svg>\n";
}

core::Result<Microseconds> parse_since(std::string_view text, Microseconds now) {
  using std::chrono::seconds;
  constexpr std::int64_t kLongest = 10'000'000'000;  // seconds; some 300 years
  const auto within = [](const std::optional<std::int64_t>& value) {
    return value && *value >= 0 && *value <= kLongest;
  };
  if (text.starts_with('@')) {
    const auto at = core::parse_number<std::int64_t>(text.substr(1));
    if (within(at)) {
      return Microseconds(seconds(*at));
    }
  } else if (text.starts_with('-')) {
    std::string_view number = text.substr(1);
    std::int64_t unit = 1;
    const auto ends = [&](std::string_view ending, std::int64_t value) {
      if (number.ends_with(ending)) {
        number.remove_suffix(ending.size());
        unit = value;
        return true;
      }
      return false;
    };
    const bool known = ends("min", 60) || ends("h", 3600) || ends("s", 1);
    const auto count = core::parse_number<std::int64_t>(number);
    if (known && within(count)) {
      return std::max(now - Microseconds(seconds(*count * unit)), Microseconds(0));
    }
  } else {
    std::tm parts{};
    const std::string copy(text);
    const char* const rest = ::strptime(copy.c_str(), "%Y-%m-%d %H:%M:%S", &parts);
    parts.tm_isdst = -1;
    if (rest != nullptr && *rest == '\0') {
      return Microseconds(seconds(std::mktime(&parts)));
    }
  }
  return core::fail("understand the time", core::printable(text), 0,
                    "@SECONDS, -30s, -5min, -2h or \"2026-11-21 13:02:11\"");
}

}  // namespace rdmaboot::rdmactl
