// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/metrics.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "core/text.hpp"

namespace rdmaboot::rdmactl {
namespace {

using device::Level;
using device::Readiness;
using Labels = std::vector<std::pair<std::string_view, std::string>>;

/// IBTA counts the data of a port in units of four bytes (PortXmitData, PortRcvData).
constexpr std::uint64_t kBytesADataUnit = 4;
constexpr std::uint64_t kBitsAByte = 8;
constexpr std::uint64_t kMega = 1'000'000;
/// Not a counter: how long a driver keeps what it has read (milliseconds).
constexpr std::string_view kLifespan = "lifespan";

std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : core::printable(value)) {
    text += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : std::string(1, c);
  }
  return text;
}

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

/// Seconds with microseconds, without the point of the locale.
std::string seconds(core::Microseconds time) {
  constexpr std::int64_t kSecond = 1'000'000;
  const std::string rest = std::to_string(time.count() % kSecond);
  return std::to_string(time.count() / kSecond) + "." + std::string(6 - rest.size(), '0') + rest;
}

class Writer {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "rdma_boot_" + std::string(name);
    head_ = "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
            std::string(type) + "\n";
  }

  void sample(const Labels& labels, const std::string& value) {
    text_ += std::exchange(head_, {}) + name_;
    for (const auto& [key, label] : labels) {
      text_ += (&key == &labels.front().first ? "{" : ",") + std::string(key) + "=\"" +
               escaped(label) + "\"";
    }
    text_ += (labels.empty() ? " " : "} ") + value + "\n";
  }

  std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string head_;  ///< written before the first sample: no family is empty
  std::string text_;
};

Labels labels_of(const PortStatus& status) {
  return {{"device", status.device->name},
          {"port", status.port == nullptr ? "" : std::to_string(status.port->number.value)}};
}

template <typename Value>
void each_port(Writer& out, const MetricsFacts& facts, Value value) {
  for (const PortStatus& status : facts.ports) {
    if (status.port == nullptr) {
      continue;
    }
    if (const std::optional<std::uint64_t> told = value(*status.port)) {
      out.sample(labels_of(status), number(*told));
    }
  }
}

void write_devices(Writer& out, const MetricsFacts& facts) {
  out.family("device_info", "gauge", "An RDMA device; the value is always 1.");
  for (const device::Device& device : facts.snapshot->devices) {
    out.sample({{"device", device.name},
                {"protocol", std::string(protocol_name(device.protocol))},
                {"driver", device.driver},
                {"firmware", device.firmware_version.value_or("")},
                {"board_id", device.board_id.value_or("")},
                {"pci_address", device.pci_address}},
               "1");
  }
}

void write_ports(Writer& out, const MetricsFacts& facts) {
  using Number = std::optional<std::uint64_t>;
  out.family("port_state_id", "gauge",
             "Logical state of a port: 1 DOWN, 2 INIT, 3 ARMED, 4 ACTIVE, 5 ACTIVE_DEFER.");
  each_port(out, facts, [](const device::Port& port) {
    return port.state ? Number(static_cast<std::uint64_t>(*port.state)) : Number();
  });
  out.family("port_physical_state_id", "gauge",
             "Physical state of a port: 1 Sleep, 2 Polling, 3 Disabled, 4 Training, 5 LinkUp, "
             "6 ErrorRecovery, 7 PhyTest.");
  each_port(out, facts, [](const device::Port& port) {
    return port.physical_state ? Number(static_cast<std::uint64_t>(*port.physical_state))
                               : Number();
  });
  out.family("port_rate_bytes_per_second", "gauge", "Speed of a port's link.");
  each_port(out, facts, [](const device::Port& port) {
    return port.rate ? Number(port.rate->megabits_per_second * kMega / kBitsAByte) : Number();
  });
  out.family("port_gids", "gauge", "Entries of a port's GID table that are in use.");
  each_port(out, facts, [](const device::Port& port) { return Number(port.gids.size()); });
}

void write_readiness(Writer& out, const MetricsFacts& facts) {
  out.family(
      "port_ready", "gauge",
      "Whether a port has reached a level of rdma-wait-online(8). A device without ports has "
      "an empty port.");
  for (const PortStatus& status : facts.ports) {
    for (const Level level : {Level::kDevice, Level::kChardev, Level::kPort, Level::kAddress}) {
      Labels labels = labels_of(status);
      labels.emplace_back("level", device::name_of(level));
      out.sample(labels, status.reached && *status.reached >= level ? "1" : "0");
    }
  }
  out.family("port_broken", "gauge", "Whether a port needs somebody to do something.");
  for (const PortStatus& status : facts.ports) {
    out.sample(labels_of(status), status.readiness == Readiness::kBroken ? "1" : "0");
  }
}

/// Counters for which `wanted` is true.
template <typename Wanted>
void write_counters(Writer& out, const MetricsFacts& facts, bool named, std::uint64_t unit,
                    Wanted wanted) {
  for (const auto& [device, counters] : facts.counters) {
    for (const PortCounter& counter : counters) {
      if (!wanted(counter)) {
        continue;
      }
      Labels labels = {{"device", device}, {"port", std::to_string(counter.port)}};
      if (named) {
        labels.emplace_back("counter", counter.name);
      }
      out.sample(labels, number(counter.value * unit));
    }
  }
}

void write_all_counters(Writer& out, const MetricsFacts& facts) {
  constexpr std::string_view kReceived = "port_rcv_data";
  constexpr std::string_view kSent = "port_xmit_data";
  out.family("port_received_bytes_total", "counter", "Data that a port has received.");
  write_counters(out, facts, false, kBytesADataUnit, [&](const PortCounter& counter) {
    return !counter.hardware && counter.name == kReceived;
  });
  out.family("port_transmitted_bytes_total", "counter", "Data that a port has sent.");
  write_counters(out, facts, false, kBytesADataUnit, [&](const PortCounter& counter) {
    return !counter.hardware && counter.name == kSent;
  });
  out.family("port_statistics_total", "counter",
             "Other counters of a port, by the kernel's names (counters in sysfs).");
  write_counters(out, facts, true, 1, [&](const PortCounter& counter) {
    return !counter.hardware && counter.name != kReceived && counter.name != kSent;
  });
  out.family("port_hw_statistics_total", "counter",
             "Counters that a driver has for a port (hw_counters in sysfs).");
  write_counters(out, facts, true, 1, [&](const PortCounter& counter) {
    return counter.hardware && counter.name != kLifespan;
  });
}

void write_modules(Writer& out, const MetricsFacts& facts) {
  out.family("module_load_result", "gauge",
             "How the last attempt to load a module ended in this boot; the value is always 1.");
  for (const ModuleRun& run : facts.modules) {
    out.sample({{"module", run.module}, {"list", run.list}, {"result", run.result}}, "1");
  }
  out.family("module_load_duration_seconds", "gauge",
             "How long the last attempt to load a module took.");
  for (const ModuleRun& run : facts.modules) {
    out.sample({{"module", run.module}}, seconds(run.took));
  }
}

bool is_metric_word(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

/// Counters of a daemon's answer, by their names. @param wanted which of them
template <typename Wanted>
void write_events(Writer& out, const nlohmann::json& answer, Wanted wanted) {
  const nlohmann::json counters = answer.value("counters", nlohmann::json());
  if (!counters.is_object()) {
    return;
  }
  for (const auto& [name, value] : counters.items()) {
    if (is_metric_word(name) && value.is_number_unsigned() && wanted(name)) {
      out.sample({{"event", name}}, value.dump());
    }
  }
}

void write_mapper(Writer& out, const MetricsFacts& facts) {
  out.family("mapper_up", "gauge", "Whether the iWARP port mapper, iwpmd(8), answers.");
  out.sample({}, facts.mapper ? "1" : "0");
  if (!facts.mapper) {
    return;
  }
  const nlohmann::json mappings = facts.mapper->value("mappings", nlohmann::json());
  if (mappings.is_array()) {
    out.family("mapper_mappings", "gauge", "Mappings in the table of the iWARP port mapper.");
    out.sample({}, number(mappings.size()));
  }
  out.family("mapper_events_total", "counter",
             "What the iWARP port mapper has counted since it started, see iwpmd(8).");
  write_events(out, *facts.mapper, [](std::string_view) { return true; });
}

/// A member of the answer's counters, as a family of its own.
void write_counter(Writer& out, const nlohmann::json& answer, const char* name) {
  const nlohmann::json counters = answer.value("counters", nlohmann::json());
  const nlohmann::json value =
      counters.is_object() ? counters.value(name, nlohmann::json()) : nlohmann::json();
  if (value.is_number_unsigned()) {
    out.sample({}, value.dump());
  }
}

void write_responder(Writer& out, const MetricsFacts& facts) {
  constexpr const char* kMemory = "memory_bytes";
  constexpr const char* kWritten = "bytes_written";
  out.family("responder_up", "gauge", "Whether rdma-responder(8) answers.");
  out.sample({}, facts.responder ? "1" : "0");
  if (!facts.responder) {
    return;
  }
  const nlohmann::json& answer = *facts.responder;
  const nlohmann::json nid = answer.value("nid", nlohmann::json());
  out.family("responder_serving", "gauge",
             "Whether the responder has found its RDMA port; otherwise it waits for it.");
  out.sample({}, nid.is_string() ? "1" : "0");
  const nlohmann::json peers = answer.value("peers", nlohmann::json());
  if (peers.is_array()) {
    std::uint64_t connections = 0;
    for (const nlohmann::json& peer : peers) {
      const nlohmann::json of_peer =
          peer.is_object() ? peer.value("connections", nlohmann::json()) : nlohmann::json();
      connections += of_peer.is_array() ? of_peer.size() : 0;
    }
    out.family("responder_peers", "gauge", "Peers that the responder's engine knows.");
    out.sample({}, number(peers.size()));
    out.family("responder_connections", "gauge", "RDMA connections that it has with them.");
    out.sample({}, number(connections));
  }
  out.family("responder_memory_bytes", "gauge",
             "Memory that the engine has registered for itself.");
  write_counter(out, answer, kMemory);
  out.family("responder_written_bytes_total", "counter",
             "Data that the engine has written into the memory of peers by RDMA.");
  write_counter(out, answer, kWritten);
  out.family("responder_events_total", "counter",
             "What the engine has counted since it began to serve, see rdma-responder(8).");
  write_events(out, answer,
               [&](std::string_view name) { return name != kMemory && name != kWritten; });
}

}  // namespace

std::string metrics_text(const MetricsFacts& facts) {
  Writer out;
  write_devices(out, facts);
  write_ports(out, facts);
  write_readiness(out, facts);
  write_all_counters(out, facts);
  write_modules(out, facts);
  if (facts.daemons_asked) {
    write_mapper(out, facts);
    write_responder(out, facts);
  }
  std::string text = out.take();
  // An empty file would look as if it had not been written.
  return text.empty() ? "# no RDMA device\n" : text;
}

}  // namespace rdmaboot::rdmactl
