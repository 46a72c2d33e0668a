// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-views
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json_schema.hpp"
#include "rdmactl/timeline.hpp"

namespace rdmaboot::rdmactl {
namespace {

using core::Microseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Microseconds ms(std::int64_t value) {
  return std::chrono::milliseconds(value);
}

os::JournalEntry loaded(const std::string& module, const std::string& list, std::int64_t ended,
                        std::int64_t took) {
  os::JournalEntry entry;
  entry.monotonic = ms(ended);
  entry.fields = {{"KMOD", module},
                  {"RESULT", "loaded"},
                  {"USEC", std::to_string(took * 1000)},
                  {"RDMA_LIST", list}};
  return entry;
}

/// A boot with one soft-RoCE device, as the journal, PID 1 and udev tell it.
TimelineFacts boot() {
  TimelineFacts facts;
  facts.devices = {{"rxe0", "roce", ms(1600), ms(1650)}};
  facts.modules =
      module_runs({loaded("ib_umad", "rdma", 1700, 60), loaded("rdma_ucm", "rdma", 2090, 120)});
  facts.units = {
      {"boot-thing.service", ms(100), ms(200), {}, {}},
      {"example-storage.service", ms(2120), ms(2200), {}, {"rdma-hw.target", "sysinit.target"}},
      {"rdma-hw.target",
       ms(2110),
       ms(2110),
       {},
       {"rdma-load-modules@rdma.service", "rdma-load-modules@roce.service"}},
      {"rdma-load-modules@rdma.service", ms(1620), ms(2100), {}, {"sysinit.target"}},
      {"rdma-load-modules@roce.service", ms(1620), ms(1640), {}, {}},
      {"rdma-ndd.service", {}, {}, {}, {}}};
  return facts;
}

std::vector<std::string> names_of(const std::vector<Bar>& bars) {
  std::vector<std::string> names;
  std::transform(bars.begin(), bars.end(), std::back_inserter(names),
                 [](const Bar& bar) { return bar.name; });
  return names;
}

TEST(Timeline, HasDevicesModulesOurUnitsAndServicesAfterTheTarget) {
  EXPECT_THAT(
      names_of(bars_of(boot())),
      ElementsAre("rxe0", "rdma-load-modules@rdma.service", "rdma-load-modules@roce.service",
                  "ib_umad", "rdma_ucm", "rdma-hw.target", "example-storage.service"));
}

TEST(Timeline, ADeviceLastsUntilTheTargetIsActive) {
  const Bar device = bars_of(boot()).front();
  EXPECT_EQ(device.begin, ms(1600));
  EXPECT_EQ(device.end, ms(2110));
  EXPECT_EQ(device.mark, ms(1650));
}

TEST(Timeline, ADeviceThatCameLaterIsNotChargedForWhatWasThere) {
  TimelineFacts facts = boot();
  facts.devices = {{"rxe1", "roce", ms(9000), ms(9030)}};
  const std::vector<Bar> bars = bars_of(facts);
  EXPECT_EQ(bars.back().name, "rxe1");
  EXPECT_EQ(bars.back().end, ms(9030));
}

TEST(Timeline, SinceLeavesOutWhatEndedBefore) {
  TimelineFacts facts = boot();
  facts.since = ms(2105);
  EXPECT_THAT(names_of(bars_of(facts)),
              ElementsAre("rxe0", "rdma-hw.target", "example-storage.service"));
}

TEST(Timeline, AModuleThatTookLongerThanTheBootBeginsWithIt) {
  TimelineFacts facts;
  facts.modules = module_runs({loaded("x", "rdma", 10, 500)});
  EXPECT_EQ(bars_of(facts)[0].begin, Microseconds(0));
}

TEST(Blame, SlowestFirst) {
  EXPECT_EQ(blame_text(bars_of(boot()), {}),
            R"(  TIME       AT  KIND    NAME                            NOTE
510 ms  1.600 s  device  rxe0                            roce
480 ms  1.620 s  unit    rdma-load-modules@rdma.service
120 ms  1.970 s  module  rdma_ucm                        loaded, list rdma
 80 ms  2.120 s  unit    example-storage.service
 60 ms  1.640 s  module  ib_umad                         loaded, list rdma
 20 ms  1.620 s  unit    rdma-load-modules@roce.service
  0 µs  2.110 s  unit    rdma-hw.target
)");
  EXPECT_EQ(blame_text({}, {}), "Nothing of RDMA in this time.\n");
}

TEST(Chain, GoesFromTheTargetToTheDevice) {
  EXPECT_EQ(chain_text(critical_chain(boot(), "rdma-hw.target"), {}),
            "rdma-hw.target @2.110 s\n"
            "└─rdma-load-modules@rdma.service @2.100 s +480 ms\n"
            "  └─module rdma_ucm @2.090 s +120 ms\n"
            "    └─device rxe0 @1.600 s\n");
}

TEST(Chain, OfAServiceBeginsWithIt) {
  const std::vector<Step> chain = critical_chain(boot(), "example-storage.service");
  ASSERT_THAT(chain, ::testing::SizeIs(5));
  EXPECT_EQ(chain[0].name, "example-storage.service");
  EXPECT_EQ(chain[1].name, "rdma-hw.target");
}

TEST(Chain, OfAUnitThatWasNeverActiveIsEmpty) {
  EXPECT_THAT(critical_chain(boot(), "rdma-ndd.service"), IsEmpty());
  EXPECT_THAT(critical_chain(boot(), "nothing.service"), IsEmpty());
}

TEST(Chain, ALoopOfOrderingsEnds) {
  TimelineFacts facts;
  facts.units = {{"rdma-a.service", ms(5), ms(5), {}, {"rdma-b.service"}},
                 {"rdma-b.service", ms(5), ms(5), {}, {"rdma-a.service"}}};
  EXPECT_LE(critical_chain(facts, "rdma-a.service").size(), 64U);
}

TEST(Plot, HasALaneForEachAndEscapesText) {
  std::vector<Bar> bars = bars_of(boot());
  bars[0].name = "<script>&\x1b";
  const std::string svg = plot_svg(bars);
  EXPECT_THAT(svg, HasSubstr("device &lt;script&gt;&amp;\\x1b (roce) 510 ms</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  // The background, a lane each, and the mark of the device's nodes.
  std::size_t rectangles = 0;
  for (std::size_t at = svg.find("<rect"); at != std::string::npos;
       at = svg.find("<rect", at + 1)) {
    ++rectangles;
  }
  EXPECT_EQ(rectangles, 1 + bars.size() + 1);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(Plot, OfNothingIsAPictureToo) {
  EXPECT_TRUE(plot_svg({}).ends_with("</svg>\n"));
  Bar bar;
  bar.begin = bar.end = ms(5);
  EXPECT_TRUE(plot_svg({bar}).ends_with("</svg>\n"));
}

TEST(TimelineJson, FollowsItsSchema) {
  EXPECT_THAT(test::JsonSchema::of_documentation("analyze").problems(bars_json(bars_of(boot()))),
              IsEmpty());
}

TEST(Since, UnderstandsWhatPeopleWrite) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  const Microseconds now = std::chrono::seconds(1'700'000'000);
  EXPECT_EQ(parse_since("@17", now).value(), std::chrono::seconds(17));
  EXPECT_EQ(parse_since("-30s", now).value(), now - std::chrono::seconds(30));
  EXPECT_EQ(parse_since("-5min", now).value(), now - std::chrono::minutes(5));
  EXPECT_EQ(parse_since("-2h", now).value(), now - std::chrono::hours(2));
  EXPECT_EQ(parse_since("2023-11-14 22:13:20", now).value(), now);
  for (const char* const wrong : {"", "-", "-5", "-5days", "@", "@x", "now", "--5min",
                                  "2023-11-14 22:13:20x", "@99999999999999999999"}) {
    EXPECT_FALSE(parse_since(wrong, now)) << wrong;
  }
}

}  // namespace
}  // namespace rdmaboot::rdmactl
