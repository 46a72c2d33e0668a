// SPDX-License-Identifier: BSD-2-Clause
#include "os/systemd_manager.hpp"

#include <cerrno>
#include <cstdlib>
#include <set>
#include <utility>

#include <poll.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

constexpr const char* kDestination = "org.freedesktop.systemd1";
constexpr const char* kUnitInterface = "org.freedesktop.systemd1.Unit";
constexpr const char* kUnitPrefix = "/org/freedesktop/systemd1/unit";

void free_text(char* text) noexcept {
  std::free(text);
}

using Bus = core::UniqueHandle<sd_bus, sd_bus_close_unref>;
using Text = core::UniqueHandle<char, free_text>;

class BusError {
 public:
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&error_); }
  [[nodiscard]] sd_bus_error* get() { return &error_; }
  [[nodiscard]] std::string text() const {
    return error_.message != nullptr ? std::string(error_.message) : std::string();
  }
  [[nodiscard]] bool is(const char* name) const { return sd_bus_error_has_name(&error_, name) > 0; }

 private:
  sd_bus_error error_{};
};

core::Result<std::string> object_path(const std::string& unit) {
  char* raw = nullptr;
  const int error = sd_bus_path_encode(kUnitPrefix, unit.c_str(), &raw);
  const Text path(raw);
  if (error < 0) {
    return core::fail("name the D-Bus object of", unit, -error);
  }
  return std::string(path.get());
}

}  // namespace

struct SystemdManager::Connection {
  Bus bus;
  std::set<std::string, std::less<>> watched;
  bool changed = false;
};

SystemdManager::SystemdManager(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
SystemdManager::SystemdManager(SystemdManager&&) noexcept = default;
SystemdManager& SystemdManager::operator=(SystemdManager&&) noexcept = default;
SystemdManager::~SystemdManager() = default;

core::Result<SystemdManager> SystemdManager::connect(const std::string& socket,
                                                     std::chrono::microseconds patience) {
  // sd-bus connects in the background and would tell a missing socket only with the first call.
  if (::access(socket.c_str(), F_OK) != 0) {
    return core::fail("connect to systemd at", socket, errno);
  }
  sd_bus* raw = nullptr;
  int error = sd_bus_new(&raw);
  auto connection = std::make_unique<Connection>();
  connection->bus.reset(raw);
  const std::string address = "unix:path=" + socket;
  if (error >= 0) {
    error = sd_bus_set_address(raw, address.c_str());
  }
  if (error >= 0) {
    error = sd_bus_start(raw);
  }
  if (error >= 0) {
    error = sd_bus_set_method_call_timeout(raw, static_cast<std::uint64_t>(patience.count()));
  }
  if (error < 0) {
    return core::fail("connect to systemd at", socket, -error);
  }
  return SystemdManager(std::move(connection));
}

core::Result<std::string> SystemdManager::active_state(const std::string& unit) {
  auto path = object_path(unit);
  if (!path) {
    return path;
  }
  BusError why;
  char* raw = nullptr;
  const int error = sd_bus_get_property_string(connection_->bus.get(), kDestination, path->c_str(),
                                               kUnitInterface, "ActiveState", why.get(), &raw);
  const Text state(raw);
  if (error >= 0) {
    return std::string(state.get());
  }
  if (why.is("org.freedesktop.systemd1.NoSuchUnit") ||
      why.is("org.freedesktop.DBus.Error.UnknownObject")) {
    return std::string("inactive");
  }
  return core::fail("ask systemd for the state of", unit, -error, why.text());
}

core::Result<void> SystemdManager::watch(const std::string& unit) {
  auto path = object_path(unit);
  if (!path) {
    return tl::make_unexpected(std::move(path.error()));
  }
  if (connection_->watched.contains(*path)) {
    return {};
  }
  const auto note = [](sd_bus_message*, void* user, sd_bus_error*) {
    static_cast<Connection*>(user)->changed = true;
    return 0;
  };
  // The slot floats: it lives as long as the connection, whose address is fixed on the heap.
  const int error = sd_bus_match_signal(connection_->bus.get(), nullptr, nullptr, path->c_str(),
                                        "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                        note, connection_.get());
  if (error < 0) {
    return core::fail("watch unit", unit, -error);
  }
  connection_->watched.insert(std::move(*path));
  return {};
}

core::Result<bool> SystemdManager::changed() {
  // Each message that has arrived is one step; a flood must not keep the caller here.
  constexpr int kMostSteps = 1000;
  for (int step = 0; step < kMostSteps; ++step) {
    const int done = sd_bus_process(connection_->bus.get(), nullptr);
    if (done < 0) {
      return core::fail("listen to", "systemd", -done);
    }
    if (done == 0) {
      break;
    }
  }
  return std::exchange(connection_->changed, false);
}

int SystemdManager::fd() const {
  return sd_bus_get_fd(connection_->bus.get());
}

short SystemdManager::events() const {
  const int events = sd_bus_get_events(connection_->bus.get());
  return static_cast<short>(events > 0 ? events : POLLIN);
}

}  // namespace rdmaboot::os
