// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json_schema.hpp"
#include "rdmactl/monitor.hpp"

namespace rdmaboot::rdmactl {
namespace {

using device::Change;
using device::ChangeKind;
using device::Readiness;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr core::Microseconds kTime{1'700'000'000'000'000};

Change change_of(ChangeKind kind, const std::string& name, const std::string& subsystem) {
  Change change;
  change.kind = kind;
  change.name = name;
  change.subsystem = subsystem;
  return change;
}

TEST(Monitor, ALineHasTimeSourceObjectAndWhat) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  Change change = change_of(ChangeKind::kAdded, "rxe0", "infiniband");
  change.properties = {{"ID_RDMA_PROTOCOL", "roce"}};
  EXPECT_EQ(event_line(*event_of(change, {}), kTime, {}),
            "Nov 14 22:13:20  udev    rxe0          added  infiniband, roce\n");
}

TEST(Monitor, ALineIsCutToTheTerminal) {
  const Event event{Source::kReady, "siw0:1", "not yet", std::string(200, 'x'), Colour::kNone};
  EXPECT_EQ(columns_of(event_line(event, kTime, {80, false})), 80U + 1);
  EXPECT_EQ(columns_of(event_line(event, kTime, {80, true})), 80U + 1);
}

TEST(Monitor, NetworkInterfacesOfNoPortAreLeftOut) {
  EXPECT_FALSE(event_of(change_of(ChangeKind::kChanged, "eth0", "net"), {"eth1"}));
  EXPECT_TRUE(event_of(change_of(ChangeKind::kChanged, "eth0", "net"), {"eth0"}));
}

TEST(Monitor, ARenameTellsTheOldName) {
  Change change = change_of(ChangeKind::kMoved, "roce0", "infiniband");
  change.previous_path = "/sys/devices/virtual/infiniband/rxe0";
  EXPECT_THAT(event_of(change, {})->detail, HasSubstr("it was rxe0"));
}

TEST(Monitor, AnOverrunSaysThatEventsAreMissing) {
  EXPECT_THAT(event_of(change_of(ChangeKind::kOverrun, "", ""), {})->detail,
              HasSubstr("events are missing"));
}

TEST(Monitor, HostileNamesAreMadePrintable) {
  Change change = change_of(ChangeKind::kAdded, "x\x1b[2J", "infini\nband");
  change.properties = {{"ID_RDMA_PROTOCOL", "\x07"}};
  const std::string line = event_line(*event_of(change, {}), kTime, {});
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, HasSubstr("x\\x1b[2J"));
}

TEST(Monitor, EachChangeOfAPortsReadinessIsOneEvent) {
  const std::vector<Standing> before = {{"a:1", "port", Readiness::kNotYet, "no GID"},
                                        {"b:1", "address", Readiness::kReady, ""},
                                        {"c:1", "address", Readiness::kReady, ""}};
  const std::vector<Standing> now = {{"a:1", "address", Readiness::kReady, ""},
                                     {"b:1", "address", Readiness::kReady, ""},
                                     {"d:1", "none", Readiness::kBroken, "the port is disabled"}};
  EXPECT_THAT(differences(before, now),
              ElementsAre(Field(&Event::what, Eq("gone")), Field(&Event::what, Eq("ready")),
                          Field(&Event::detail, Eq("level none, the port is disabled"))));
  EXPECT_THAT(differences(now, now), IsEmpty());
}

TEST(Monitor, JsonFollowsItsSchema) {
  const test::JsonSchema schema = test::JsonSchema::of_documentation("monitor");
  const std::vector<Event> events = {
      *event_of(change_of(ChangeKind::kAdded, "rxe0", "infiniband"), {}),
      event_of("rxe0", os::VerbsEvent::kPortActive),
      {Source::kNetlink, "", "changed", "", Colour::kNone},
      differences({}, {{"a:1", "port", Readiness::kNotYet, "no GID"}})[0]};
  for (const Event& event : events) {
    const nlohmann::json object = event_json(event, kTime);
    EXPECT_THAT(schema.problems(object), IsEmpty());
    EXPECT_THAT(object.dump(), Not(HasSubstr("\n")));
  }
}

}  // namespace
}  // namespace rdmaboot::rdmactl
