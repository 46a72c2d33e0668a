// SPDX-License-Identifier: BSD-2-Clause
#include "rdmaboot/monitor.hpp"

#include <cerrno>

#include <gtest/gtest.h>
#include <poll.h>

#include "device/uevent.hpp"

namespace rdmaboot::device {
namespace {

core::Result<std::optional<Change>> change_of(const std::string& action) {
  os::Uevent event;
  event.action = action;
  event.name = "ibp3s0";
  event.subsystem = "infiniband";
  event.path = "/sys/devices/virtual/infiniband/ibp3s0";
  event.properties = {{"DEVPATH_OLD", "/devices/virtual/infiniband/mlx5_0"},
                      {"ID_RDMA_INFINIBAND", "1"}};
  return change_from(std::optional(event));
}

TEST(Change, EveryActionHasAKind) {
  EXPECT_EQ((*change_of("add"))->kind, ChangeKind::kAdded);
  EXPECT_EQ((*change_of("remove"))->kind, ChangeKind::kRemoved);
  EXPECT_EQ((*change_of("change"))->kind, ChangeKind::kChanged);
  EXPECT_EQ((*change_of("move"))->kind, ChangeKind::kMoved);
  for (const char* const other : {"bind", "online", "", "something new"}) {
    EXPECT_EQ((*change_of(other))->kind, ChangeKind::kChanged) << other;
  }
}

TEST(Change, CarriesNamePathAndProperties) {
  const Change change = change_of("add").value().value();
  EXPECT_EQ(change.name, "ibp3s0");
  EXPECT_EQ(change.subsystem, "infiniband");
  EXPECT_EQ(change.sysfs_path, "/sys/devices/virtual/infiniband/ibp3s0");
  EXPECT_EQ(change.property("ID_RDMA_INFINIBAND"), "1");
  EXPECT_EQ(change.property("ID_RDMA"), "");
}

TEST(Change, OnlyARenamedDeviceHasAPreviousPath) {
  EXPECT_EQ((*change_of("move"))->previous_path, "/sys/devices/virtual/infiniband/mlx5_0");
  EXPECT_EQ((*change_of("add"))->previous_path, "");
}

TEST(Change, OverrunIsAnEventThatAsksForAnotherSnapshot) {
  const auto overrun = change_from(core::fail("receive from", "the udev monitor", ENOBUFS));
  ASSERT_TRUE(overrun && *overrun);
  EXPECT_EQ((*overrun)->kind, ChangeKind::kOverrun);
  EXPECT_EQ(name_of((*overrun)->kind), "overrun");
  EXPECT_EQ((*overrun)->name, "");
}

TEST(Change, OtherErrorsArePassedOnAndNothingIsNothing) {
  EXPECT_EQ(change_from(core::fail("receive from", "x", EBADF)).error().error_number, EBADF);
  const auto nothing = change_from(std::optional<os::Uevent>());
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
}

TEST(Monitor, OpensUnprivilegedAndHasNothingToSayOfAQuietMachine) {
  for (const auto source : {MonitorOptions::Source::kKernel, MonitorOptions::Source::kUdev}) {
    MonitorOptions options;
    options.source = source;
    options.netdevs = false;  // no RDMA device comes or goes on a machine that runs this test
    auto monitor = Monitor::open(options);
    ASSERT_TRUE(monitor) << monitor.error().message();
    pollfd input{monitor->fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&input, 1, 0), 0);
    const auto change = monitor->next();
    ASSERT_TRUE(change) << change.error().message();
    EXPECT_FALSE(*change);
  }
}

TEST(Monitor, KeepsItsDescriptorWhenMoved) {
  auto opened = Monitor::open();
  ASSERT_TRUE(opened) << opened.error().message();
  const int fd = opened->fd();
  Monitor moved = std::move(*opened);
  EXPECT_EQ(moved.fd(), fd);
  EXPECT_TRUE(moved.next());
}

TEST(UdevMonitor, UnknownGroupIsAnError) {
  const auto refused = os::open_udev_monitor("nobody", {}, 0);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("\"udev\" or \"kernel\""), std::string::npos);
}

}  // namespace
}  // namespace rdmaboot::device
