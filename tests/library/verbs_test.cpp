// SPDX-License-Identifier: BSD-2-Clause
// os/verbs against the libraries that fake_verbs.cpp is built into; each suite is run in a process
// of its own with its library first in the search path.
#include "os/verbs.hpp"

#include <cerrno>
#include <cstdint>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <infiniband/verbs.h>
#include <unistd.h>

#include "os/verbs_events.hpp"

namespace rdmaboot::os {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(verbs, MtusAndGidsOfAPortAreTold) {
  const VerbsFacts facts = query_verbs({{"good0", {1, 2}}}, true);
  EXPECT_THAT(facts.errors, IsEmpty());
  ASSERT_EQ(facts.devices.size(), 1U);
  const VerbsDevice& device = facts.devices[0];
  EXPECT_EQ(device.name, "good0");
  ASSERT_EQ(device.ports.size(), 2U);
  EXPECT_EQ(device.ports[0].active_mtu, 1024U);
  EXPECT_EQ(device.ports[0].max_mtu, 4096U);
  EXPECT_FALSE(device.ports[1].max_mtu) << "a code that means nothing";
  ASSERT_TRUE(device.gids);
  ASSERT_EQ(device.gids->size(), 2U);
  EXPECT_EQ(device.gids->at(0).index, 3U);
  EXPECT_EQ(device.gids->at(0).bytes[15], 7);
  EXPECT_EQ(device.gids->at(0).type, VerbsGidType::kRoceV2);
  EXPECT_EQ(device.gids->at(0).netdev, "lo");
  EXPECT_EQ(device.gids->at(1).netdev, "");
}

TEST(verbs, GidsThatNobodyWantsAreNotRead) {
  EXPECT_FALSE(query_verbs({{"good0", {1}}}, false).devices.at(0).gids);
}

TEST(verbs, DeviceThatMayNotBeOpenedIsAnErrorAndTheOthersAreRead) {
  const VerbsFacts facts = query_verbs({{"locked0", {1}}, {"good0", {1}}}, true);
  ASSERT_EQ(facts.devices.size(), 1U);
  ASSERT_EQ(facts.errors.size(), 1U);
  EXPECT_THAT(facts.errors[0].message(), HasSubstr("open verbs device locked0: Permission denied"));
}

TEST(verbs, PortThatDoesNotAnswerLeavesTheGidTableToSysfs) {
  const VerbsFacts facts = query_verbs({{"odd0", {1}}}, true);
  ASSERT_EQ(facts.devices.size(), 1U);
  EXPECT_FALSE(facts.devices[0].gids);
  EXPECT_THAT(facts.devices[0].ports, IsEmpty());
  ASSERT_EQ(facts.errors.size(), 1U);
  EXPECT_EQ(facts.errors[0].error_number, EIO);
}

/// What a source tells after the fake library was given an event.
core::Result<std::optional<VerbsEvent>> after(VerbsEventSource& source, std::uint64_t type) {
  const std::uint64_t value = type + 1;
  EXPECT_EQ(::write(source.fd(), &value, sizeof value), static_cast<ssize_t>(sizeof value));
  return source.receive();
}

TEST(verbs, EventsAreToldAndNothingIsWaitedFor) {
  const auto source = open_verbs_events("good0");
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ((*source)->receive().value(), std::nullopt);
  EXPECT_EQ(after(**source, IBV_EVENT_PORT_ACTIVE).value(), VerbsEvent::kPortActive);
  EXPECT_EQ(after(**source, IBV_EVENT_PORT_ERR).value(), VerbsEvent::kPortError);
  EXPECT_EQ(after(**source, IBV_EVENT_GID_CHANGE).value(), VerbsEvent::kGidChange);
  EXPECT_EQ(after(**source, IBV_EVENT_LID_CHANGE).value(), VerbsEvent::kLidChange);
  EXPECT_EQ(after(**source, IBV_EVENT_PKEY_CHANGE).value(), VerbsEvent::kPKeyChange);
  EXPECT_EQ(after(**source, IBV_EVENT_SM_CHANGE).value(), VerbsEvent::kSmChange);
  EXPECT_EQ(after(**source, IBV_EVENT_DEVICE_FATAL).value(), VerbsEvent::kDeviceFatal);
  EXPECT_EQ(after(**source, IBV_EVENT_CLIENT_REREGISTER).value(), VerbsEvent::kOther);
  EXPECT_EQ((*source)->receive().value(), std::nullopt);
  EXPECT_EQ(after(**source, 1000).error().error_number, EIO) << "the device went";
}

TEST(verbs, ADeviceThatIsOpenAnywayTellsItsGids) {
  const auto source = open_verbs_events("good0");
  ASSERT_TRUE(source) << source.error().message();
  std::vector<core::Error> errors;
  const VerbsDevice device = (*source)->query({"good0", {1, 2}}, true, errors);
  EXPECT_THAT(errors, IsEmpty());
  ASSERT_TRUE(device.gids);
  EXPECT_EQ(device.gids->size(), 2U);
}

TEST(verbs, EventsOfADeviceThatIsNotThereOrLockedAreAnError) {
  EXPECT_EQ(open_verbs_events("gone0").error().error_number, ENODEV);
  EXPECT_EQ(open_verbs_events("locked0").error().error_number, EACCES);
}

TEST(verbs, GidTableThatDoesNotAnswerIsAnError) {
  const VerbsFacts facts = query_verbs({{"odd0", {}}}, true);
  EXPECT_FALSE(facts.devices.at(0).gids);
  EXPECT_THAT(facts.errors.at(0).message(), HasSubstr("query the GID table of odd0"));
}

TEST(verbs, HugeGidTableIsRefused) {
  const VerbsFacts facts = query_verbs({{"good0", {3}}}, true);
  EXPECT_FALSE(facts.devices.at(0).gids);
  EXPECT_EQ(facts.errors.at(0).error_number, EOVERFLOW);
}

TEST(verbs, PortNumberThatVerbsCannotNameIsAnError) {
  const VerbsFacts facts = query_verbs({{"good0", {256}}}, true);
  EXPECT_THAT(facts.devices.at(0).ports, IsEmpty());
  EXPECT_THAT(facts.errors.at(0).message(), HasSubstr("query port 256 of good0"));
}

TEST(verbs, DeviceThatVerbsDoNotKnowIsMissing) {
  const VerbsFacts facts = query_verbs({{"stranger", {1}}}, true);
  EXPECT_THAT(facts.devices, IsEmpty());
  EXPECT_THAT(facts.errors, IsEmpty());
}

TEST(verbs_old, LibraryWithoutGidTableStillTellsMtus) {
  const VerbsFacts facts = query_verbs({{"good0", {1}}}, true);
  EXPECT_EQ(facts.devices.at(0).ports.at(0).active_mtu, 1024U);
  EXPECT_FALSE(facts.devices.at(0).gids);
  EXPECT_THAT(facts.errors, IsEmpty());
}

TEST(verbs_other, LibraryWithoutTheFunctionsIsAnError) {
  const VerbsFacts facts = query_verbs({{"good0", {1}}}, true);
  EXPECT_THAT(facts.devices, IsEmpty());
  EXPECT_THAT(facts.errors.at(0).message(), HasSubstr("expected the functions of version 1"));
}

TEST(verbs_broken, LibraryThatCannotBeLoadedIsOneErrorForAllDevices) {
  const VerbsFacts facts = query_verbs({{"good0", {1}}, {"locked0", {1}}}, true);
  EXPECT_THAT(facts.devices, IsEmpty());
  ASSERT_EQ(facts.errors.size(), 1U);
  EXPECT_THAT(facts.errors[0].message(), HasSubstr("load libibverbs.so.1"));
}

TEST(verbs_broken, NoQuestionLoadsNothing) {
  EXPECT_THAT(query_verbs({}, true).errors, IsEmpty());
}

}  // namespace
}  // namespace rdmaboot::os
