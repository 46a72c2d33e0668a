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

/// systemd matches with fnmatch(3), for which the backslashes in names of units are special.
std::string as_pattern(const std::string& unit) {
  std::string pattern;
  for (const char c : unit) {
    pattern += c == '\\' ? "\\\\" : std::string(1, c);
  }
  return pattern;
}

}  // namespace

core::Result<SystemdManager> SystemdManager::connect(const std::string& socket) {
  SystemdManager manager(socket);
  return manager.open().map([&manager] { return std::move(manager); });
}

core::Result<void> SystemdManager::open() {
  if (::access(socket_.c_str(), F_OK) != 0) {
    return core::fail("find systemd's socket", socket_, errno);
  }
  sd_bus* raw = nullptr;
  int status = sd_bus_new(&raw);
  bus_.reset(raw);
  if (status >= 0) {
    status = sd_bus_set_address(raw, ("unix:path=" + socket_).c_str());
  }
  if (status >= 0) {
    status = sd_bus_set_method_call_timeout(raw, kCallTimeoutUsec);
  }
  if (status >= 0) {
    status = sd_bus_start(raw);
  }
  if (status < 0) {
    return core::fail("connect to systemd at", socket_, -status);
  }
  return {};
}

core::Result<void> SystemdManager::watch(sd_event* event, std::function<void()> changed) {
  changed_ = std::make_unique<std::function<void()>>(std::move(changed));
  event_ = event;
  return attach();
}

core::Result<void> SystemdManager::attach() {
  // Over the private socket PID 1 sends its signals to everybody; there is nothing to subscribe to.
  int status = sd_bus_add_filter(bus_.get(), nullptr, on_message, changed_.get());
  if (status >= 0) {
    status = sd_bus_attach_event(bus_.get(), event_, SD_EVENT_PRIORITY_NORMAL);
  }
  if (status < 0) {
    return core::fail("listen to", "systemd's signals", -status);
  }
  return {};
}

core::Result<std::set<std::string>> SystemdManager::active_units(
    const std::vector<std::string>& units) {
  const auto failed = [](int status) {
    return core::fail("ask systemd for", "the state of units", -status);
  };
  if (units.empty()) {
    return std::set<std::string>{};  // no pattern would match every unit
  }
  if (sd_bus_is_open(bus_.get()) <= 0) {
    auto opened = open();
    if (opened && event_ != nullptr) {
      opened = attach();
    }
    if (!opened) {
      return tl::make_unexpected(std::move(opened.error()));
    }
  }
  sd_bus_message* raw = nullptr;
  int status = sd_bus_message_new_method_call(bus_.get(), &raw, kService, kObject, kInterface,
                                              "ListUnitsByPatterns");
  const Message call(raw);
  if (status >= 0) {
    status = sd_bus_message_append(raw, "as", 1, "active");
  }
  if (status >= 0) {
    status = sd_bus_message_open_container(raw, 'a', "s");
  }
  for (const std::string& unit : units) {
    if (status >= 0) {
      status = sd_bus_message_append_basic(raw, 's', as_pattern(unit).c_str());
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
  // Name, description, load state, active state, ...: org.freedesktop.systemd1(5).
  std::set<std::string> active;
  const char* name = nullptr;
  while (status >= 0 &&
         (status = sd_bus_message_read(raw, "(ssssssouso)", &name, nullptr, nullptr, nullptr,
                                       nullptr, nullptr, nullptr, nullptr, nullptr, nullptr)) > 0) {
    active.insert(name);
  }
  if (status < 0) {
    return failed(status);
  }
  return active;
}

}  // namespace rdmaboot::os
