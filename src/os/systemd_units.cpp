// SPDX-License-Identifier: BSD-2-Clause
#include "os/systemd_units.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <systemd/sd-bus.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr const char* kPrivateSocket = "unix:path=/run/systemd/private";
constexpr std::uint64_t kCallTimeoutUsec = 5'000'000;

using Bus = core::UniqueHandle<sd_bus, sd_bus_flush_close_unref>;
using Message = core::UniqueHandle<sd_bus_message, sd_bus_message_unref>;

int open_bus(Bus& bus) {
  sd_bus* raw = nullptr;
  int status = sd_bus_open_system(&raw);
  bus.reset(raw);
  if (status < 0) {
    raw = nullptr;
    status = sd_bus_new(&raw);
    bus.reset(raw);
    if (status >= 0) {
      status = sd_bus_set_address(raw, kPrivateSocket);
    }
    if (status >= 0) {
      status = sd_bus_start(raw);
    }
  }
  return status < 0 ? status : sd_bus_set_method_call_timeout(raw, kCallTimeoutUsec);
}

struct Listed {
  std::string name;
  std::string path;
};

int list_units(sd_bus* bus, const std::vector<std::string>& patterns, std::vector<Listed>& units) {
  sd_bus_message* raw = nullptr;
  int status =
      sd_bus_message_new_method_call(bus, &raw, kService, kObject, kManager, "ListUnitsByPatterns");
  const Message call(raw);
  if (status >= 0) {
    status = sd_bus_message_append(raw, "as", 0);
  }
  if (status >= 0) {
    status = sd_bus_message_open_container(raw, 'a', "s");
  }
  for (const std::string& pattern : patterns) {
    if (status >= 0) {
      status = sd_bus_message_append_basic(raw, 's', pattern.c_str());
    }
  }
  if (status >= 0) {
    status = sd_bus_message_close_container(raw);
  }
  if (status < 0) {
    return status;
  }
  raw = nullptr;
  status = sd_bus_call(bus, call.get(), 0, nullptr, &raw);
  const Message answer(raw);
  if (status >= 0) {
    status = sd_bus_message_enter_container(raw, 'a', "(ssssssouso)");
  }
  const char* name = nullptr;
  const char* path = nullptr;
  while (status >= 0 &&
         (status = sd_bus_message_read(raw, "(ssssssouso)", &name, nullptr, nullptr, nullptr,
                                       nullptr, nullptr, &path, nullptr, nullptr, nullptr)) > 0) {
    units.push_back({name, path});
  }
  return status;
}

int read_time(sd_bus* bus, const std::string& path, const char* property,
              core::Microseconds& time) {
  std::uint64_t usec = 0;
  const int status = sd_bus_get_property_trivial(bus, kService, path.c_str(), kUnit, property,
                                                 nullptr, 't', &usec);
  time = core::Microseconds(usec);
  return status;
}

int read_after(sd_bus* bus, const std::string& path, std::vector<std::string>& after) {
  sd_bus_message* raw = nullptr;
  int status =
      sd_bus_get_property(bus, kService, path.c_str(), kUnit, "After", nullptr, &raw, "as");
  const Message answer(raw);
  if (status >= 0) {
    status = sd_bus_message_enter_container(raw, 'a', "s");
  }
  const char* name = nullptr;
  while (status >= 0 && (status = sd_bus_message_read(raw, "s", &name)) > 0) {
    after.emplace_back(name);
  }
  return status;
}

}  // namespace

core::Result<std::vector<UnitTimes>> unit_times(const std::vector<std::string>& patterns) {
  Bus bus;
  std::vector<Listed> listed;
  int status = open_bus(bus);
  if (status >= 0) {
    status = list_units(bus.get(), patterns, listed);
  }
  std::vector<UnitTimes> units;
  for (const Listed& one : listed) {
    UnitTimes unit;
    unit.name = one.name;
    if (status >= 0) {
      status = read_time(bus.get(), one.path, "InactiveExitTimestampMonotonic", unit.started);
    }
    if (status >= 0) {
      status = read_time(bus.get(), one.path, "ActiveEnterTimestampMonotonic", unit.active);
    }
    if (status >= 0) {
      status = read_time(bus.get(), one.path, "InactiveEnterTimestampMonotonic", unit.ended);
    }
    if (status >= 0) {
      status = read_after(bus.get(), one.path, unit.after);
    }
    units.push_back(std::move(unit));
  }
  if (status < 0) {
    return core::fail("ask systemd for", "the times of units", -status);
  }
  std::sort(units.begin(), units.end(),
            [](const UnitTimes& a, const UnitTimes& b) { return a.name < b.name; });
  return units;
}

}  // namespace rdmaboot::os
