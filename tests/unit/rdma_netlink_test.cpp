// SPDX-License-Identifier: BSD-2-Clause
#include "os/rdma_netlink.hpp"

#include <cerrno>
#include <cstring>
#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink_messages.hpp"

namespace rdmaboot::os {
namespace {

using test::NetlinkMessage;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr std::uint32_t kOurPort = 4711;
constexpr std::uint16_t kGet = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_GET);
constexpr std::uint16_t kPortGet = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_PORT_GET);
constexpr NetlinkExpectation kDump{kGet, 1, kOurPort, true};
constexpr NetlinkExpectation kSingle{kGet, 1, kOurPort, false};

/// Answers with what the test queued, whatever was asked; then nothing, until time is over.
class ScriptedChannel final : public NetlinkChannel {
 public:
  ScriptedChannel(core::ManualClock& clock, std::deque<std::vector<std::byte>> answers)
      : clock_(&clock), answers_(std::move(answers)) {}
  [[nodiscard]] std::uint32_t port_id() const override { return kOurPort; }
  core::Result<void> send(std::span<const std::byte> request) override {
    last_request.assign(request.begin(), request.end());
    clock_->advance(time_to_send);
    return {};
  }
  core::Result<std::size_t> receive(std::span<std::byte> buffer,
                                    std::chrono::milliseconds timeout) override {
    if (answers_.empty()) {
      clock_->advance(timeout);
      return core::fail("wait for", "answer", ETIMEDOUT);
    }
    const std::vector<std::byte> answer = std::move(answers_.front());
    answers_.pop_front();
    clock_->advance(1ms);
    std::ranges::copy(answer, buffer.begin());
    return answer.size();
  }
  std::vector<std::byte> last_request;
  std::chrono::milliseconds time_to_send{0};

 private:
  core::ManualClock* clock_;
  std::deque<std::vector<std::byte>> answers_;
};

NetlinkMessage device_message(std::uint32_t index, std::string_view name) {
  return NetlinkMessage(kGet, 1, kOurPort, NLM_F_MULTI)
      .u32(RDMA_NLDEV_ATTR_DEV_INDEX, index)
      .text(RDMA_NLDEV_ATTR_DEV_NAME, name);
}

NetlinkMessage done(std::int32_t error = 0) {
  return NetlinkMessage(NLMSG_DONE, 1, kOurPort, NLM_F_MULTI).raw(error);
}

RdmaNetlink client(core::ManualClock& clock, std::deque<std::vector<std::byte>> answers) {
  return {std::make_unique<ScriptedChannel>(clock, std::move(answers)), clock, 200ms};
}

TEST(NetlinkDevice, EveryAttributeIsDecoded) {
  const auto bytes = device_message(3, "mlx5_0")
                         .u32(RDMA_NLDEV_ATTR_PORT_INDEX, 2)
                         .text(RDMA_NLDEV_ATTR_FW_VERSION, "16.35.4030")
                         .u64(RDMA_NLDEV_ATTR_NODE_GUID, 0x506b4b0300c1a2b4)
                         .u64(RDMA_NLDEV_ATTR_SYS_IMAGE_GUID, 0x506b4b0300c1a2b5)
                         .u8(RDMA_NLDEV_ATTR_DEV_NODE_TYPE, 1)
                         .text(RDMA_NLDEV_ATTR_DEV_PROTOCOL, "roce")
                         .u8(RDMA_NLDEV_ATTR_DEV_DIM, 1)
                         .u8(101, 1)   // NAME_ASSIGN_TYPE: user
                         .u32(999, 5)  // of a kernel to come
                         .attributes();
  const auto device = decode_netlink_device(bytes);
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ(device->index, 3U);
  EXPECT_EQ(device->name, "mlx5_0");
  EXPECT_EQ(device->last_port, 2U);
  EXPECT_EQ(device->firmware, "16.35.4030");
  EXPECT_EQ(device->node_guid, 0x506b4b0300c1a2b4U);
  EXPECT_EQ(device->sys_image_guid, 0x506b4b0300c1a2b5U);
  EXPECT_EQ(device->node_type, 1);
  EXPECT_EQ(device->protocol, "roce");
  EXPECT_EQ(device->adaptive_moderation, true);
  EXPECT_EQ(device->name_assign_type, NameAssignType::kUser);
}

TEST(NetlinkDevice, OldKernelThatSaysLittleIsEnough) {
  const auto device = decode_netlink_device(device_message(0, "efa_0").attributes());
  ASSERT_TRUE(device);
  EXPECT_EQ(device->protocol, "");
  EXPECT_EQ(device->last_port, std::nullopt);
  EXPECT_EQ(device->adaptive_moderation, std::nullopt);
  EXPECT_EQ(device->name_assign_type, NameAssignType::kUnknown);
}

TEST(NetlinkDevice, MalformedAttributesAreAnError) {
  const NetlinkMessage empty(kGet, 1, kOurPort, 0);
  EXPECT_EQ(decode_netlink_device(empty.attributes()).error().error_number, EBADMSG);
  EXPECT_EQ(decode_netlink_device(device_message(1, "").attributes()).error().error_number,
            EBADMSG);
  EXPECT_EQ(
      decode_netlink_device(device_message(1, std::string(kNetlinkTextLimit + 1, 'x')).attributes())
          .error()
          .error_number,
      EBADMSG);
  EXPECT_EQ(
      decode_netlink_device(device_message(1, "a").u8(RDMA_NLDEV_ATTR_NODE_GUID, 1).attributes())
          .error()
          .error_number,
      EBADMSG)
      << "a GUID of one byte";
}

TEST(NetlinkDevice, EveryCutIsAnErrorOrADevice) {
  const auto whole = device_message(3, "mlx5_0").u8(RDMA_NLDEV_ATTR_DEV_NODE_TYPE, 1).attributes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    // A copy of exactly this length: AddressSanitizer sees a read past the end.
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(length));
    const auto device = decode_netlink_device(cut);
    if (device) {
      EXPECT_EQ(device->name, "mlx5_0") << length;
    } else {
      EXPECT_EQ(device.error().error_number, EBADMSG) << length;
    }
  }
}

TEST(NetlinkPort, EveryAttributeIsDecoded) {
  const auto bytes = NetlinkMessage(kPortGet, 1, kOurPort, NLM_F_MULTI)
                         .u32(RDMA_NLDEV_ATTR_DEV_INDEX, 3)
                         .u32(RDMA_NLDEV_ATTR_PORT_INDEX, 1)
                         .u64(RDMA_NLDEV_ATTR_CAP_FLAGS, 0x2651e848)
                         .u64(RDMA_NLDEV_ATTR_SUBNET_PREFIX, 0xfe80000000000000)
                         .u32(RDMA_NLDEV_ATTR_LID, 26)
                         .u32(RDMA_NLDEV_ATTR_SM_LID, 1)
                         .u8(RDMA_NLDEV_ATTR_LMC, 2)
                         .u8(RDMA_NLDEV_ATTR_PORT_STATE, 4)
                         .u8(RDMA_NLDEV_ATTR_PORT_PHYS_STATE, 5)
                         .u32(RDMA_NLDEV_ATTR_NDEV_INDEX, 7)
                         .text(RDMA_NLDEV_ATTR_NDEV_NAME, "ib0")
                         .attributes();
  const auto port = decode_netlink_port(bytes);
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->device_index, 3U);
  EXPECT_EQ(port->port, 1U);
  EXPECT_EQ(port->capability_flags, 0x2651e848U);
  EXPECT_EQ(port->subnet_prefix, 0xfe80000000000000U);
  EXPECT_EQ(port->lid, 26U);
  EXPECT_EQ(port->sm_lid, 1U);
  EXPECT_EQ(port->lmc, 2);
  EXPECT_EQ(port->state, 4);
  EXPECT_EQ(port->physical_state, 5);
  EXPECT_EQ(port->netdev_index, 7U);
  EXPECT_EQ(port->netdev_name, "ib0");
}

TEST(NetlinkPort, PortZeroOrNoDeviceIsAnError) {
  EXPECT_FALSE(decode_netlink_port(NetlinkMessage(kPortGet, 1, 1, 0)
                                       .u32(RDMA_NLDEV_ATTR_DEV_INDEX, 3)
                                       .u32(RDMA_NLDEV_ATTR_PORT_INDEX, 0)
                                       .attributes()));
  EXPECT_FALSE(decode_netlink_port(
      NetlinkMessage(kPortGet, 1, 1, 0).u32(RDMA_NLDEV_ATTR_PORT_INDEX, 1).attributes()));
}

TEST(NetlinkDatagram, ListEndsWithDoneAndSingleAnswerWithItself) {
  const auto list = test::join({device_message(0, "a"), device_message(1, "b"), done()});
  const auto answer = decode_netlink_datagram(list, kDump);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->payloads, SizeIs(2));
  EXPECT_TRUE(answer->complete);
  const auto part = test::join({device_message(0, "a")});
  EXPECT_FALSE(decode_netlink_datagram(part, kDump)->complete);
  EXPECT_TRUE(decode_netlink_datagram(part, kSingle)->complete);
}

TEST(NetlinkDatagram, KernelsErrorNumberIsPassedOn) {
  const auto refused = test::join({NetlinkMessage(NLMSG_ERROR, 1, kOurPort, 0).raw(-EPERM)});
  EXPECT_EQ(decode_netlink_datagram(refused, kDump).error().error_number, EPERM);
  const auto late = test::join({device_message(0, "a"), done(-ENOMEM)});
  EXPECT_EQ(decode_netlink_datagram(late, kDump).error().error_number, ENOMEM);
}

TEST(NetlinkDatagram, AnswersToOthersArePassedOver) {
  const auto bytes = test::join({NetlinkMessage(kGet, 99, kOurPort, 0),
                                 NetlinkMessage(NLMSG_ERROR, 1, kOurPort + 1, 0).raw(-EPERM)});
  const auto answer = decode_netlink_datagram(bytes, kDump);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->payloads, SizeIs(0));
  EXPECT_FALSE(answer->complete);
}

TEST(NetlinkDatagram, ChangedListAndForeignTypeAreErrors) {
  const auto changed = test::join({NetlinkMessage(kGet, 1, kOurPort, NLM_F_DUMP_INTR)});
  EXPECT_EQ(decode_netlink_datagram(changed, kDump).error().error_number, EINTR);
  const auto foreign = test::join({NetlinkMessage(kPortGet, 1, kOurPort, 0)});
  EXPECT_EQ(decode_netlink_datagram(foreign, kDump).error().error_number, EBADMSG);
}

TEST(NetlinkDatagram, MalformedBytesAreAnErrorAtEveryLength) {
  const auto whole = test::join({device_message(0, "a"), done()});
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(length));
    const auto answer = decode_netlink_datagram(cut, kDump);
    EXPECT_TRUE(!answer || !answer->complete) << length;
  }
  std::vector<std::byte> shifted(whole.size() + 1);
  std::ranges::copy(whole, shifted.begin() + 1);
  EXPECT_EQ(decode_netlink_datagram(std::span(shifted).subspan(1), kDump).error().error_number,
            EBADMSG);
  const std::vector<std::byte> huge(kNetlinkDatagramLimit + 4);
  EXPECT_EQ(decode_netlink_datagram(huge, kDump).error().error_number, EBADMSG);
  const auto positive = test::join({done(5)});
  EXPECT_EQ(decode_netlink_datagram(positive, kDump).error().error_number, EBADMSG);
}

TEST(RdmaNetlink, ListSpreadOverDatagramsIsJoined) {
  core::ManualClock clock;
  auto netlink = client(
      clock, {test::join({device_message(0, "a")}), test::join({device_message(1, "b"), done()})});
  const auto devices = netlink.devices();
  ASSERT_TRUE(devices);
  ASSERT_THAT(*devices, SizeIs(2));
  EXPECT_EQ(devices->back().name, "b");
}

TEST(RdmaNetlink, RequestNamesTheDeviceAndAsksForAList) {
  core::ManualClock clock;
  auto channel = std::make_unique<ScriptedChannel>(
      clock, std::deque<std::vector<std::byte>>{test::join({done()})});
  const ScriptedChannel* const seen = channel.get();
  RdmaNetlink netlink(std::move(channel), clock, 200ms);
  ASSERT_TRUE(netlink.ports(7));
  nlmsghdr header{};
  std::uint32_t index = 0;
  ASSERT_EQ(seen->last_request.size(), sizeof(header) + 8);
  std::memcpy(&header, seen->last_request.data(), sizeof(header));
  std::memcpy(&index, seen->last_request.data() + sizeof(header) + 4, sizeof(index));
  EXPECT_EQ(header.nlmsg_type, kPortGet);
  EXPECT_EQ(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
  EXPECT_EQ(header.nlmsg_seq, 1U);
  EXPECT_EQ(index, 7U);
}

TEST(RdmaNetlink, RenameNamesIndexAndNameAndAsksForAnAnswer) {
  core::ManualClock clock;
  auto channel = std::make_unique<ScriptedChannel>(
      clock, std::deque<std::vector<std::byte>>{
                 test::join({NetlinkMessage(NLMSG_ERROR, 1, kOurPort, 0).raw(0)})});
  const ScriptedChannel* const seen = channel.get();
  RdmaNetlink netlink(std::move(channel), clock, 200ms);
  const std::string longest(kDeviceNameLimit, 'n');
  ASSERT_TRUE(netlink.rename(7, longest));
  const NetlinkMessage wanted = NetlinkMessage(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_SET),
                                               1, 0, NLM_F_REQUEST | NLM_F_ACK)
                                    .u32(RDMA_NLDEV_ATTR_DEV_INDEX, 7)
                                    .text(RDMA_NLDEV_ATTR_DEV_NAME, longest);
  EXPECT_EQ(seen->last_request, wanted.bytes());
}

TEST(RdmaNetlink, RefusedRenameSaysWhichAndWhy) {
  for (const int error : {EEXIST, EINVAL, EPERM}) {
    core::ManualClock clock;
    auto netlink =
        client(clock, {test::join({NetlinkMessage(NLMSG_ERROR, 1, kOurPort, 0).raw(-error)})});
    const auto renamed = netlink.rename(7, "taken0");
    ASSERT_FALSE(renamed);
    EXPECT_EQ(renamed.error().error_number, error);
    EXPECT_THAT(renamed.error().message(), ::testing::HasSubstr("RDMA device 7 to taken0"));
  }
}

TEST(RdmaNetlink, NameThatCannotBeSentIsNotSent) {
  core::ManualClock clock;
  EXPECT_EQ(client(clock, {}).rename(7, "").error().error_number, EINVAL);
  EXPECT_EQ(client(clock, {}).rename(7, std::string(64, 'n')).error().error_number, ENAMETOOLONG);
  EXPECT_EQ(client(clock, {}).rename(7, "name").error().error_number, ETIMEDOUT);
}

TEST(RdmaNetlink, TimeThatTheKernelTakesOverARequestIsNotTheAnswers) {
  core::ManualClock clock;
  auto channel = std::make_unique<ScriptedChannel>(
      clock, std::deque<std::vector<std::byte>>{
                 test::join({NetlinkMessage(NLMSG_ERROR, 1, kOurPort, 0).raw(0)})});
  channel->time_to_send = 10s;
  RdmaNetlink netlink(std::move(channel), clock, 200ms);
  EXPECT_TRUE(netlink.rename(7, "name"));
}

TEST(RdmaNetlink, SilentKernelCostsTheBudgetAndNoMore) {
  core::ManualClock clock;
  auto netlink = client(clock, {});
  EXPECT_EQ(netlink.devices().error().error_number, ETIMEDOUT);
  EXPECT_EQ(clock.now(), 200ms);
}

TEST(RdmaNetlink, EndlessStreamOfOthersAnswersEndsWithTheBudget) {
  core::ManualClock clock;
  const std::deque<std::vector<std::byte>> flood(1000,
                                                 test::join({NetlinkMessage(kGet, 99, 1, 0)}));
  auto netlink = client(clock, flood);
  EXPECT_EQ(netlink.devices().error().error_number, ETIMEDOUT);
  EXPECT_LE(clock.now(), 201ms);
}

TEST(RdmaNetlink, GarbageIsAnError) {
  core::ManualClock clock;
  auto netlink = client(clock, {std::vector<std::byte>(64, std::byte{0xff})});
  EXPECT_EQ(netlink.devices().error().error_number, EBADMSG);
}

TEST(RdmaNetlink, AnotherDeviceThanTheOneAskedForIsAnError) {
  core::ManualClock clock;
  EXPECT_EQ(client(clock, {test::join({device_message(1, "b")})}).device(1)->name, "b");
  EXPECT_EQ(client(clock, {test::join({device_message(2, "c")})}).device(1).error().error_number,
            EBADMSG);
}

NetlinkMessage acknowledged(std::int32_t error) {
  return NetlinkMessage(NLMSG_ERROR, 1, kOurPort, 0).raw(error);
}

/// A client that keeps the request for the test to look at.
struct Recorded {
  explicit Recorded(std::int32_t error) {
    auto owned = std::make_unique<ScriptedChannel>(
        clock, std::deque<std::vector<std::byte>>{test::join({acknowledged(error)})});
    channel = owned.get();
    netlink.emplace(std::move(owned), clock, 200ms);
  }
  core::ManualClock clock;
  ScriptedChannel* channel = nullptr;
  std::optional<RdmaNetlink> netlink;
};

TEST(RdmaNetlink, ANewLinkNamesDeviceTypeAndInterfaceAndWaitsForTheAnswer) {
  Recorded kernel(0);
  ASSERT_TRUE(kernel.netlink->new_link("rxe0", "rxe", "eth0"));
  const NetlinkMessage expected =
      NetlinkMessage(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK), 1, 0,
                     NLM_F_REQUEST | NLM_F_ACK)
          .text(RDMA_NLDEV_ATTR_DEV_NAME, "rxe0")
          .text(RDMA_NLDEV_ATTR_LINK_TYPE, "rxe")
          .text(RDMA_NLDEV_ATTR_NDEV_NAME, "eth0");
  EXPECT_EQ(kernel.channel->last_request, expected.bytes());
  Recorded refuses(-EEXIST);
  EXPECT_EQ(refuses.netlink->new_link("rxe0", "rxe", "eth0").error().error_number, EEXIST);
  Recorded unasked(0);
  EXPECT_EQ(unasked.netlink->new_link(std::string(600, 'x'), "rxe", "eth0").error().error_number,
            ENAMETOOLONG);
  EXPECT_TRUE(unasked.channel->last_request.empty());
}

TEST(RdmaNetlink, ALinkIsDeletedByItsIndex) {
  Recorded kernel(0);
  ASSERT_TRUE(kernel.netlink->delete_link(7));
  const NetlinkMessage expected =
      NetlinkMessage(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_DELLINK), 1, 0,
                     NLM_F_REQUEST | NLM_F_ACK)
          .u32(RDMA_NLDEV_ATTR_DEV_INDEX, 7);
  EXPECT_EQ(kernel.channel->last_request, expected.bytes());
  Recorded refuses(-EINVAL);
  EXPECT_EQ(refuses.netlink->delete_link(7).error().error_number, EINVAL);
}

TEST(RdmaNetlink, MoreEntriesThanTheLimitAreAnErrorNotACut) {
  core::ManualClock clock;
  std::vector<NetlinkMessage> many(500, device_message(0, "a"));
  const std::deque<std::vector<std::byte>> datagrams(40, test::join(many));
  RdmaNetlink netlink(std::make_unique<ScriptedChannel>(clock, datagrams), clock, 200ms);
  EXPECT_EQ(netlink.devices().error().error_number, EOVERFLOW);
}

TEST(RdmaNetlink, RealSocketEitherAnswersOrSaysWhyNot) {
  const core::MonotonicClock clock;
  auto channel = open_rdma_netlink_channel();
  if (!channel) {
    EXPECT_NE(channel.error().error_number, 0);
    return;
  }
  RdmaNetlink netlink(std::move(*channel), clock, 200ms);
  const core::Microseconds before = clock.now();
  const auto devices = netlink.devices();
  if (!devices) {
    // The kernel has no RDMA netlink, or its module is not loaded.
    EXPECT_THAT(devices.error().error_number, ::testing::AnyOf(ENOENT, EPROTONOSUPPORT, EOPNOTSUPP,
                                                               EINVAL, ECONNREFUSED, ETIMEDOUT));
  }
  EXPECT_LT(clock.now() - before, 2s);
}

}  // namespace
}  // namespace rdmaboot::os
