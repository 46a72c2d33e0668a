// SPDX-License-Identifier: BSD-2-Clause
// link: load-modules-sync
#include "load-modules/sync.hpp"

#include <chrono>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "load-modules/sync_wait.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::load_modules {
namespace {

using namespace std::chrono_literals;
using test::TemporaryDirectory;

/// One InfiniBand device with one port, all modules live and everything there.
SyncSnapshot complete() {
  SyncSnapshot snapshot;
  snapshot.uverbs_live = snapshot.umad_live = snapshot.ucm_live = snapshot.ipoib_live = true;
  snapshot.rdma_cm_in_dev = true;
  SyncDevice device;
  device.name = "ibp1s0";
  device.ports = {{1, true}};
  snapshot.devices = {device};
  snapshot.uverbs = {{"uverbs0", "ibp1s0", 0, true}};
  snapshot.umad = {{"umad0", "ibp1s0", 1, true}};
  snapshot.interfaces = {{"ibp1s0", 1}};
  return snapshot;
}

std::string only(const SyncSnapshot& snapshot) {
  const auto missing = find_missing(snapshot);
  return missing.size() == 1 ? missing[0].what : std::to_string(missing.size()) + " missing";
}

TEST(Sync, NothingIsMissingWhenAllIsThere) {
  EXPECT_TRUE(find_missing(complete()).empty());
  EXPECT_TRUE(find_missing({}).empty());
}

TEST(Sync, EachPromiseIsMissedByName) {
  SyncSnapshot snapshot = complete();
  snapshot.rdma_cm_in_dev = false;
  EXPECT_EQ(only(snapshot), "/dev/infiniband/rdma_cm");
  snapshot = complete();
  snapshot.uverbs.clear();
  EXPECT_EQ(only(snapshot), "the uverbs device of ibp1s0");
  snapshot = complete();
  snapshot.uverbs[0].in_dev = false;
  EXPECT_EQ(only(snapshot), "/dev/infiniband/uverbs0 of ibp1s0");
  snapshot = complete();
  snapshot.umad.clear();
  EXPECT_EQ(only(snapshot), "the umad device of ibp1s0 port 1");
  snapshot = complete();
  snapshot.umad[0].in_dev = false;
  EXPECT_EQ(only(snapshot), "/dev/infiniband/umad0 of ibp1s0");
  snapshot = complete();
  snapshot.interfaces.clear();
  EXPECT_EQ(only(snapshot), "the IPoIB interface of ibp1s0 port 1");
  snapshot = complete();
  snapshot.devices[0].udev_done = false;
  EXPECT_EQ(only(snapshot),
            "device ibp1s0 is not yet known to systemd (udev has not finished with it)");
  snapshot = complete();
  snapshot.devices[0].systemd_knows = false;
  EXPECT_EQ(only(snapshot), "device ibp1s0 is not yet known to systemd (its unit is not active)");
}

TEST(Sync, ModulesThatAreNotLivePromiseNothing) {
  SyncSnapshot snapshot = complete();
  snapshot.uverbs_live = snapshot.umad_live = snapshot.ucm_live = snapshot.ipoib_live = false;
  snapshot.rdma_cm_in_dev = false;
  snapshot.uverbs.clear();
  snapshot.umad.clear();
  snapshot.interfaces.clear();
  EXPECT_TRUE(find_missing(snapshot).empty());
}

TEST(Sync, EthernetPortNeedsNeitherUmadNorIpoib) {
  SyncSnapshot snapshot = complete();
  snapshot.devices[0].ports[0].infiniband = false;
  snapshot.umad.clear();
  snapshot.interfaces.clear();
  EXPECT_TRUE(find_missing(snapshot).empty());
}

TEST(Sync, UmadThatARocePortHasMustBeInDev) {
  SyncSnapshot snapshot = complete();
  snapshot.devices[0].ports[0].infiniband = false;
  snapshot.umad[0].in_dev = false;
  EXPECT_EQ(only(snapshot), "/dev/infiniband/umad0 of ibp1s0");
}

TEST(Sync, DeviceWithoutTheTagIsWaitedForBecauseAnInitrdMayHaveLeftItSo) {
  SyncSnapshot snapshot = complete();
  snapshot.devices[0].tagged = false;
  snapshot.devices[0].systemd_knows = false;
  EXPECT_EQ(only(snapshot),
            "device ibp1s0 is not yet known to systemd (udev has not given it the tag systemd)");
}

TEST(Sync, EveryPortOfEveryDeviceCounts) {
  SyncSnapshot snapshot = complete();
  snapshot.devices[0].ports.push_back({2, true});
  EXPECT_EQ(find_missing(snapshot).size(), 2U) << "umad and IPoIB of port 2";
}

/// A tree with one soft-RoCE device as sysfs shows it.
class SyncWaitTest : public ::testing::Test {
 protected:
  SyncWaitTest() {
    places_ = {root_.path("sys"), root_.path("dev"), root_.path(""), root_.path("systemd-private")};
    root_.make_directory("dev/infiniband");
    root_.write("sys/module/ib_uverbs/initstate", "live\n");
    root_.write("sys/class/infiniband/rxe0/ports/1/link_layer", "Ethernet\n");
    root_.write("sys/class/infiniband_verbs/abi_version", "6\n");
    root_.write("sys/class/infiniband_verbs/uverbs0/ibdev", "rxe0\n");
    root_.write("sys/class/infiniband_verbs/uverbs0/dev", "231:192\n");
  }

  TemporaryDirectory root_;
  SyncPlaces places_;
  core::MonotonicClock clock_;
};

TEST_F(SyncWaitTest, ReadsWhatSysfsSays) {
  root_.write("dev/infiniband/uverbs0", "");
  const SyncSnapshot snapshot = SyncWait(places_, clock_).snapshot();
  EXPECT_TRUE(snapshot.uverbs_live);
  EXPECT_FALSE(snapshot.ucm_live);
  ASSERT_EQ(snapshot.devices.size(), 1U);
  EXPECT_EQ(snapshot.devices[0].name, "rxe0");
  ASSERT_EQ(snapshot.devices[0].ports.size(), 1U);
  EXPECT_FALSE(snapshot.devices[0].ports[0].infiniband);
  ASSERT_EQ(snapshot.uverbs.size(), 1U);
  EXPECT_TRUE(snapshot.uverbs[0].in_dev);
  EXPECT_TRUE(SyncWait(places_, clock_).wait(1s).empty());
}

TEST_F(SyncWaitTest, IpoibInterfaceIsFoundByTheHardwareItSitsOn) {
  root_.write("sys/module/ib_ipoib/initstate", "live\n");
  root_.write("sys/devices/pci/x/vendor", "");
  root_.link("../../../devices/pci/x", "sys/class/infiniband/rxe0/device");
  root_.write("sys/class/net/ib0/type", "32\n");
  root_.write("sys/class/net/ib0/dev_port", "0x1\n");
  root_.write("sys/class/net/ib1/type", "32\n");
  root_.write("sys/class/net/ib1/dev_port", "1\n");
  root_.link("../../../devices/pci/x", "sys/class/net/ib1/device");
  root_.write("sys/class/net/eth0/type", "1\n");
  root_.link("../../../devices/pci/x", "sys/class/net/eth0/device");
  const SyncSnapshot snapshot = SyncWait(places_, clock_).snapshot();
  ASSERT_EQ(snapshot.interfaces.size(), 1U);
  EXPECT_EQ(snapshot.interfaces[0].device, "rxe0");
  EXPECT_EQ(snapshot.interfaces[0].port, 2U);
}

TEST_F(SyncWaitTest, NodeThatComesLateIsNoticed) {
  std::thread late([this] {
    std::this_thread::sleep_for(150ms);
    root_.write("dev/infiniband/uverbs0", "");
  });
  const core::Microseconds start = clock_.now();
  EXPECT_TRUE(SyncWait(places_, clock_).wait(20s).empty());
  EXPECT_GE(clock_.now() - start, 100ms);
  EXPECT_LT(clock_.now() - start, 15s);
  late.join();
}

TEST_F(SyncWaitTest, WhatDoesNotComeIsNamedAfterThePatience) {
  const core::Microseconds start = clock_.now();
  const auto missing = SyncWait(places_, clock_).wait(300ms);
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].what, "/dev/infiniband/uverbs0 of rxe0");
  EXPECT_GE(clock_.now() - start, 300ms);
}

TEST_F(SyncWaitTest, DeviceThatGoesAwayWhileItIsWaitedForIsForgotten) {
  std::thread unplug([this] {
    std::this_thread::sleep_for(100ms);
    std::filesystem::remove_all(root_.path("sys/class/infiniband/rxe0"));
    std::filesystem::remove_all(root_.path("sys/class/infiniband_verbs/uverbs0"));
  });
  EXPECT_TRUE(SyncWait(places_, clock_).wait(20s).empty());
  unplug.join();
}

TEST_F(SyncWaitTest, DriverThatStillProbesHoldsTheLoader) {
  root_.write("dev/infiniband/uverbs0", "");
  root_.write("sys/module/ib_uverbs/holders/rdma_ucm", "");
  root_.write("sys/module/ib_uverbs/holders/mlx5_ib", "");
  root_.write("sys/module/mlx5_ib/initstate", "coming\n");
  const auto missing = SyncWait(places_, clock_).wait(300ms);
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].what, "the devices of driver mlx5_ib");
  root_.write("sys/module/mlx5_ib/initstate", "live\n");
  EXPECT_TRUE(SyncWait(places_, clock_).wait(20s).empty());
}

TEST_F(SyncWaitTest, DriverWithoutADeviceIsGivenAMomentAndIsNoFault) {
  std::filesystem::remove_all(root_.path("sys/class/infiniband"));
  root_.write("sys/module/ib_uverbs/holders/rdma_rxe", "");
  root_.write("sys/module/rdma_rxe/initstate", "live\n");
  const core::Microseconds start = clock_.now();
  EXPECT_TRUE(SyncWait(places_, clock_).wait(20s).empty());
  EXPECT_GE(clock_.now() - start, kDevicePatience);
  EXPECT_LT(clock_.now() - start, 15s);
}

TEST_F(SyncWaitTest, WithoutSysNothingIsPromised) {
  places_.sys = root_.path("nowhere");
  EXPECT_TRUE(SyncWait(places_, clock_).wait(1s).empty());
}

}  // namespace
}  // namespace rdmaboot::load_modules
