// SPDX-License-Identifier: BSD-2-Clause
#include "os/systemd_manager.hpp"

#include <cerrno>
#include <utility>

#include <unistd.h>

namespace rdmaboot::os {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kInterface = "org.freedesktop.systemd1.Manager";
/// PID 1 answers within milliseconds or is busy with a reload; a boot must not hang on it.
constexpr std::uint64_t kCallTimeoutUsec = 5'000'000;

using Message = core::UniqueHandle<sd_bus_message, sd_bus_message_unref>;

int on_message(sd_bus_message* message, void* user, sd_bus_error* /*error*/) {
  std::uint8_t type = 0;
  if (sd_bus_message_get_type(message, &type) >= 0 && type == SD_BUS_MESSAGE_SIGNAL) {
    (*static_cast<std::function<void()>*>(user))();
  }
  return 0;  // "not mine": sd-bus goes on with answers to calls
}

}  // namespace

core::Result<SystemdManager> SystemdManager::connect(const std::string& socket) {
  if (::access(socket.c_str(), F_OK) != 0) {
    return core::fail("find systemd's socket", socket, errno);
  }
  sd_bus* raw = nullptr;
  int status = sd_bus_new(&raw);
  Bus bus(raw);
  if (status >= 0) {
    status = sd_bus_set_address(bus.get(), ("unix:path=" + socket).c_str());
  }
  if (status >= 0) {
    status = sd_bus_set_method_call_timeout(bus.get(), kCallTimeoutUsec);
  }
  if (status >= 0) {
    status = sd_bus_start(bus.get());
  }
  if (status < 0) {
    return core::fail("connect to systemd at", socket, -status);
  }
  return SystemdManager(std::move(bus));
}

core::Result<void> SystemdManager::watch(sd_event* event, std::function<void()> changed) {
  changed_ = std::make_unique<std::function<void()>>(std::move(changed));
  int status = sd_bus_add_filter(bus_.get(), nullptr, on_message, changed_.get());
  if (status >= 0) {
    status = sd_bus_attach_event(bus_.get(), event, SD_EVENT_PRIORITY_NORMAL);
  }
  if (status >= 0) {
    status = sd_bus_call_method(bus_.get(), kService, kObject, kInterface, "Subscribe", nullptr,
                                nullptr, "");
  }
  if (status < 0) {
    return core::fail("subscribe to", "systemd's signals", -status);
  }
  return {};
}

core::Result<std::map<std::string, std::string>> SystemdManager::active_states(
    const std::vector<std::string>& units) {
  const auto failed = [](int status) {
    return core::fail("ask systemd for", "the state of units", -status);
  };
  sd_bus_message* raw = nullptr;
  int status = sd_bus_message_new_method_call(bus_.get(), &raw, kService, kObject, kInterface,
                                              "ListUnitsByNames");
  const Message call(raw);
  if (status >= 0) {
    status = sd_bus_message_open_container(raw, 'a', "s");
  }
  for (const std::string& unit : units) {
    if (status >= 0) {
      status = sd_bus_message_append_basic(raw, 's', unit.c_str());
    }
  }
  if (status >= 0) {
    status = sd_bus_message_close_container(raw);
  }
  if (status < 0) {
    return failed(status);
  }
  raw = nullptr;
  status = sd_bus_call(bus_.get(), call.get(), 0, nullptr, &raw);
  const Message answer(raw);
  if (status >= 0) {
    status = sd_bus_message_enter_container(raw, 'a', "(ssssssouso)");
  }
  if (status < 0) {
    return failed(status);
  }
  // Name, description, load state, active state, ...: org.freedesktop.systemd1(5).
  std::map<std::string, std::string> states;
  const char* name = nullptr;
  const char* active = nullptr;
  while ((status = sd_bus_message_read(raw, "(ssssssouso)", &name, nullptr, nullptr, &active,
                                       nullptr, nullptr, nullptr, nullptr, nullptr, nullptr)) > 0) {
    states[name] = active;
  }
  if (status < 0) {
    return failed(status);
  }
  return states;
}

}  // namespace rdmaboot::os
