// SPDX-License-Identifier: BSD-2-Clause
// link: udev-policy
#include "udev/rdma_rename.hpp"

#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink_messages.hpp"
#include "recorded_tree.hpp"
#include "udev/rename_policy.hpp"

namespace rdmaboot::udev {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- The policy

NameFacts facts_at(PciAddress address, device::Protocol protocol = device::Protocol::kRoce) {
  NameFacts facts;
  facts.current = "mlx5_0";
  facts.protocol = protocol;
  facts.pci = PciLocation{address, false, false, {}, {}};
  return facts;
}

std::string name_of(const NameFacts& facts, NamePolicy policy) {
  const auto choice = choose_name(facts, policy);
  return choice ? choice->name : "error " + std::to_string(choice.error().error_number);
}

TEST(RenamePolicy, PrefixIsTheKernelsWordForTheProtocol) {
  using device::Protocol;
  const std::map<Protocol, std::string> prefixes = {
      {Protocol::kInfiniBand, "ib"}, {Protocol::kRoce, "roce"},   {Protocol::kIwarp, "iw"},
      {Protocol::kOpa, "opa"},       {Protocol::kUsnic, "usnic"}, {Protocol::kEfa, "rdma"},
      {Protocol::kUnknown, "rdma"}};
  for (const auto& [protocol, prefix] : prefixes) {
    EXPECT_EQ(name_of(facts_at({0, 3, 0, 0}, protocol), NamePolicy::kPci), prefix + "p3s0");
  }
}

TEST(RenamePolicy, FallbackTakesTheOnboardNumberThenThePciAddressThenNothing) {
  NameFacts facts = facts_at({0, 3, 0, 1});
  facts.node_guid = 0x5254;
  EXPECT_EQ(name_of(facts, NamePolicy::kFallback), "rocep3s0f1");
  facts.onboard_index = 0;
  EXPECT_EQ(name_of(facts, NamePolicy::kFallback), "roceo0");
  facts.onboard_index = kOnboardIndexLimit + 1;
  EXPECT_EQ(name_of(facts, NamePolicy::kFallback), "rocep3s0f1");
  facts.onboard_index.reset();
  facts.pci.reset();
  const auto left = choose_name(facts, NamePolicy::kFallback);
  ASSERT_TRUE(left) << "nothing to go by is no failure";
  EXPECT_EQ(left->name, "mlx5_0") << "not the GUID";
  EXPECT_NE(left->reason, "");
}

TEST(RenamePolicy, PolicyWithNothingToGoByIsAnErrorThatNamesTheDevice) {
  NameFacts facts;
  facts.current = "rxe0";
  for (const NamePolicy policy : {NamePolicy::kOnboard, NamePolicy::kPci, NamePolicy::kGuid}) {
    const auto choice = choose_name(facts, policy);
    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().error_number, ENODATA);
    EXPECT_THAT(choice.error().message(), HasSubstr("rxe0"));
  }
  facts.onboard_index = 16384;
  EXPECT_THAT(choose_name(facts, NamePolicy::kOnboard).error().message(), HasSubstr("16384"));
}

TEST(RenamePolicy, GuidHasSixteenDigitsAndZeroIsNone) {
  NameFacts facts = facts_at({});
  facts.node_guid = 0x525400c0fe123455;
  EXPECT_EQ(name_of(facts, NamePolicy::kGuid), "rocex525400c0fe123455");
  facts.node_guid = 0x1f;
  EXPECT_EQ(name_of(facts, NamePolicy::kGuid), "rocex000000000000001f");
  facts.node_guid = 0;
  EXPECT_EQ(choose_name(facts, NamePolicy::kGuid).error().error_number, ENODATA);
  facts.node_guid.reset();
  EXPECT_EQ(choose_name(facts, NamePolicy::kGuid).error().error_number, ENODATA);
}

TEST(RenamePolicy, UserNamedDeviceIsRenamedByAFixedNameOnly) {
  NameFacts facts = facts_at({0, 3, 0, 0});
  facts.node_guid = 1;
  facts.onboard_index = 1;
  facts.user_named = true;
  for (const NamePolicy policy : {NamePolicy::kKernel, NamePolicy::kFallback, NamePolicy::kOnboard,
                                  NamePolicy::kPci, NamePolicy::kGuid}) {
    const auto choice = choose_name(facts, policy);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->name, "mlx5_0");
    EXPECT_NE(choice->reason, "");
  }
  EXPECT_EQ(choose_name(facts, NamePolicy::kFixed, "storage0")->name, "storage0");
}

TEST(RenamePolicy, NameThatWouldBreakSomethingIsRefused) {
  for (const std::string& good :
       {std::string("a"), std::string("0"), std::string("rail-1_b.2"), std::string(63, 'x')}) {
    EXPECT_TRUE(check_device_name(good)) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string("a/b%d"), std::string("."), std::string(".."), std::string("-v"),
        std::string("a b"), std::string("mlx5%d"), std::string("a:1"), std::string("a*"),
        std::string("a\n"), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
    EXPECT_EQ(check_device_name(bad).error().error_number, EINVAL) << bad;
  }
  EXPECT_EQ(check_device_name(std::string(64, 'x')).error().error_number, ENAMETOOLONG);
}

TEST(RenamePolicy, EachNameItMakesPassesItsOwnCheck) {
  NameFacts facts = facts_at({0xffffffff, 255, 31, 7}, device::Protocol::kUsnic);
  facts.pci->ari = true;
  facts.pci->virtual_function = 0xffffffff;
  facts.pci->sub_function = 0xffffffff;
  const auto longest = choose_name(facts, NamePolicy::kPci);
  EXPECT_EQ(longest->name, "usnicP4294967295p255s31f255v4294967295S4294967295");
  EXPECT_TRUE(check_device_name(longest->name));
}

TEST(RenamePolicy, WordsAreThoseOfRdmaCoreAndNoOthers) {
  EXPECT_EQ(parse_name_policy("NAME_FALLBACK"), NamePolicy::kFallback);
  EXPECT_EQ(parse_name_policy("NAME_KERNEL"), NamePolicy::kKernel);
  EXPECT_EQ(parse_name_policy("NAME_ONBOARD"), NamePolicy::kOnboard);
  EXPECT_EQ(parse_name_policy("NAME_PCI"), NamePolicy::kPci);
  EXPECT_EQ(parse_name_policy("NAME_GUID"), NamePolicy::kGuid);
  EXPECT_EQ(parse_name_policy("NAME_FIXED"), NamePolicy::kFixed);
  for (const char* const other : {"", "NAME_", "name_pci", "NAME_PCI ", "PCI"}) {
    EXPECT_EQ(parse_name_policy(other), std::nullopt) << other;
  }
}

TEST(RenameParsers, PciAddressIsReadWholeOrNotAtAll) {
  EXPECT_EQ(parse_pci_address("0000:c1:1f.7"), (PciAddress{0, 0xc1, 0x1f, 7}));
  EXPECT_EQ(parse_pci_address("7870:00:00.0"), (PciAddress{0x7870, 0, 0, 0}));
  EXPECT_EQ(parse_pci_address("10000:e1:00.0"), (PciAddress{0x10000, 0xe1, 0, 0})) << "VMD";
  for (const char* const bad :
       {"", ":00:00.0", "000:00:00.0", "0000:00:00", "0000:00:00.8", "0000:00:20.0", "0000:0g:00.0",
        "0000:00:00.0 ", "0000-00-00.0", "123456789:00:00.0", "0000:00: 1.0", "0000:C1:00.0"}) {
    EXPECT_EQ(parse_pci_address(bad), std::nullopt) << bad;
  }
}

TEST(RenameParsers, GarbageGuidIsNoGuid) {
  EXPECT_EQ(parse_node_guid("0c42:a103:005b:1fe6\n"), 0x0c42a103005b1fe6U);
  EXPECT_EQ(parse_node_guid("0000:0000:0000:0000"), 0U);
  for (const char* const bad :
       {"", "0c42a103005b1fe6", "0c42:a103:005b", "0c42:a103:005b:1fe", "0c42:a103:005b:1fe6:0000",
        "0c42:a103:005b:1fg6", "0x42:a103:005b:1fe6", "0c42-a103-005b-1fe6", "(null)"}) {
    EXPECT_EQ(parse_node_guid(bad), std::nullopt) << bad;
  }
}

TEST(RenameParsers, VirtualFunctionNumbersAndAttributes) {
  EXPECT_EQ(parse_virtual_function("virtfn12"), 12U);
  for (const char* const bad : {"virtfn", "virtfn-1", "virtfn1x", "physfn", "virtfn99999999999"}) {
    EXPECT_EQ(parse_virtual_function(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_attribute_number("88\n"), 88U);
  for (const char* const bad : {"", "-1", "8 8", "0x8", "4294967296"}) {
    EXPECT_EQ(parse_attribute_number(bad), std::nullopt) << bad;
  }
  std::string configuration(64, '\0');
  EXPECT_FALSE(is_multi_function(configuration));
  configuration[0x0e] = '\x80';
  EXPECT_TRUE(is_multi_function(configuration));
  EXPECT_FALSE(is_multi_function(configuration.substr(0, 0x0e)));
}

TEST(RenameArguments, FormsThatUdevRulesUse) {
  const auto parse = [](const std::vector<const char*>& arguments) {
    return parse_rename_arguments(arguments);
  };
  const auto simple = parse({"rdma_rename", "mlx5_0", "NAME_PCI"});
  ASSERT_TRUE(simple);
  EXPECT_EQ(simple->device, "mlx5_0");
  EXPECT_EQ(simple->policy, NamePolicy::kPci);
  EXPECT_FALSE(simple->dry_run);
  EXPECT_EQ(parse({"rdma_rename", "-v", "a", "NAME_FIXED", "b"})->fixed_name, "b");
  EXPECT_TRUE(parse({"rdma_rename", "--root=/t", "a", "NAME_PCI"})->dry_run);
  EXPECT_TRUE(parse({"rdma_rename", "--help"})->help);
  for (const auto& bad :
       std::vector<std::vector<const char*>>{{},
                                             {"rdma_rename"},
                                             {"rdma_rename", "a"},
                                             {"rdma_rename", "a", "NAME_MAC"},
                                             {"rdma_rename", "a", "NAME_FIXED"},
                                             {"rdma_rename", "a", "NAME_PCI", "b"},
                                             {"rdma_rename", "a", "NAME_FIXED", "b", "c"},
                                             {"rdma_rename", "a/b", "NAME_PCI"},
                                             {"rdma_rename", "..", "NAME_PCI"},
                                             {"rdma_rename", "", "NAME_PCI"},
                                             {"rdma_rename", "--force", "a", "NAME_PCI"}}) {
    EXPECT_EQ(parse(bad).error().error_number, EINVAL);
  }
  EXPECT_THAT(parse({"rdma_rename", "a", "NAME_FIXED", "a/b%d"}).error().message(),
              HasSubstr("a/b%d"));
}

// --- Recorded machines: the names that rdma-core gives to the same hardware

/// The name that `policy` gives to a device of a tree.
std::string name_in(const test::RecordedTree& tree, const std::string& device, NamePolicy policy) {
  RenameRequest request;
  request.root = tree.path("");
  request.dry_run = true;
  request.device = device;
  request.policy = policy;
  const core::ManualClock clock;
  const auto outcome = rename_device(request, nullptr, clock);
  return outcome ? outcome->name : "error " + std::to_string(outcome.error().error_number);
}

struct Row {
  const char* recording;
  const char* device;
  const char* by_pci;
  const char* by_guid;
};

TEST(RenameRecorded, EveryRecordedAdapterHasTheNameThatRdmaCoreGivesIt) {
  const std::vector<Row> rows = {
      {"mlx5-ib", "mlx5_0", "ibp3s0", "ibxb8599f0300050a2c"},
      {"mlx5-roce", "mlx5_0", "rocep94s0", "rocex0c42a103005b1fe6"},
      {"mlx5-roce", "mlx5_1", "rocep94s0v0", "error 61"},
      {"mlx4-mixed", "mlx4_0", "ibp1s0", nullptr},
      {"hfi1-opa", "hfi1_0", "opap2s0", nullptr},
      {"cxgb4-iwarp", "cxgb4_0", "iwp23s0f4", nullptr},
      {"irdma", "irdma1", "iwp177s0f1", nullptr},
      {"bnxt_re", "bnxt_re0", "rocep65s0", nullptr},
      {"efa", "efa_0", "rdmap0s29", nullptr},
      {"erdma", "erdma_0", "iwp0s6", nullptr},
      {"mana", "mana_0", "roceP30832p0s0", nullptr},
  };
  for (const Row& row : rows) {
    const test::RecordedTree tree({row.recording});
    EXPECT_EQ(name_in(tree, row.device, NamePolicy::kPci), row.by_pci) << row.recording;
    EXPECT_EQ(name_in(tree, row.device, NamePolicy::kFallback), row.by_pci) << row.recording;
    if (row.by_guid != nullptr) {
      EXPECT_EQ(name_in(tree, row.device, NamePolicy::kGuid), row.by_guid) << row.recording;
    }
  }
}

TEST(RenameRecorded, SoftwareDeviceKeepsItsNameUnlessAskedForTheGuid) {
  for (const auto& [recording, device] :
       std::map<std::string, std::string>{{"rxe", "foo0"}, {"siw", "siw0"}}) {
    const test::RecordedTree tree({recording});
    EXPECT_EQ(name_in(tree, device, NamePolicy::kFallback), device);
    EXPECT_EQ(name_in(tree, device, NamePolicy::kPci), "error 61");
  }
  EXPECT_EQ(name_in(test::RecordedTree({"rxe"}), "foo0", NamePolicy::kGuid),
            "rocex505400fffe123455");
}

constexpr const char* kBridge = "/devices/pci0000:c0/0000:c0:01.0/";

/// The records of one PCI function, header type first.
std::string function_record(const std::string& address, bool multi_function,
                            const std::string& more = "") {
  std::string configuration(128, '0');
  configuration[28] = multi_function ? '8' : '0';
  return std::string("P: ") + kBridge + address + "\nE: SUBSYSTEM=pci\nH: config=" + configuration +
         "\n" + more + "\n";
}

/// The records of a RoCE device below `parent`.
std::string device_record(const std::string& parent, const std::string& name,
                          const std::string& guid = "5254:00c0:fe12:3455") {
  const std::string path = kBridge + parent + "/infiniband/" + name;
  return "P: " + path + "\nE: SUBSYSTEM=infiniband\nA: node_type=1: CA\\n\nA: node_guid=" + guid +
         "\\n\nA: ports/1/link_layer=Ethernet\\n\n\n";
}

struct Machine {
  const char* what;
  std::string records;
  const char* name;
};

TEST(RenameRecorded, EveryPlaceOnThePciBusHasItsName) {
  const std::string sub_function = "/mlx5_core.sf.4\nE: SUBSYSTEM=auxiliary\nA: sfnum=88\\n\n\n";
  const std::vector<Machine> machines = {
      {"function above 0",
       function_record("0000:00:0c.4", false) + device_record("0000:00:0c.4", "d"), "rocep0s12f4"},
      {"function 0 of several",
       function_record("0000:c1:00.0", true) + device_record("0000:c1:00.0", "d"), "rocep193s0f0"},
      {"another host's domain, as with sockets that share a card",
       function_record("0001:03:00.0", false) + device_record("0001:03:00.0", "d"), "roceP1p3s0"},
      {"domain of five digits",
       function_record("10000:e1:00.0", false) + device_record("10000:e1:00.0", "d"),
       "roceP65536p225s0"},
      {"ARI: slot and function are one number",
       function_record("0000:c1:01.2", false, "A: ari_enabled=1\\n\n") +
           device_record("0000:c1:01.2", "d"),
       "rocep193s1f10"},
      {"no ARI",
       function_record("0000:c1:01.2", false, "A: ari_enabled=0\\n\n") +
           device_record("0000:c1:01.2", "d"),
       "rocep193s1f2"},
      {"virtual function",
       function_record("0000:c1:00.0", true,
                       "L: virtfn0=../0000:c1:00.4\nL: virtfn1=../0000:c1:00.5\n") +
           function_record("0000:c1:00.5", false, "L: physfn=../0000:c1:00.0\n") +
           device_record("0000:c1:00.5", "d"),
       "rocep193s0f0v1"},
      {"virtual function 12 of a single-function adapter, whose address tells nothing of it",
       function_record("0000:c1:00.0", false,
                       "L: virtfn1=../0000:c1:01.5\nL: virtfn12=../0000:c1:02.5\n") +
           function_record("0000:c1:02.5", false, "L: physfn=../0000:c1:00.0\n") +
           device_record("0000:c1:02.5", "d"),
       "rocep193s0v12"},
      {"sub-function of a function",
       function_record("0000:c1:00.0", true) + "P: " + kBridge + "0000:c1:00.0" + sub_function +
           device_record("0000:c1:00.0/mlx5_core.sf.4", "d"),
       "rocep193s0f0S88"},
      {"sub-function of a virtual function",
       function_record("0000:c1:00.0", true, "L: virtfn0=../0000:c1:00.4\n") +
           function_record("0000:c1:00.4", false, "L: physfn=../0000:c1:00.0\n") + "P: " + kBridge +
           "0000:c1:00.4/mlx5_core.sf.7\nE: SUBSYSTEM=auxiliary\nA: sfnum=99\\n\n\n" +
           device_record("0000:c1:00.4/mlx5_core.sf.7", "d"),
       "rocep193s0f0v0S99"},
      {"on the mainboard, by ACPI",
       function_record("0000:c1:00.0", true, "A: acpi_index=3\\n\nA: index=5\\n\n") +
           device_record("0000:c1:00.0", "d"),
       "roceo3"},
      {"on the mainboard, by SMBIOS",
       function_record("0000:c1:00.0", true, "A: index=5\\n\n") +
           device_record("0000:c1:00.0", "d"),
       "roceo5"},
      {"number of the firmware that is none",
       function_record("0000:c1:00.0", true, "A: acpi_index=garbage\\n\nA: index=5\\n\n") +
           device_record("0000:c1:00.0", "d"),
       "rocep193s0f0"},
      {"number of the firmware past the limit",
       function_record("0000:c1:00.0", true, "A: acpi_index=4294967295\\n\n") +
           device_record("0000:c1:00.0", "d"),
       "rocep193s0f0"},
      // Nothing to go by: the name stays.
      {"virtual function that its physical one does not know",
       function_record("0000:c1:00.0", true, "L: virtfn0=../0000:c1:00.4\n") +
           function_record("0000:c1:00.5", false, "L: physfn=../0000:c1:00.0\n") +
           device_record("0000:c1:00.5", "d"),
       "d"},
      {"auxiliary device without a number",
       function_record("0000:c1:00.0", true) + "P: " + kBridge +
           "0000:c1:00.0/x.sf.1\nE: SUBSYSTEM=auxiliary\n\n" +
           device_record("0000:c1:00.0/x.sf.1", "d"),
       "d"},
      {"address that is none", function_record("garbage", true) + device_record("garbage", "d"),
       "d"},
  };
  for (const Machine& machine : machines) {
    const test::RecordedTree tree({});
    tree.add_records(machine.records);
    EXPECT_EQ(name_in(tree, "d", NamePolicy::kFallback), machine.name) << machine.what;
  }
}

TEST(RenameRecorded, GarbageGuidFailsTheGuidPolicyAndNoOther) {
  const test::RecordedTree tree({});
  tree.add_records(function_record("0000:c1:00.0", true) +
                   device_record("0000:c1:00.0", "d", "\x1b[31m"));
  EXPECT_EQ(name_in(tree, "d", NamePolicy::kGuid), "error 61");
  EXPECT_EQ(name_in(tree, "d", NamePolicy::kPci), "rocep193s0f0");
}

TEST(RenameRecorded, DeviceThatIsGoneIsAnError) {
  EXPECT_EQ(name_in(test::RecordedTree({"rxe"}), "foo1", NamePolicy::kFallback), "error 2");
}

// --- The kernel

/// A kernel with some devices: answers lists and renames, and remembers.
class FakeKernel final : public os::NetlinkChannel {
 public:
  struct Device {
    std::uint32_t index;
    std::string name;
    bool user_named = false;
  };
  struct State {
    std::vector<Device> devices;
    std::vector<std::string> renames;
    int refuse_with = 0;
    std::function<void(std::vector<Device>&)> after_list;  ///< what happens meanwhile
  };
  explicit FakeKernel(State& state) : state_(&state) {}
  [[nodiscard]] std::uint32_t port_id() const override { return 1; }

  core::Result<void> send(std::span<const std::byte> request) override {
    nlmsghdr header{};
    std::memcpy(&header, request.data(), sizeof(header));
    const std::uint32_t sequence = header.nlmsg_seq;
    if (header.nlmsg_type == RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_GET)) {
      std::vector<test::NetlinkMessage> list;
      for (const Device& device : state_->devices) {
        list.push_back(test::NetlinkMessage(header.nlmsg_type, sequence, 1, NLM_F_MULTI)
                           .u32(RDMA_NLDEV_ATTR_DEV_INDEX, device.index)
                           .text(RDMA_NLDEV_ATTR_DEV_NAME, device.name)
                           .text(RDMA_NLDEV_ATTR_DEV_PROTOCOL, "roce")
                           .u8(kNameAssignType, device.user_named ? 1 : 0));
      }
      list.push_back(test::NetlinkMessage(NLMSG_DONE, sequence, 1, NLM_F_MULTI).raw(0));
      answer_ = test::join(list);
      if (state_->after_list) {
        state_->after_list(state_->devices);
      }
      return {};
    }
    std::uint32_t index = 0;
    std::memcpy(&index, request.data() + sizeof(header) + 4, sizeof(index));
    const auto* const text =
        static_cast<const char*>(static_cast<const void*>(request.data() + sizeof(header) + 8 + 4));
    answer_ =
        test::join({test::NetlinkMessage(NLMSG_ERROR, sequence, 1, 0).raw(rename(index, text))});
    return {};
  }
  core::Result<std::size_t> receive(std::span<std::byte> buffer,
                                    std::chrono::milliseconds /*timeout*/) override {
    std::ranges::copy(answer_, buffer.begin());
    return answer_.size();
  }

 private:
  static constexpr std::uint16_t kNameAssignType = 101;

  int rename(std::uint32_t index, const std::string& name) {
    if (state_->refuse_with != 0) {
      return -state_->refuse_with;
    }
    for (const Device& device : state_->devices) {
      if (device.name == name) {
        return -EEXIST;
      }
    }
    for (Device& device : state_->devices) {
      if (device.index == index) {
        device.name = name;
        state_->renames.push_back(std::to_string(index) + "=" + name);
        return 0;
      }
    }
    return -EINVAL;
  }

  State* state_;
  std::vector<std::byte> answer_;
};

core::Result<RenameOutcome> rename_fixed(FakeKernel::State& kernel, const std::string& device,
                                         const std::string& name) {
  RenameRequest request;
  request.device = device;
  request.policy = NamePolicy::kFixed;
  request.fixed_name = name;
  const core::ManualClock clock;
  return rename_device(request, std::make_unique<FakeKernel>(kernel), clock);
}

TEST(RenameKernel, DeviceIsRenamedByItsIndex) {
  FakeKernel::State kernel{{{3, "rxe0"}, {7, "rxe1"}}, {}, 0, {}};
  const auto outcome = rename_fixed(kernel, "rxe1", "storage0");
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(outcome->name, "storage0");
  EXPECT_TRUE(outcome->changed);
  EXPECT_THAT(kernel.renames, ElementsAre("7=storage0"));
}

TEST(RenameKernel, NameThatItHasAlreadyIsNotAskedFor) {
  FakeKernel::State kernel{{{3, "storage0"}}, {}, 0, {}};
  const auto outcome = rename_fixed(kernel, "storage0", "storage0");
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->changed);
  EXPECT_THAT(kernel.renames, IsEmpty());
}

TEST(RenameKernel, TakenNameIsAnErrorThatNamesBoth) {
  FakeKernel::State kernel{{{3, "storage0"}, {4, "rxe1"}}, {}, 0, {}};
  const auto outcome = rename_fixed(kernel, "rxe1", "storage0");
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().error_number, EEXIST);
  EXPECT_THAT(outcome.error().message(), HasSubstr("rxe1 to storage0"));
  EXPECT_THAT(outcome.error().message(), HasSubstr("another device has that name"));
  EXPECT_EQ(kernel.devices[1].name, "rxe1");
}

TEST(RenameKernel, DeviceThatIsGoneOrNotAllowedIsAnError) {
  FakeKernel::State kernel{{{3, "rxe0"}}, {}, 0, {}};
  EXPECT_EQ(rename_fixed(kernel, "rxe9", "storage0").error().error_number, ENODEV);
  kernel.refuse_with = EPERM;
  EXPECT_EQ(rename_fixed(kernel, "rxe0", "storage0").error().error_number, EPERM);
  RenameRequest request;
  request.device = "rxe0";
  request.policy = NamePolicy::kFixed;
  request.fixed_name = "storage0";
  const core::ManualClock clock;
  EXPECT_EQ(rename_device(request, core::fail("open", "socket", EPROTONOSUPPORT), clock)
                .error()
                .error_number,
            EPROTONOSUPPORT);
}

TEST(RenameKernel, DeviceThatSomebodyElseRenamesMeanwhileIsStillTheOneThatIsMeant) {
  // The number 0 goes to another device in the moment between looking and renaming.
  FakeKernel::State kernel{{{3, "rxe0"}, {4, "rxe1"}}, {}, 0, [](auto& devices) {
                             devices[0].name = "other0";
                             devices[1].name = "rxe0";
                           }};
  ASSERT_TRUE(rename_fixed(kernel, "rxe0", "storage0"));
  EXPECT_THAT(kernel.renames, ElementsAre("3=storage0"));
  EXPECT_EQ(kernel.devices[1].name, "rxe0");
}

TEST(RenameKernel, DeviceThatGoesMeanwhileIsAnErrorAndNoOtherIsTouched) {
  FakeKernel::State kernel{
      {{3, "rxe0"}, {4, "rxe1"}}, {}, 0, [](auto& devices) { devices.erase(devices.begin()); }};
  EXPECT_EQ(rename_fixed(kernel, "rxe0", "storage0").error().error_number, EINVAL);
  EXPECT_THAT(kernel.renames, IsEmpty());
}

TEST(RenameKernel, DryRunAsksForNothing) {
  FakeKernel::State kernel{{{3, "rxe0"}}, {}, 0, {}};
  RenameRequest request;
  request.device = "rxe0";
  request.policy = NamePolicy::kFixed;
  request.fixed_name = "storage0";
  request.dry_run = true;
  const core::ManualClock clock;
  const auto outcome = rename_device(request, std::make_unique<FakeKernel>(kernel), clock);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->name, "storage0");
  EXPECT_THAT(kernel.renames, IsEmpty());
}

TEST(RenameKernel, WhatNetlinkSaysOfTheNamesOriginReachesThePolicy) {
  const test::RecordedTree tree({"mlx5-ib"});
  os::NetlinkDevice netlink;
  netlink.name = "mlx5_0";
  netlink.protocol = "ib";
  netlink.name_assign_type = os::NameAssignType::kUser;
  const auto facts =
      gather_name_facts(*os::Tree::open(tree.path("")), tree.path(""), "mlx5_0", netlink);
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_TRUE(facts->user_named);
  netlink.name_assign_type = os::NameAssignType::kUnknown;
  EXPECT_FALSE(gather_name_facts(*os::Tree::open(tree.path("")), tree.path(""), "mlx5_0", netlink)
                   ->user_named);
}

TEST(RenameKernel, SecondDeviceOfOneGuidKeepsItsName) {
  // Two cards with the same GUID exist (cloned firmware): the name of the first is taken.
  FakeKernel::State kernel{{{0, "rxe0"}, {1, "rxe1"}}, {}, 0, {}};
  NameFacts facts = facts_at({});
  facts.node_guid = 0x525400c0fe123455;
  const std::string name = choose_name(facts, NamePolicy::kGuid)->name;
  EXPECT_TRUE(rename_fixed(kernel, "rxe0", name));
  EXPECT_EQ(rename_fixed(kernel, "rxe1", name).error().error_number, EEXIST);
  EXPECT_THAT(kernel.renames, ElementsAre("0=" + name));
}

}  // namespace
}  // namespace rdmaboot::udev
