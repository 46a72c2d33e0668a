// SPDX-License-Identifier: BSD-2-Clause
// Formats of node descriptions, and the configuration that says which device has which.
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/description_config.hpp"
#include "device/description_format.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::device {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string expanded(std::string_view format, std::string_view hostname = "node1.example.org",
                     std::string_view device = "mlx5_0") {
  return DescriptionFormat::parse(format).value().expand({hostname, device, 7});
}

std::string complaint(std::string_view format) {
  const auto parsed = DescriptionFormat::parse(format);
  return parsed ? "accepted" : parsed.error().detail;
}

TEST(DescriptionFormat, EachDirectiveStandsForItsValue) {
  EXPECT_EQ(expanded("%h"), "node1");
  EXPECT_EQ(expanded("%H"), "node1.example.org");
  EXPECT_EQ(expanded("%d"), "mlx5_0");
  EXPECT_EQ(expanded("%i"), "7");
  EXPECT_EQ(expanded("%%"), "%");
  EXPECT_EQ(expanded(kDefaultDescriptionFormat), "node1 mlx5_0");
  EXPECT_EQ(expanded("rack 3: %h/%d#%i"), "rack 3: node1/mlx5_0#7");
}

TEST(DescriptionFormat, PercentSignDoesNotMakeADirectiveOfWhatFollows) {
  EXPECT_EQ(expanded("%%h"), "%h");
  EXPECT_EQ(expanded("%%%h"), "%node1");
  EXPECT_EQ(expanded("100%%"), "100%");
}

TEST(DescriptionFormat, ValuesAreNotReadAsFormats) {
  EXPECT_EQ(expanded("%h %d", "%d%", "%h"), "%d% %h");
}

TEST(DescriptionFormat, UnknownDirectiveIsNamedWithItsPosition) {
  EXPECT_THAT(complaint("%h %x"), StartsWith("position 4: expected one of %h %H %d %i %%"));
  EXPECT_THAT(complaint("% h"), StartsWith("position 1: "));
}

TEST(DescriptionFormat, LonePercentSignAtTheEndIsNamedWithItsPosition) {
  EXPECT_THAT(complaint("%h %d%"), StartsWith("position 6: expected a letter after %"));
  EXPECT_THAT(complaint("%"), StartsWith("position 1: "));
  EXPECT_THAT(complaint("%%%"), StartsWith("position 3: "));
}

TEST(DescriptionFormat, EmptyTooLongAndControlCharactersAreErrors) {
  EXPECT_THAT(complaint(""), HasSubstr("1 to 128 bytes"));
  EXPECT_THAT(complaint(std::string(kDescriptionFormatLimit + 1, 'x')),
              HasSubstr("1 to 128 bytes"));
  EXPECT_EQ(complaint(std::string(kDescriptionFormatLimit, 'x')), "accepted");
  EXPECT_THAT(complaint("a\nb"), HasSubstr("position 2"));
}

TEST(DescriptionFormat, UnknownIndexIsShownAsUnknown) {
  EXPECT_EQ(DescriptionFormat::parse("%i").value().expand({"h", "d", std::nullopt}), "?");
}

TEST(DescriptionFormat, DescriptionEndsAt64BytesBetweenCharacters) {
  const std::string a63(63, 'a');
  EXPECT_EQ(expanded("%H", a63 + "bc"), a63 + "b");
  EXPECT_EQ(expanded("%H", a63 + "\xc3\xa9"), a63);
  EXPECT_EQ(expanded("%H", a63.substr(1) + "\xc3\xa9x"), a63.substr(1) + "\xc3\xa9");
  EXPECT_EQ(expanded("%H", a63.substr(2) + "\xf0\x9f\x98\x80"), a63.substr(2));
}

TEST(DescriptionFormat, WhatIsNoTextBecomesQuestionMarks) {
  EXPECT_EQ(expanded("%H",
                     "a\x01\x7f\xff"
                     "b"),
            "a???b");
  EXPECT_EQ(expanded("%H", "\xc0\xaf"), "??");
  EXPECT_EQ(expanded("%H", "x\xc3"), "x?");
}

// ---- configuration

struct Parsed {
  DescriptionConfig config;
  std::vector<core::Error> errors;
};

Parsed parsed(std::string_view text) {
  Parsed result;
  parse_description_config(text, "test.conf", result.config, result.errors);
  return result;
}

TEST(DescriptionConfig, MostSpecificLastSectionDecides) {
  const Parsed all = parsed(
      "[NodeDescription]\nFormat=general\n"
      "[Device mlx5_*]\nFormat=five\n[Device mlx5_1]\nFormat=one\n[Device mlx5_[23]]\nFormat=set\n"
      "[Board MT_00*]\nFormat=board\n");
  EXPECT_THAT(all.errors, IsEmpty());
  EXPECT_EQ(all.config.format_for("rxe0", "").text(), "general");
  EXPECT_EQ(all.config.format_for("mlx5_0", "").text(), "five");
  EXPECT_EQ(all.config.format_for("mlx5_1", "MT_0001").text(), "one");
  EXPECT_EQ(all.config.format_for("mlx5_3", "").text(), "set");
  EXPECT_EQ(all.config.format_for("ibp3s0", "MT_0001").text(), "board");
}

TEST(DescriptionConfig, DeviceWithoutABoardMatchesNoBoard) {
  EXPECT_EQ(parsed("[Board *]\nFormat=board\n").config.format_for("rxe0", "").text(),
            kDefaultDescriptionFormat);
}

TEST(DescriptionConfig, EachWrongLineIsNamedAndTheGoodOnesCount) {
  const Parsed result = parsed(
      "[NodeDescription]\nFormat=%h\nColour=red\n[Devices]\nFormat=x\n[Device a*]\nFormat=%q\n"
      "[Device b*]\nFormat=good\nnonsense\n[Device]\nFormat=y\n");
  std::string all;
  for (const core::Error& error : result.errors) {
    all += error.message() + "\n";
  }
  EXPECT_THAT(all, HasSubstr("line 3 of test.conf: expected Format="));
  EXPECT_THAT(all, HasSubstr("line 5 of test.conf: expected [NodeDescription], [Device GLOB]"));
  EXPECT_THAT(all, HasSubstr("line 7 of test.conf: position 1: expected one of"));
  EXPECT_THAT(all, HasSubstr("line 10 of test.conf: expected Key=Value"));
  EXPECT_THAT(all, HasSubstr("line 12 of test.conf: expected [NodeDescription]"));
  EXPECT_THAT(result.errors, SizeIs(5));
  EXPECT_EQ(result.config.format_for("a1", "").text(), "%h");
  EXPECT_EQ(result.config.format_for("b1", "").text(), "good");
}

TEST(DescriptionConfig, DropInsAddToTheFileInTheOrderOfTheirNames) {
  const test::TemporaryDirectory root;
  root.write("etc/rdma/rdma-ndd.conf", "[NodeDescription]\nFormat=file\n[Device a]\nFormat=a1\n");
  root.write("etc/rdma/rdma-ndd.conf.d/20.conf", "[NodeDescription]\nFormat=twenty\n");
  root.write("usr/lib/rdma/rdma-ndd.conf.d/10.conf", "[Device a]\nFormat=a2\n");
  const DescriptionReading reading = read_description_config(root.path(""), nullptr);
  EXPECT_THAT(reading.errors, IsEmpty());
  EXPECT_EQ(reading.config.general.text(), "twenty");
  EXPECT_EQ(reading.config.format_for("a", "").text(), "a2");
}

TEST(DescriptionConfig, NoFileIsTheDefault) {
  const test::TemporaryDirectory root;
  const DescriptionReading reading = read_description_config(root.path(""), nullptr);
  EXPECT_THAT(reading.errors, IsEmpty());
  EXPECT_EQ(reading.config.format_for("mlx5_0", "").text(), "%h %d");
}

TEST(DescriptionConfig, EnvironmentIsTheGeneralFormatAndSectionsStay) {
  const test::TemporaryDirectory root;
  root.write("etc/rdma/rdma-ndd.conf", "[NodeDescription]\nFormat=file\n[Device a]\nFormat=a\n");
  const DescriptionReading reading = read_description_config(root.path(""), "%h only");
  EXPECT_EQ(reading.config.format_for("b", "").text(), "%h only");
  EXPECT_EQ(reading.config.format_for("a", "").text(), "a");
}

TEST(DescriptionConfig, WrongEnvironmentIsNamedAndTheFileCounts) {
  const test::TemporaryDirectory root;
  root.write("etc/rdma/rdma-ndd.conf", "[NodeDescription]\nFormat=file\n");
  const DescriptionReading reading = read_description_config(root.path(""), "%h %");
  ASSERT_THAT(reading.errors, SizeIs(1));
  EXPECT_THAT(reading.errors[0].message(), HasSubstr("RDMA_NDD_ND_FORMAT: position 4"));
  EXPECT_EQ(reading.config.general.text(), "file");
}

TEST(DescriptionConfig, TooLargeUnreadableAndSelfReferringFilesAreNamedAndTheRestCounts) {
  const test::TemporaryDirectory root;
  root.write("etc/rdma/rdma-ndd.conf", "[NodeDescription]\nFormat=file\n");
  root.write("etc/rdma/rdma-ndd.conf.d/10.conf", std::string(10U << 20U, '#'));
  root.make_directory("etc/rdma/rdma-ndd.conf.d/20.conf");
  root.link("30.conf", "etc/rdma/rdma-ndd.conf.d/30.conf");
  const DescriptionReading reading = read_description_config(root.path(""), nullptr);
  EXPECT_EQ(reading.config.general.text(), "file");
  std::string all;
  for (const core::Error& error : reading.errors) {
    all += error.message() + "\n";
  }
  EXPECT_THAT(all, HasSubstr("10.conf: File too large"));
  EXPECT_THAT(all, HasSubstr("20.conf: Is a directory"));
  EXPECT_THAT(all, HasSubstr("30.conf: Too many levels of symbolic links"));
}

TEST(DescriptionConfig, MainFileThatLeadsInACircleOrNowhereIsNamed) {
  for (const char* const target : {"rdma-ndd.conf", "nowhere"}) {
    const test::TemporaryDirectory root;
    root.make_directory("etc/rdma");
    root.link(target, "etc/rdma/rdma-ndd.conf");
    const DescriptionReading reading = read_description_config(root.path(""), nullptr);
    ASSERT_THAT(reading.errors, SizeIs(1)) << target;
    EXPECT_THAT(reading.errors[0].message(), HasSubstr("etc/rdma/rdma-ndd.conf: "));
    EXPECT_EQ(reading.config.general.text(), kDefaultDescriptionFormat);
  }
}

TEST(DescriptionConfig, CountlessErrorsAreBounded) {
  const test::TemporaryDirectory root;
  std::string text = "[NodeDescription]\n";
  for (int line = 0; line < 1000; ++line) {
    text += "Wrong=1\n";
  }
  root.write("etc/rdma/rdma-ndd.conf", text);
  const DescriptionReading reading = read_description_config(root.path(""), nullptr);
  ASSERT_THAT(reading.errors, SizeIs(kMostDescriptionErrors + 1));
  EXPECT_THAT(reading.errors.back().message(), HasSubstr("980 more"));
}

}  // namespace
}  // namespace rdmaboot::device
