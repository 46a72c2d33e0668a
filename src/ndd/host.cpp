// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/host.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/clock.hpp"
#include "core/text.hpp"
#include "os/rdma_netlink.hpp"

namespace rdmaboot::ndd {
namespace {

constexpr const char* kClass = "/sys/class/infiniband";
constexpr const char* kAttribute = "node_desc";
/// The kernel answers from memory; nothing waits longer for it than this.
constexpr std::chrono::milliseconds kNetlinkBudget{500};

std::string directory_of(const std::string& device) {
  return std::string(kClass) + "/" + device;
}

/// All devices with their indexes; none where netlink does not tell.
std::vector<os::NetlinkDevice> ask_netlink() {
  // Opened anew each time: an open socket of this family would keep ib_core from being unloaded.
  auto channel = os::open_rdma_netlink_channel();
  if (!channel) {
    return {};
  }
  const core::MonotonicClock clock;
  os::RdmaNetlink netlink(std::move(*channel), clock, kNetlinkBudget);
  return netlink.devices().value_or(std::vector<os::NetlinkDevice>{});
}

Outcome outcome_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return Outcome::kGone;
    case EOPNOTSUPP:
    case ENOSYS:
      return Outcome::kUnsupported;
    case EBUSY:
    case EAGAIN:
      return Outcome::kBusy;
    default:
      return Outcome::kFailed;
  }
}

}  // namespace

core::Result<std::vector<DeviceFacts>> SysfsHost::devices() {
  const auto directory = tree_.directory(kClass);
  if (!directory) {
    if (directory.error().error_number == ENOENT) {
      return std::vector<DeviceFacts>{};
    }
    return tl::make_unexpected(directory.error());
  }
  const auto names = directory->entries();
  if (!names) {
    return tl::make_unexpected(names.error());
  }
  std::vector<os::NetlinkDevice> told;
  if (tree_.is_live() && !names->empty()) {
    told = ask_netlink();
  }
  std::vector<DeviceFacts> devices;
  devices.reserve(names->size());
  for (const std::string& name : *names) {
    const auto device = tree_.directory(directory_of(name));
    if (!device) {
      continue;  // gone since the directory was listed
    }
    DeviceFacts facts{name, std::nullopt, device->attribute("board_id").value_or(std::string())};
    const auto same = std::ranges::find(told, name, &os::NetlinkDevice::name);
    if (same != told.end()) {
      facts.index = same->index;
    }
    devices.push_back(std::move(facts));
  }
  return devices;
}

core::Result<std::string> SysfsHost::read(const std::string& device) {
  return tree_.directory(directory_of(device)).and_then([](const os::Directory& directory) {
    return directory.attribute(kAttribute);
  });
}

core::Result<void> SysfsHost::write(const std::string& device, const std::string& text) {
  return tree_.directory(directory_of(device)).and_then([&](const os::Directory& directory) {
    return directory.set_attribute(kAttribute, text);
  });
}

Attempt describe(Host& host, const Write& write) {
  if (const auto before = host.read(write.device); before && *before == write.text) {
    return {Outcome::kSet, {}, false};
  }
  if (const auto written = host.write(write.device, write.text); !written) {
    return {outcome_of(written.error().error_number), written.error().message(), false};
  }
  const auto after = host.read(write.device);
  if (!after) {
    return {outcome_of(after.error().error_number), after.error().message(), true};
  }
  if (*after != write.text) {
    return {Outcome::kDiffers, "the device shows \"" + core::printable(*after) + "\" instead",
            true};
  }
  return {Outcome::kSet, {}, true};
}

}  // namespace rdmaboot::ndd
