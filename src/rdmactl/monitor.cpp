// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/monitor.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace rdmaboot::rdmactl {
namespace {

constexpr std::size_t kSourceWidth = 8;
constexpr std::size_t kObjectWidth = 12;

std::string padded(std::string_view text, std::size_t width) {
  const std::size_t has = columns_of(text);
  return std::string(text) + std::string(has < width ? width - has : 0, ' ');
}

const Standing* find(const std::vector<Standing>& all, const std::string& port) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Standing& one) { return one.port == port; });
  return found == all.end() ? nullptr : &*found;
}

Event event_of(const Standing& standing) {
  Event event;
  event.source = Source::kReady;
  event.object = standing.port;
  event.what = device::name_of(standing.readiness);
  event.detail = "level " + standing.level;
  if (!standing.missing.empty()) {
    event.detail += ", " + standing.missing;
  }
  switch (standing.readiness) {
    case device::Readiness::kReady:
      event.colour = Colour::kGreen;
      break;
    case device::Readiness::kNotYet:
      event.colour = Colour::kYellow;
      break;
    case device::Readiness::kBroken:
      event.colour = Colour::kRed;
      break;
  }
  return event;
}

}  // namespace

std::string_view name_of(Source source) {
  switch (source) {
    case Source::kUdev:
      return "udev";
    case Source::kNetlink:
      return "netlink";
    case Source::kVerbs:
      return "verbs";
    case Source::kReady:
      break;
  }
  return "ready";
}

std::string event_line(const Event& event, core::Microseconds realtime, const Terminal& terminal) {
  const std::string begin = time_text(realtime) + "  " +
                            padded(std::string(name_of(event.source)), kSourceWidth) +
                            padded(event.object, kObjectWidth) + "  ";
  std::string rest = event.what + (event.detail.empty() ? "" : "  " + event.detail);
  if (terminal.width > columns_of(begin)) {
    rest = cut_to(rest, terminal.width - columns_of(begin));
  }
  return begin + coloured(rest, event.colour, terminal) + "\n";
}

nlohmann::json event_json(const Event& event, core::Microseconds realtime) {
  return {{"usec", realtime.count()},
          {"source", name_of(event.source)},
          {"object", event.object},
          {"event", event.what},
          {"detail", event.detail}};
}

std::optional<Event> event_of(const device::Change& change,
                              const std::vector<std::string>& netdevs) {
  const bool known = std::find(netdevs.begin(), netdevs.end(), change.name) != netdevs.end();
  if (change.subsystem == "net" && !known) {
    return std::nullopt;
  }
  Event event;
  event.object = core::printable(change.name);
  event.what = device::name_of(change.kind);
  event.detail = core::printable(change.subsystem);
  if (change.kind == device::ChangeKind::kMoved) {
    event.detail +=
        ", it was " +
        core::printable(change.previous_path.substr(change.previous_path.rfind('/') + 1));
  }
  if (change.kind == device::ChangeKind::kOverrun) {
    event.detail = "more came than could be kept: events are missing here";
    event.colour = Colour::kRed;
  }
  if (const auto protocol = change.property("ID_RDMA_PROTOCOL"); !protocol.empty()) {
    event.detail += ", " + core::printable(protocol);
  }
  return event;
}

Event event_of(const std::string& device, os::VerbsEvent event) {
  const auto words = [event]() -> const char* {
    switch (event) {
      case os::VerbsEvent::kPortActive:
        return "port active";
      case os::VerbsEvent::kPortError:
        return "port error";
      case os::VerbsEvent::kGidChange:
        return "GID table changed";
      case os::VerbsEvent::kLidChange:
        return "LID changed";
      case os::VerbsEvent::kPKeyChange:
        return "P_Key table changed";
      case os::VerbsEvent::kSmChange:
        return "subnet manager changed";
      case os::VerbsEvent::kDeviceFatal:
        return "fatal error";
      case os::VerbsEvent::kOther:
        break;
    }
    return "another event";
  };
  const bool bad = event == os::VerbsEvent::kPortError || event == os::VerbsEvent::kDeviceFatal;
  return {Source::kVerbs, core::printable(device), words(), {}, bad ? Colour::kRed : Colour::kNone};
}

std::vector<Standing> standings(const std::vector<PortStatus>& ports) {
  std::vector<Standing> all;
  all.reserve(ports.size());
  for (const PortStatus& port : ports) {
    all.push_back({name_of(port),
                   port.reached ? std::string(device::name_of(*port.reached)) : "none",
                   port.readiness, port.missing});
  }
  return all;
}

std::vector<Event> differences(const std::vector<Standing>& before,
                               const std::vector<Standing>& now) {
  std::vector<Event> events;
  for (const Standing& old : before) {
    if (find(now, old.port) == nullptr) {
      events.push_back({Source::kReady, old.port, "gone", {}, Colour::kGrey});
    }
  }
  for (const Standing& standing : now) {
    const Standing* const old = find(before, standing.port);
    if (old == nullptr || !(*old == standing)) {
      events.push_back(event_of(standing));
    }
  }
  return events;
}

}  // namespace rdmaboot::rdmactl
