// SPDX-License-Identifier: BSD-2-Clause
#include "os/udev_facts.hpp"

#include <cerrno>
#include <cstdint>

#include <libudev.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

using Udev = core::UniqueHandle<udev, udev_unref>;
using Device = core::UniqueHandle<udev_device, udev_device_unref>;

}  // namespace

core::Result<UdevFacts> udev_facts(const std::string& subsystem, const std::string& name) {
  const Udev context(::udev_new());
  const Device device(context ? ::udev_device_new_from_subsystem_sysname(
                                    context.get(), subsystem.c_str(), name.c_str())
                              : nullptr);
  if (!device) {
    return core::fail("ask udev about", subsystem + "/" + name, errno);
  }
  UdevFacts facts;
  const char* const usec = ::udev_device_get_property_value(device.get(), "USEC_INITIALIZED");
  if (const auto time = core::parse_number<std::int64_t>(usec == nullptr ? "" : usec)) {
    facts.initialized = core::Microseconds(*time);
  }
  const char* const protocol = ::udev_device_get_property_value(device.get(), "ID_RDMA_PROTOCOL");
  facts.protocol = protocol == nullptr ? "" : protocol;
  return facts;
}

}  // namespace rdmaboot::os
