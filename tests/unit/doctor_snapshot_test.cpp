// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-doctor PkgConfig::ARCHIVE
// Snapshots in files: what is refused, what is kept, and what is said of it.
#include <filesystem>
#include <fstream>

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "core/unique_handle.hpp"
#include "doctor_tree.hpp"
#include "json_schema.hpp"
#include "rdmactl/doctor/archive.hpp"
#include "rdmactl/doctor/archive_library.hpp"
#include "rdmactl/doctor/gather.hpp"
#include "rdmactl/doctor/report.hpp"

namespace {

using namespace rdmaboot;
using namespace rdmaboot::rdmactl::doctor;
using rdmaboot::test::JsonSchema;
using rdmaboot::test::TemporaryDirectory;
using testing::HasSubstr;

/// A tar in memory, made entry by entry.
class Tar {
 public:
  explicit Tar(bool compressed = false) : out_(archive_write_new()) {
    bytes_.resize(1U << 20U);
    if (compressed) {
      archive_write_add_filter_gzip(out_.get());
    }
    archive_write_set_format_gnutar(out_.get());
    archive_write_open_memory(out_.get(), bytes_.data(), bytes_.size(), &used_);
  }
  Tar& entry(const char* path, unsigned type, const char* target = nullptr,
             std::string_view text = {}, la_int64_t size = -1) {
    const core::UniqueHandle<archive_entry, archive_entry_free> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), path);
    archive_entry_set_filetype(entry.get(), type);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), size >= 0 ? size : static_cast<la_int64_t>(text.size()));
    if (target != nullptr) {
      type == AE_IFLNK ? archive_entry_set_symlink(entry.get(), target)
                       : archive_entry_set_hardlink(entry.get(), target);
    }
    archive_write_header(out_.get(), entry.get());
    archive_write_data(out_.get(), text.data(), text.size());
    return *this;
  }
  Tar& file(const char* path, std::string_view text = "x") {
    return entry(path, AE_IFREG, nullptr, text);
  }
  Tar& link(const char* path, const char* target) { return entry(path, AE_IFLNK, target); }
  std::string bytes() {
    archive_write_close(out_.get());
    return bytes_.substr(0, used_);
  }

 private:
  core::UniqueHandle<archive, archive_write_free> out_;
  std::string bytes_;
  std::size_t used_ = 0;
};

/// What unpacking says; empty if all went well. Nothing may ever be beside the directory.
std::string unpacked(std::string_view bytes, const TemporaryDirectory& home) {
  home.make_directory("in");
  const auto result = unpack_snapshot_bytes(bytes, home.path("in"));
  std::size_t beside = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(home.path(""))) {
    ++beside;
  }
  EXPECT_EQ(beside, 1U);
  return result ? std::string{} : result.error().message();
}

std::string refusal(Tar& tar) {
  const TemporaryDirectory home;
  return unpacked(tar.bytes(), home);
}

TEST(DoctorUnpack, KeepsFilesLinksAndTimes) {
  const TemporaryDirectory home;
  Tar tar(true);
  tar.file("./a/b/c", "text").entry("empty/", AE_IFDIR).link("a/up", "../empty").link("a/.", "b");
  EXPECT_THAT(refusal(tar), HasSubstr("a/."));
  Tar good(true);
  good.file("./a/b/c", "text").entry("empty/", AE_IFDIR).link("a/up", "../empty");
  ASSERT_EQ(unpacked(good.bytes(), home), "");
  EXPECT_TRUE(std::filesystem::is_directory(home.path("in/empty")));
  EXPECT_EQ(std::filesystem::read_symlink(home.path("in/a/up")), "../empty");
  struct stat status {};
  ASSERT_EQ(::stat(home.path("in/a/b/c").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 4);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(status.st_mtim.tv_sec, 0);
}

TEST(DoctorUnpack, PathsThatLeadOutAreRefused) {
  for (const char* const path : {"../x", "a/../../x", "a/..", "..", "./../x"}) {
    Tar tar;
    EXPECT_THAT(refusal(tar.file(path)), HasSubstr("its path has \"..\"")) << path;
  }
  Tar absolute;
  EXPECT_THAT(refusal(absolute.file("/etc/x")), HasSubstr("its path is absolute"));
}

TEST(DoctorUnpack, LinksThatLeadOutAreRefused) {
  for (const char* const target :
       {"/etc/passwd", "..", "../..", "b/../../../x", "b/..", "./../../x"}) {
    Tar tar;
    const std::string said = refusal(tar.link("link", target));
    EXPECT_THAT(said, HasSubstr("a link that is absolute, or leads out")) << target;
  }
  Tar deep;
  EXPECT_THAT(refusal(deep.link("a/b/link", "../../../x")), HasSubstr("leads out"));
  Tar fine;
  EXPECT_EQ(refusal(fine.link("a/b/link", "../../x/y")), "");
}

TEST(DoctorUnpack, NothingIsWrittenThroughALink) {
  Tar tar;
  EXPECT_THAT(refusal(tar.link("a/link", "../b").entry("b", AE_IFDIR).file("a/link/x")),
              HasSubstr("a path goes through it"));
  Tar over;
  EXPECT_THAT(refusal(over.link("link", "b").file("link")), HasSubstr("it is there twice"));
  Tar file;
  EXPECT_THAT(refusal(file.file("a").file("a/b")), HasSubstr("it is no directory"));
  Tar twice;
  EXPECT_THAT(refusal(twice.file("a").file("a")), HasSubstr("it is there twice"));
}

TEST(DoctorUnpack, DevicesPipesAndHardLinksAreRefused) {
  for (const unsigned type : {AE_IFCHR, AE_IFBLK, AE_IFIFO}) {
    Tar tar;
    EXPECT_THAT(refusal(tar.entry("x", type)), HasSubstr("neither file, directory nor")) << type;
  }
  Tar hard;
  EXPECT_THAT(refusal(hard.file("a").entry("b", AE_IFREG, "a")), HasSubstr("neither file,"));
}

TEST(DoctorUnpack, AHugeFileIsRefusedByItsHeader) {
  Tar tar;
  tar.entry("x", AE_IFREG, nullptr, "abc", la_int64_t{1} << 40U);
  EXPECT_THAT(refusal(tar), HasSubstr("it is larger than 8388608 bytes"));
}

TEST(DoctorUnpack, DeepAndLongPathsAreRefused) {
  std::string path = "x";
  for (std::size_t i = 0; i < kDepthLimit; ++i) {
    path += "/x";
  }
  Tar deep;
  EXPECT_THAT(refusal(deep.file(path.c_str())), HasSubstr("deeper than 40"));
  Tar allowed;
  EXPECT_EQ(refusal(allowed.file(path.substr(2).c_str())), "");
  Tar far;
  EXPECT_THAT(refusal(far.file(std::string(kPathLimit + 1, 'x').c_str())), HasSubstr("longer"));
}

/// gzip, of bytes that are all the same.
std::string bomb(std::size_t size) {
  std::string out(1U << 20U, '\0');
  std::size_t used = 0;
  const core::UniqueHandle<archive, archive_write_free> writer(archive_write_new());
  archive_write_add_filter_gzip(writer.get());
  archive_write_set_format_raw(writer.get());
  archive_write_open_memory(writer.get(), out.data(), out.size(), &used);
  const core::UniqueHandle<archive_entry, archive_entry_free> entry(archive_entry_new());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_write_header(writer.get(), entry.get());
  const std::string block(1U << 20U, '\0');
  for (std::size_t done = 0; done < size; done += block.size()) {
    archive_write_data(writer.get(), block.data(), block.size());
  }
  archive_write_close(writer.get());
  return out.substr(0, used);
}

TEST(DoctorUnpack, AZipBombIsRefused) {
  const TemporaryDirectory home;
  const std::string bytes = bomb(kUnpackedLimit + (1U << 20U));
  EXPECT_LT(bytes.size(), kUnpackedLimit / 500);
  EXPECT_THAT(unpacked(bytes, home), HasSubstr("it expands to more than 100663296 bytes"));
}

TEST(DoctorUnpack, MoreEntriesThanTheLimitAreRefused) {
  // A directory is one block of 512 bytes; all of them are the same one.
  Tar one;
  const std::string header = one.entry("d/", AE_IFDIR).bytes().substr(0, 512);
  std::string bytes;
  for (std::size_t i = 0; i <= kEntryLimit; ++i) {
    bytes += header;
  }
  const TemporaryDirectory home;
  EXPECT_THAT(unpacked(bytes, home), HasSubstr("more than 65536 entries"));
}

TEST(DoctorUnpack, WhatIsNoArchiveIsRefused) {
  const std::string whole = Tar(true).file("a", std::string(5000, 'x')).bytes();
  for (const std::string& bytes : {std::string{}, std::string("no tar at all"),
                                   whole.substr(0, whole.size() / 2), std::string(10240, '\0')}) {
    const TemporaryDirectory home;
    EXPECT_NE(unpacked(bytes, home), "") << bytes.size();
  }
}

TEST(DoctorUnpack, APackedFileAboveTheLimitIsNotRead) {
  const TemporaryDirectory home;
  home.write("big", "");
  std::filesystem::resize_file(home.path("big"), kPackedLimit + 1);
  home.make_directory("in");
  const auto result = unpack_snapshot(home.path("big"), home.path("in"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().error_number, EFBIG);
  EXPECT_FALSE(unpack_snapshot(home.path("nothing"), home.path("in")));
}

TEST(DoctorSave, LinksBecomeRelativeAndMeanTheSame) {
  EXPECT_EQ(relative_target("/etc/a/x", "/dev/null"), "../../dev/null");
  EXPECT_EQ(relative_target("/x", "/dev/null"), "./dev/null");
  EXPECT_EQ(relative_target("/lib", "usr/lib"), "usr/lib");
  EXPECT_EQ(relative_target("/a/b", "../../../c"), "../c");
  EXPECT_EQ(relative_target("/a/b/c", "d/../../e"), "../../a/e");
  EXPECT_EQ(relative_target("/sys/class/net/e", "../../devices/e"), "../../devices/e");
}

TEST(DoctorSave, ItIsForItsOwnerAloneAndNeverReplacesAFile) {
  const TemporaryDirectory home;
  const std::string path = home.path("s.tgz");
  ASSERT_TRUE(save_snapshot({}, {}, path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const auto again = save_snapshot({}, {}, path);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().error_number, EEXIST);
}

TEST(DoctorSave, WhatCouldNotBeReadAgainIsNotSaved) {
  const TemporaryDirectory home;
  const std::string path = home.path("s.tgz");
  const Seen seen{Seen::Kind::kFile, {}, 0};
  EXPECT_FALSE(save_snapshot({{"/" + std::string(kPathLimit, 'x'), seen}}, {}, path));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(DoctorLive, FactsSurviveJson) {
  LiveFacts facts;
  facts.addresses["eth0"] = {*device::Gid::parse("::ffff:192.0.2.1")};
  facts.nodes["/dev/infiniband/uverbs0"] = EACCES;
  facts.active_mtu["a:1"] = 4096;
  facts.netdevs["a:1"] = {"eth0"};
  facts.unit_states["rdma-ndd.service"] = "failed";
  facts.next_names["a"] = "b";
  facts.port_mapper = "no";
  const auto again = parse_live(live_json(facts).dump());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->known);
  EXPECT_EQ(live_json(*again), live_json(facts));
}

TEST(DoctorLive, AnythingElseIsAnError) {
  for (
      const char* const text :
      {"", "[]", "{}", R"({"version": 2})", R"({"version": 1})",
       R"({"version":1,"addresses":{"e":["x"]},"nodes":{},"active_mtu":{},"netdevs":{},"unit_states":{},"next_names":{}})",
       R"({"version":1,"addresses":{},"nodes":{"n":-1},"active_mtu":{},"netdevs":{},"unit_states":{},"next_names":{}})",
       R"({"version":1,"addresses":{},"nodes":{},"active_mtu":{"m":99999999999},"netdevs":{},"unit_states":{},"next_names":{}})",
       R"({"version":1,"addresses":{},"nodes":{},"active_mtu":{},"netdevs":{},"unit_states":{"u":1},"next_names":{}})",
       R"({"version":1,"addresses":{},"nodes":{},"active_mtu":{},"netdevs":{},"unit_states":{},"next_names":{},"port_mapper":7})"}) {
    EXPECT_FALSE(parse_live(text)) << text;
  }
  EXPECT_FALSE(parse_live(std::string(kLiveLimit + 1, ' ')));
}

TEST(DoctorTreeFiles, ALinkNeverLeadsOut) {
  const TemporaryDirectory home;
  home.write("outside", "secret");
  home.write("root/etc/hosts", "inside");
  home.link("/etc/hosts", "root/absolute");
  home.link("../../../../outside", "root/up");
  home.link("loop", "root/loop");
  Tree tree(home.path("root"));
  EXPECT_EQ(tree.read("/absolute"), "inside");
  EXPECT_EQ(tree.read("/up"), std::nullopt);
  EXPECT_EQ(tree.read("/../outside"), std::nullopt);
  EXPECT_EQ(tree.read("/loop"), std::nullopt);
  EXPECT_EQ(tree.read("/etc"), std::nullopt);
  EXPECT_THAT(tree.list("/"), testing::ElementsAre("absolute", "etc", "loop", "up"));
}

TEST(DoctorTreeFiles, APipeDoesNotHangIt) {
  const TemporaryDirectory home;
  ASSERT_EQ(::mkfifo(home.path("pipe").c_str(), 0600), 0);
  Tree tree(home.path(""));
  EXPECT_EQ(tree.read("/pipe"), std::nullopt);
}

Examined hostile() {
  Examined examined;
  examined.hostname = "h\x1b[2J";
  device::Device device;
  device.name = "mlx5_0";
  device.protocol = device::Protocol::kInfiniBand;
  device.node_description = "localhost \x1b]0;evil\x07";
  for (unsigned port = 1; port <= kMostShown + 2; ++port) {
    device.ports.emplace_back().number.value = port;
  }
  examined.devices.devices.push_back(device);
  return examined;
}

TEST(DoctorReport, WhatADeviceSaysCannotControlTheTerminal) {
  const Examined examined = hostile();
  const auto outcomes = run_checks(examined, {});
  EXPECT_EQ(report_text(outcomes, {80, false}).find('\x1b'), std::string::npos);
  EXPECT_EQ(report_json(examined, outcomes, {}).dump().find("\\u001b"), std::string::npos);
  EXPECT_THAT(report_text(outcomes, {}), HasSubstr("localhost \\x1b]0;evil\\x07"));
}

TEST(DoctorReport, JsonIsAsTheSchemaSays) {
  const auto schema = JsonSchema::of_documentation("doctor");
  const Examined examined = hostile();
  const auto found =
      report_json(examined, run_checks(examined, {}), {{"ask", "systemd", ENOENT, "x"}});
  EXPECT_THAT(schema.problems(found), testing::IsEmpty());
  EXPECT_GT(found["found"], 0);
  auto wrong = found;
  wrong["checks"][0]["severity"] = "bad";
  EXPECT_THAT(schema.problems(wrong), testing::SizeIs(1));
  EXPECT_THAT(schema.problems(report_json({}, run_checks({}, {}), {})), testing::IsEmpty());
}

TEST(DoctorSnapshot, WithoutLibarchiveItIsSaidWhatToInstall) {
  const auto library = load_archive_library("libno-such-archive.so.13");
  ASSERT_FALSE(library);
  EXPECT_THAT(library.error().message(), testing::HasSubstr("libarchive13t64"));
  EXPECT_THAT(load_archive_library("libc.so.6").error().message(), testing::HasSubstr("lacks"));
  EXPECT_TRUE(load_archive_library());
}

TEST(DoctorReport, LinesFitTheTerminalAndTheRestIsCounted) {
  const auto outcomes = run_checks(hostile(), {});
  const std::string text = report_text(outcomes, {60, false});
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    // Titles and paths of pages are not broken.
    if (line.starts_with("      ")) {
      EXPECT_LE(rdmactl::columns_of(line), 60U) << line;
    }
  }
  EXPECT_THAT(text, HasSubstr("    and 2 more (--json)\n"));
  EXPECT_THAT(text, HasSubstr("/doctor/port-down.md\n"));
}

TEST(DoctorReport, ChecksCanBeLeftOut) {
  const auto all = run_checks(hostile(), {});
  const auto some = run_checks(hostile(), {"port-down"});
  EXPECT_EQ(some.size() + 1, all.size());
  EXPECT_EQ(report_text(some, {}).find("port-down"), std::string::npos);
  EXPECT_EQ(report_text({}, {}), "0 checks, nothing found.\n");
}

TEST(DoctorUnit, ValuesOfSystemdAreUnderstood) {
  EXPECT_EQ(parse_limit("infinity"), UINT64_MAX);
  EXPECT_EQ(parse_limit("64K"), 65536U);
  EXPECT_EQ(parse_limit("8M:infinity"), 8U << 20U);
  EXPECT_EQ(parse_limit("100"), 100U);
  EXPECT_EQ(parse_limit("16E"), std::nullopt);
  EXPECT_EQ(parse_limit(""), std::nullopt);
  EXPECT_EQ(parse_limit("K"), std::nullopt);
  EXPECT_EQ(template_of("a@b.service"), "a@.service");
  EXPECT_EQ(template_of("a.service"), "a.service");
  UnitFile unit;
  parse_unit("[Service]\nDynamicUser=yes\n[Unit]\nAfter=a \\\n b\nAfter=c\n;After=d\nUser=x\n",
             unit);
  EXPECT_EQ(unit.user, "-");
  EXPECT_THAT(unit.after, testing::ElementsAre("a", "b", "c"));
}

}  // namespace
