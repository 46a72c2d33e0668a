// SPDX-License-Identifier: BSD-2-Clause
#include "device/uevent.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rdmaboot::device {
namespace {

ChangeKind kind_of(std::string_view action) {
  if (action == "add") {
    return ChangeKind::kAdded;
  }
  if (action == "remove") {
    return ChangeKind::kRemoved;
  }
  if (action == "move") {
    return ChangeKind::kMoved;
  }
  return ChangeKind::kChanged;
}

}  // namespace

std::string_view name_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kAdded:
      return "added";
    case ChangeKind::kRemoved:
      return "removed";
    case ChangeKind::kChanged:
      return "changed";
    case ChangeKind::kMoved:
      return "moved";
    case ChangeKind::kOverrun:
      return "overrun";
  }
  return "unknown";
}

std::string_view Change::property(std::string_view key) const {
  const auto found = std::find_if(properties.begin(), properties.end(),
                                  [key](const auto& entry) { return entry.first == key; });
  return found == properties.end() ? std::string_view() : found->second;
}

core::Result<std::optional<Change>> change_from(core::Result<std::optional<os::Uevent>> received) {
  if (!received) {
    if (received.error().error_number == ENOBUFS) {
      return Change{};  // an overrun, which is an event like any other for who has to act on it
    }
    return tl::make_unexpected(std::move(received).error());
  }
  if (!*received) {
    return std::nullopt;
  }
  os::Uevent& event = **received;
  Change change;
  change.kind = kind_of(event.action);
  change.name = std::move(event.name);
  change.subsystem = std::move(event.subsystem);
  change.sysfs_path = std::move(event.path);
  change.properties = std::move(event.properties);
  if (const std::string_view previous = change.property("DEVPATH_OLD");
      change.kind == ChangeKind::kMoved && !previous.empty()) {
    change.previous_path = "/sys" + std::string(previous);
  }
  return change;
}

}  // namespace rdmaboot::device
