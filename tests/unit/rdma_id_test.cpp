// SPDX-License-Identifier: BSD-2-Clause
// link: udev-policy
#include "udev/rdma_id.hpp"

#include <cerrno>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink_messages.hpp"
#include "recorded_tree.hpp"
#include "udev/id_properties.hpp"
#include "udev/node_description.hpp"

namespace rdmaboot::udev {
namespace {

using test::NetlinkMessage;
using test::RecordedTree;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Pair;
using namespace std::chrono_literals;

constexpr std::uint16_t kGet = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_GET);

/// Gives every request the same datagram.
class OneAnswer final : public os::NetlinkChannel {
 public:
  explicit OneAnswer(std::vector<std::byte> answer) : answer_(std::move(answer)) {}
  [[nodiscard]] std::uint32_t port_id() const override { return 1; }
  core::Result<void> send(std::span<const std::byte>) override { return {}; }
  core::Result<std::size_t> receive(std::span<std::byte> buffer,
                                    std::chrono::milliseconds) override {
    std::ranges::copy(answer_, buffer.begin());
    return answer_.size();
  }

 private:
  std::vector<std::byte> answer_;
};

std::vector<std::byte> dump_of(std::string_view name, std::string_view protocol) {
  return test::join({NetlinkMessage(kGet, 1, 1, NLM_F_MULTI)
                         .u32(RDMA_NLDEV_ATTR_DEV_INDEX, 0)
                         .text(RDMA_NLDEV_ATTR_DEV_NAME, name)
                         .text(RDMA_NLDEV_ATTR_DEV_PROTOCOL, protocol),
                     NetlinkMessage(NLMSG_DONE, 1, 1, NLM_F_MULTI).raw(0)});
}

core::Result<std::optional<os::NetlinkDevice>> ask_with(std::vector<std::byte> answer) {
  const core::ManualClock clock;
  return ask_netlink("mlx5_0", std::make_unique<OneAnswer>(std::move(answer)), clock);
}

/// All properties that rdma_id prints for a device of a recording, from sysfs alone.
std::map<std::string, std::string> properties_of(const RecordedTree& tree,
                                                 const std::string& device) {
  const auto facts = gather_facts({tree.path(""), device}, std::nullopt);
  EXPECT_TRUE(facts) << facts.error().message();
  std::map<std::string, std::string> properties;
  if (facts) {
    for (const Property& property : id_properties(*facts)) {
      EXPECT_TRUE(properties.insert(property).second) << property.first << " twice";
    }
  }
  return properties;
}

/// Only the flags that rules and other software look at.
std::vector<std::string> flags_of(const std::map<std::string, std::string>& properties) {
  std::vector<std::string> flags;
  for (const auto& [key, value] : properties) {
    if (key.starts_with("ID_RDMA_") && value == "1") {
      flags.push_back(key);
    }
  }
  return flags;
}

struct Machine {
  const char* recording;
  const char* device;
  std::vector<std::string> flags;
  const char* protocol;
  const char* driver;
};

TEST(RdmaId, EveryRecordedDeviceIsRecognised) {
  const Machine machines[] = {
      {"mlx5-ib", "mlx5_0", {"ID_RDMA_INFINIBAND"}, "infiniband", "mlx5_core"},
      {"mlx5-roce", "mlx5_0", {"ID_RDMA_ROCE"}, "roce", "mlx5_core"},
      {"mlx5-roce", "mlx5_1", {"ID_RDMA_ROCE"}, "roce", "mlx5_core"},
      {"irdma", "irdma0", {"ID_RDMA_ROCE"}, "roce", "ice"},
      {"irdma", "irdma1", {"ID_RDMA_IWARP"}, "iwarp", "ice"},
      {"hfi1-opa", "hfi1_0", {"ID_RDMA_OPA"}, "opa", "hfi1"},
      {"cxgb4-iwarp", "cxgb4_0", {"ID_RDMA_IWARP"}, "iwarp", "cxgb4"},
      {"bnxt_re", "bnxt_re0", {"ID_RDMA_ROCE"}, "roce", "bnxt_en"},
      {"efa", "efa_0", {"ID_RDMA_EFA"}, "efa", "efa"},
      {"erdma", "erdma_0", {"ID_RDMA_IWARP"}, "iwarp", "erdma"},
      {"mana", "mana_0", {"ID_RDMA_ROCE"}, "roce", "mana"},
      {"mlx4-mixed",
       "mlx4_0",
       {"ID_RDMA_INFINIBAND", "ID_RDMA_ROCE"},
       "infiniband,roce",
       "mlx4_core"},
  };
  for (const Machine& machine : machines) {
    const RecordedTree tree({machine.recording});
    const auto properties = properties_of(tree, machine.device);
    EXPECT_EQ(flags_of(properties), machine.flags) << machine.recording;
    EXPECT_THAT(properties, IsSupersetOf({Pair("ID_RDMA_PROTOCOL", machine.protocol),
                                          Pair("ID_RDMA_DRIVER", machine.driver)}))
        << machine.recording;
  }
}

TEST(RdmaId, SoftRoceOfAnyNameIsRoce) {
  const RecordedTree tree({"rxe"});
  EXPECT_THAT(properties_of(tree, "foo0"),
              ElementsAre(Pair("ID_MODEL", "Soft-RoCE"), Pair("ID_RDMA_PROTOCOL", "roce"),
                          Pair("ID_RDMA_ROCE", "1"), Pair("ID_VENDOR", "Linux")));
}

TEST(RdmaId, SoftIwarpIsIwarp) {
  const RecordedTree tree({"siw"});
  EXPECT_THAT(properties_of(tree, "siw0"),
              ElementsAre(Pair("ID_MODEL", "Soft-iWARP"), Pair("ID_RDMA_IWARP", "1"),
                          Pair("ID_RDMA_PROTOCOL", "iwarp"), Pair("ID_VENDOR", "Linux")));
}

TEST(RdmaId, NameAndDevpathGiveTheSame) {
  const RecordedTree tree({"mlx5-ib"});
  EXPECT_EQ(properties_of(tree, "mlx5_0"),
            properties_of(tree, "/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0"));
}

TEST(RdmaId, EveryProtocolHasItsFlag) {
  const std::pair<const char*, const char*> words[] = {{"ib", "ID_RDMA_INFINIBAND"},
                                                       {"roce", "ID_RDMA_ROCE"},
                                                       {"iw", "ID_RDMA_IWARP"},
                                                       {"opa", "ID_RDMA_OPA"},
                                                       {"usnic", "ID_RDMA_USNIC"}};
  for (const auto& [word, flag] : words) {
    IdFacts facts;
    facts.evidence.netlink = word;
    EXPECT_THAT(id_properties(facts), ::testing::Contains(Pair(flag, "1"))) << word;
  }
}

TEST(RdmaId, NetlinksWordBeatsSysfs) {
  const RecordedTree tree({"mlx5-ib"});
  const auto answer = ask_with(dump_of("mlx5_0", "opa"));
  ASSERT_TRUE(answer);
  const auto facts = gather_facts({tree.path(""), "mlx5_0"}, *answer);
  ASSERT_TRUE(facts);
  EXPECT_THAT(format_properties(id_properties(*facts)),
              ::testing::StartsWith("ID_RDMA_OPA=1\nID_RDMA_PROTOCOL=opa\n"));
}

TEST(RdmaId, WhereNetlinkCannotBeAskedSysfsDecides) {
  const core::ManualClock clock;
  EXPECT_EQ(*ask_netlink("mlx5_0", core::fail("open", "socket", EPROTONOSUPPORT), clock),
            std::nullopt);
  EXPECT_EQ(*ask_with(dump_of("another", "ib")), std::nullopt) << "not in this namespace";
  EXPECT_EQ(*ask_with(test::join({NetlinkMessage(NLMSG_ERROR, 1, 1, 0).raw(-EPERM)})),
            std::nullopt);
}

TEST(RdmaId, MalformedNetlinkAnswerIsAnErrorNotAGuess) {
  EXPECT_EQ(ask_with(std::vector<std::byte>(40, std::byte{0xee})).error().error_number, EBADMSG);
  EXPECT_EQ(ask_with(dump_of("", "ib")).error().error_number, EBADMSG);
}

TEST(RdmaId, MalformedAttributesAreAnErrorNotAGuess) {
  for (const char* attribute : {"node_type", "ports/1/link_layer"}) {
    for (const std::string text : {"", "\n", "\xff\xfe", "12345678901234567890: X"}) {
      const RecordedTree tree({"mlx5-ib"});
      tree.write("sys/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0/" +
                     std::string(attribute),
                 text);
      const auto facts = gather_facts({tree.path(""), "mlx5_0"}, std::nullopt);
      ASSERT_FALSE(facts) << attribute << text;
      EXPECT_EQ(facts.error().error_number, EBADMSG);
    }
  }
}

TEST(RdmaId, DeviceThatIsGoneIsAnError) {
  const RecordedTree tree({"mlx5-ib"});
  EXPECT_EQ(gather_facts({tree.path(""), "mlx5_9"}, std::nullopt).error().error_number, ENOENT);
  EXPECT_EQ(gather_facts({"/nonexistent", "mlx5_0"}, std::nullopt).error().error_number, ENOENT);
}

TEST(RdmaId, DeviceThatGoesWhileItIsReadIsAnError) {
  const RecordedTree tree({"mlx5-ib"});
  tree.make_directory("sys/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0/ports/2");
  EXPECT_EQ(gather_facts({tree.path(""), "mlx5_0"}, std::nullopt).error().error_number, ENOENT)
      << "port 2 has no link_layer";
}

TEST(RdmaId, ThousandsOfPortsAreNotAllRead) {
  const RecordedTree tree({"mlx5-roce"});
  for (int port = 2; port < 300; ++port) {
    tree.write("sys/devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/infiniband/mlx5_0/ports/" +
                   std::to_string(port) + "/link_layer",
               "Ethernet\n");
  }
  const auto facts = gather_facts({tree.path(""), "mlx5_0"}, std::nullopt);
  ASSERT_TRUE(facts);
  EXPECT_LE(facts->evidence.link_layers.size(), 64U);
  EXPECT_GE(facts->evidence.link_layers.size(), 2U);
}

TEST(PropertyValue, OnlySafeCharactersReachUdev) {
  EXPECT_EQ(property_value("MT4123\n"), "MT4123");
  EXPECT_EQ(property_value("Intel Omni-Path \"100\""), "Intel_Omni-Path__100_");
  EXPECT_EQ(property_value("a\nID_RDMA_OPA=1"), "a_ID_RDMA_OPA=1") << "no second line";
  EXPECT_EQ(property_value("K\xc3\xb6ln\x1b$`\\"), "K__ln____");
  EXPECT_EQ(property_value(" \n"), "");
  EXPECT_EQ(property_value(std::string(5000, 'x')).size(), kPropertyValueLimit);
}

TEST(PropertyValue, HostileAttributeCannotAddAProperty) {
  const RecordedTree tree({"mlx5-ib"});
  tree.write("sys/devices/pci0000:00/0000:00:03.0/0000:03:00.0/infiniband/mlx5_0/board_id",
             "x\nSYSTEMD_WANTS=evil.service\n");
  EXPECT_THAT(properties_of(tree, "mlx5_0"),
              IsSupersetOf({Pair("ID_RDMA_BOARD_ID", "x_SYSTEMD_WANTS=evil.service")}));
}

device::DescriptionConfig formats(std::string_view text) {
  device::DescriptionConfig config;
  std::vector<core::Error> errors;
  parse_description_config(text, "test.conf", config, errors);
  EXPECT_TRUE(errors.empty());
  return config;
}

TEST(FirstDescription, IsWhatTheConfigurationGivesTheDevice) {
  const auto config = formats(
      "[NodeDescription]\nFormat=%H %i\n[Device rxe*]\nFormat=soft %d\n[Board MT*]\nFormat=%h b\n");
  EXPECT_EQ(description_property({}, {"n1.example.org", "mlx5_0", 3, ""})->second, "\"n1 mlx5_0\"");
  EXPECT_EQ(description_property(config, {"n1.example.org", "mlx5_0", 3, ""})->second,
            "\"n1.example.org 3\"");
  EXPECT_EQ(description_property(config, {"n1", "rxe0", 3, ""})->second, "\"soft rxe0\"");
  EXPECT_EQ(description_property(config, {"n1", "mlx5_0", 3, "MT_1"})->second, "\"n1 b\"");
  EXPECT_EQ(description_property({}, {"n1", "mlx5_0", 3, ""})->first, kDescriptionProperty);
}

TEST(FirstDescription, HostWithoutANameIsLeftToTheDaemon) {
  for (const char* name : {"", "(none)", "localhost", "localhost.localdomain"}) {
    EXPECT_EQ(description_property({}, {name, "mlx5_0", 3, ""}), std::nullopt) << name;
  }
  EXPECT_TRUE(description_property({}, {"localhosts", "mlx5_0", 3, ""}));
}

TEST(FirstDescription, TextThatUdevMightChangeIsLeftToTheDaemon) {
  for (const char* name : {"K\xc3\xb6ln", "a\"b", "a\\x20"}) {
    EXPECT_EQ(description_property({}, {name, "mlx5_0", 3, ""}), std::nullopt) << name;
  }
  const auto spaces = description_property(formats("[NodeDescription]\nFormat=%h $kernel %%k\n"),
                                           {"n1", "mlx5_0", 3, ""});
  EXPECT_EQ(spaces->second, "\"n1 $kernel %k\"");
}

TEST(FirstDescription, WrongConfigurationIsTheDaemonsToTellAndTheRestApplies) {
  const RecordedTree tree({"siw"});
  tree.write("proc/sys/kernel/hostname", "n1.example.org\n");
  tree.write("etc/rdma/rdma-ndd.conf", "[NodeDescription]\nFormat=%H\nFormat=%q\nnonsense\n");
  EXPECT_THAT(*identify({tree.path(""), "siw0"}),
              ::testing::EndsWith("\n.RDMA_NODE_DESCRIPTION=\"n1.example.org\"\n"));
}

core::Result<IdRequest> parse(std::vector<const char*> arguments, const char* devpath = nullptr) {
  arguments.insert(arguments.begin(), "rdma_id");
  return parse_id_arguments(arguments, devpath);
}

TEST(Arguments, NameDevpathRootAndEnvironmentAreTaken) {
  EXPECT_EQ(parse({"mlx5_0"})->device, "mlx5_0");
  EXPECT_EQ(parse({"--root=/x", "mlx5_0"})->root, "/x");
  EXPECT_EQ(parse({}, "/devices/virtual/infiniband/rxe0")->device,
            "/devices/virtual/infiniband/rxe0");
  EXPECT_EQ(parse({"a"}, "/devices/b")->device, "a");
}

TEST(Arguments, WhatIsNoDeviceIsRefused) {
  for (const char* device :
       {"", "..", "/", "/devices/..", "../mlx5_0", "a/b", "-x", "/devices/../../etc/passwd"}) {
    EXPECT_FALSE(parse({device})) << device;
  }
  EXPECT_FALSE(parse({}));
  EXPECT_FALSE(parse({"a", "b"}));
  EXPECT_FALSE(parse({std::string(65, 'a').c_str()}));
  EXPECT_FALSE(parse_id_arguments({}, nullptr));
}

}  // namespace
}  // namespace rdmaboot::udev
