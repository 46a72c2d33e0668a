// SPDX-License-Identifier: BSD-2-Clause
#include "os/udev_monitor.hpp"

#include <cerrno>
#include <limits>
#include <string_view>

#include <libudev.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

using core::fail;
using core::Result;

using UdevHandle = core::UniqueHandle<udev, udev_unref>;
using MonitorHandle = core::UniqueHandle<udev_monitor, udev_monitor_unref>;
using DeviceHandle = core::UniqueHandle<udev_device, udev_device_unref>;

constexpr std::string_view kObject = "the udev monitor";

std::string text(const char* value) {
  return value != nullptr ? value : "";
}

Uevent copy_of(udev_device* device) {
  Uevent event;
  event.action = text(::udev_device_get_action(device));
  event.name = text(::udev_device_get_sysname(device));
  event.subsystem = text(::udev_device_get_subsystem(device));
  event.path = text(::udev_device_get_syspath(device));
  for (udev_list_entry* entry = ::udev_device_get_properties_list_entry(device);
       entry != nullptr && event.properties.size() < kUeventPropertyLimit;
       entry = ::udev_list_entry_get_next(entry)) {
    event.properties.emplace_back(text(::udev_list_entry_get_name(entry)),
                                  text(::udev_list_entry_get_value(entry)));
  }
  return event;
}

class UdevMonitor final : public UeventSource {
 public:
  UdevMonitor(UdevHandle udev, MonitorHandle monitor)
      : udev_(std::move(udev)), monitor_(std::move(monitor)) {}

  [[nodiscard]] int fd() const override { return ::udev_monitor_get_fd(monitor_.get()); }

  [[nodiscard]] Result<std::optional<Uevent>> receive() override {
    errno = 0;
    const DeviceHandle device(::udev_monitor_receive_device(monitor_.get()));
    if (device) {
      return copy_of(device.get());
    }
    if (errno == 0 || errno == EAGAIN || errno == EINTR || errno == ENODATA) {
      return std::nullopt;
    }
    return fail("receive from", kObject, errno);
  }

 private:
  UdevHandle udev_;  // libudev wants it alive as long as the monitor
  MonitorHandle monitor_;
};

}  // namespace

Result<std::unique_ptr<UeventSource>> open_udev_monitor(const std::string& group,
                                                        const std::vector<std::string>& subsystems,
                                                        std::size_t receive_buffer) {
  errno = 0;
  UdevHandle udev(::udev_new());
  if (!udev) {
    return fail("open", "libudev", errno);
  }
  MonitorHandle monitor(::udev_monitor_new_from_netlink(udev.get(), group.c_str()));
  if (!monitor) {
    return fail("open", kObject, errno, "expected a group \"udev\" or \"kernel\" to listen to");
  }
  for (const std::string& subsystem : subsystems) {
    const int error = ::udev_monitor_filter_add_match_subsystem_devtype(monitor.get(),
                                                                        subsystem.c_str(), nullptr);
    if (error < 0) {
      return fail("filter for " + subsystem + " in", kObject, -error);
    }
  }
  constexpr std::size_t kLargestBuffer = std::numeric_limits<int>::max();
  if (receive_buffer != 0) {
    // More than an unprivileged process may have is not granted and not needed to go on.
    static_cast<void>(::udev_monitor_set_receive_buffer_size(
        monitor.get(), static_cast<int>(std::min(receive_buffer, kLargestBuffer))));
  }
  if (const int error = ::udev_monitor_enable_receiving(monitor.get()); error < 0) {
    return fail("listen to", kObject, -error);
  }
  return std::make_unique<UdevMonitor>(std::move(udev), std::move(monitor));
}

}  // namespace rdmaboot::os
