// SPDX-License-Identifier: BSD-2-Clause
// os/verbs against the libraries that fake_verbs.cpp is built into; each suite is run in a process
// of its own with its library first in the search path.
#include "os/verbs.hpp"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
