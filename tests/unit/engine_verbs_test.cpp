// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-engine-verbs
// What libibverbs and librdmacm say, in the words of the engine's seam.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/verbs_core.hpp"
#include "engine/verbs_fabric.hpp"
#include "engine/verbs_map.hpp"

namespace rdmaboot::engine {
namespace {

TEST(VerbsMap, EveryWorkStatusOfTheLibraryIsAFailureExceptSuccess) {
  for (int status = IBV_WC_SUCCESS; status <= IBV_WC_TM_RNDV_INCOMPLETE + 5; ++status) {
    EXPECT_EQ(work_status(static_cast<ibv_wc_status>(status)) == WorkStatus::kSuccess,
              status == IBV_WC_SUCCESS)
        << status;
  }
}

TEST(VerbsMap, FailuresThatTheEngineActsOnAreToldApart) {
  EXPECT_EQ(work_status(IBV_WC_WR_FLUSH_ERR), WorkStatus::kFlushed);
  EXPECT_EQ(work_status(IBV_WC_REM_ACCESS_ERR), WorkStatus::kRemoteAccessError);
  EXPECT_EQ(work_status(IBV_WC_REM_OP_ERR), WorkStatus::kRemoteError);
  EXPECT_EQ(work_status(IBV_WC_RETRY_EXC_ERR), WorkStatus::kRetryExceeded);
  EXPECT_EQ(work_status(IBV_WC_RNR_RETRY_EXC_ERR), WorkStatus::kReceiverNotReady);
  EXPECT_EQ(work_status(IBV_WC_MW_BIND_ERR), WorkStatus::kWindowError);
  EXPECT_EQ(work_status(IBV_WC_LOC_PROT_ERR), WorkStatus::kLocalError);
  EXPECT_EQ(work_status(IBV_WC_FATAL_ERR), WorkStatus::kDeviceError);
}

TEST(VerbsMap, AnOpcodeNamesTheRequestThatCompleted) {
  EXPECT_EQ(work_kind(IBV_WC_SEND), WorkKind::kSend);
  EXPECT_EQ(work_kind(IBV_WC_RDMA_WRITE), WorkKind::kWrite);
  EXPECT_EQ(work_kind(IBV_WC_BIND_MW), WorkKind::kBindWindow);
  EXPECT_EQ(work_kind(IBV_WC_LOCAL_INV), WorkKind::kInvalidate);
  EXPECT_EQ(work_kind(IBV_WC_RECV), WorkKind::kReceive);
}

TEST(VerbsMap, RemoteWriteBringsTheLocalWriteThatVerbsDemand) {
  EXPECT_EQ(access_flags(Access::kRemoteWrite, false),
            unsigned{IBV_ACCESS_LOCAL_WRITE} | unsigned{IBV_ACCESS_REMOTE_WRITE});
}

TEST(VerbsMap, NoAccessLetsThePeerReadOrCount) {
  const Access everything =
      Access::kLocalWrite | Access::kRemoteWrite | Access::kBindWindow | Access::kRelaxedOrdering;
  EXPECT_EQ(access_flags(everything, true) &
                (unsigned{IBV_ACCESS_REMOTE_READ} | unsigned{IBV_ACCESS_REMOTE_ATOMIC}),
            0U);
}

TEST(VerbsMap, RelaxedOrderingIsAskedForOnlyWhereTheDeviceTakesIt) {
  const Access bulk = Access::kLocalWrite | Access::kRelaxedOrdering;
  EXPECT_NE(access_flags(bulk, true) & unsigned{IBV_ACCESS_RELAXED_ORDERING}, 0U);
  EXPECT_EQ(access_flags(bulk, false) & unsigned{IBV_ACCESS_RELAXED_ORDERING}, 0U);
  EXPECT_EQ(access_flags(Access::kLocalWrite, true) & unsigned{IBV_ACCESS_RELAXED_ORDERING}, 0U);
}

/// rxe of Linux 6.1 as the guest's kernel tells it.
ibv_device_attr rxe() {
  ibv_device_attr attributes{};
  attributes.max_qp_wr = 1048576;
  attributes.max_sge = 32;
  attributes.max_cqe = 32767;
  attributes.max_mr_size = UINT64_MAX;
  attributes.max_mw = 524287;
  attributes.device_cap_flags = 0x1223c76;
  return attributes;
}

TEST(VerbsMap, LimitsAreThoseOfTheDevice) {
  const DeviceLimits limits = device_limits(rxe(), 2);
  EXPECT_EQ(limits.max_queue_pair_requests, 1048576U);
  EXPECT_EQ(limits.max_completions, 32767U);
  EXPECT_EQ(limits.max_segments, 32U);
  EXPECT_EQ(limits.completion_vectors, 2U);
  EXPECT_TRUE(limits.windows_type_2);
}

TEST(VerbsMap, ADeviceWithoutWindowsHasNoneWhateverItsFlagsSay) {
  ibv_device_attr attributes = rxe();
  attributes.max_mw = 0;
  EXPECT_FALSE(device_limits(attributes, 1).windows_type_2);
  attributes = rxe();
  attributes.device_cap_flags = 0x200000;  // siw
  EXPECT_FALSE(device_limits(attributes, 1).windows_type_2);
}

TEST(VerbsMap, NegativeLimitsAreNone) {
  ibv_device_attr attributes{};
  attributes.max_qp_wr = -1;
  const DeviceLimits limits = device_limits(attributes, 0);
  EXPECT_EQ(limits.max_queue_pair_requests, 0U);
  EXPECT_EQ(limits.completion_vectors, 1U);
}

template <typename T>
T happening(rdma_cm_event_type type, int status = 0, const PrivateData& data = {}) {
  const auto what = endpoint_happening(type, status, data);
  EXPECT_TRUE(what.has_value() && std::holds_alternative<T>(*what)) << rdma_event_str(type);
  return what.has_value() && std::holds_alternative<T>(*what) ? std::get<T>(*what) : T{};
}

TEST(VerbsMap, EveryEventOfTheConnectionManagerHasAMeaningOrNone) {
  happening<event::RouteResolved>(RDMA_CM_EVENT_ROUTE_RESOLVED);
  happening<event::Established>(RDMA_CM_EVENT_ESTABLISHED);
  happening<event::Disconnected>(RDMA_CM_EVENT_DISCONNECTED);
  happening<event::DeviceRemoval>(RDMA_CM_EVENT_DEVICE_REMOVAL);
  happening<event::AddressChanged>(RDMA_CM_EVENT_ADDR_CHANGE);
  EXPECT_FALSE(endpoint_happening(RDMA_CM_EVENT_TIMEWAIT_EXIT, 0, {}));
  EXPECT_FALSE(endpoint_happening(RDMA_CM_EVENT_MULTICAST_JOIN, 0, {}));
  EXPECT_FALSE(endpoint_happening(RDMA_CM_EVENT_CONNECT_RESPONSE, 0, {}));
}

TEST(VerbsMap, AFailedConnectSaysWhy) {
  EXPECT_EQ(happening<event::ConnectFailed>(RDMA_CM_EVENT_ADDR_ERROR, -ETIMEDOUT).error_number,
            ETIMEDOUT);
  EXPECT_EQ(happening<event::ConnectFailed>(RDMA_CM_EVENT_ROUTE_ERROR, -ENETUNREACH).error_number,
            ENETUNREACH);
  EXPECT_EQ(happening<event::ConnectFailed>(RDMA_CM_EVENT_UNREACHABLE, 0).error_number, ETIMEDOUT);
  EXPECT_EQ(happening<event::ConnectFailed>(RDMA_CM_EVENT_CONNECT_ERROR, 3).error_number,
            ECONNREFUSED);
}

TEST(VerbsMap, ARejectKeepsReasonAndData) {
  const PrivateData data = private_data("why", 3);
  const auto rejected = happening<event::Rejected>(RDMA_CM_EVENT_REJECTED, 28, data);
  EXPECT_EQ(rejected.reason, 28);
  EXPECT_EQ(rejected.private_data.length, 3);
}

TEST(VerbsMap, RejectsOfIwarpHaveTheReasonsOfInfiniBand) {
  const PrivateData data = private_data("why", 3);
  EXPECT_EQ(happening<event::Rejected>(RDMA_CM_EVENT_REJECTED, -ECONNRESET, data).reason, 28);
  EXPECT_EQ(happening<event::Rejected>(RDMA_CM_EVENT_REJECTED, -ECONNREFUSED).reason, 8);
}

TEST(VerbsMap, AnIwarpPeerThatResetsWithoutDataHasNotRejected) {
  EXPECT_EQ(happening<event::ConnectFailed>(RDMA_CM_EVENT_REJECTED, -ECONNRESET).error_number,
            ECONNRESET);
  EXPECT_EQ(happening<event::ConnectFailed>(RDMA_CM_EVENT_CONNECT_ERROR, -EINVAL).error_number,
            ECONNRESET);
}

TEST(VerbsMap, APeersAnswerToConnectIsNoMistakeOfThisSide) {
  const auto refused = answered_at_once(ECONNREFUSED);
  ASSERT_TRUE(refused && std::holds_alternative<event::Rejected>(*refused));
  EXPECT_EQ(std::get<event::Rejected>(*refused).reason, 8);
  const auto silent = answered_at_once(ETIMEDOUT);
  ASSERT_TRUE(silent && std::holds_alternative<event::ConnectFailed>(*silent));
  EXPECT_EQ(std::get<event::ConnectFailed>(*silent).error_number, ETIMEDOUT);
  EXPECT_FALSE(answered_at_once(EINVAL));
  EXPECT_FALSE(answered_at_once(ENOMEM));
}

TEST(VerbsMap, PrivateDataIsCopiedAndBounded) {
  const std::string bytes(300, 'x');
  EXPECT_EQ(private_data(bytes.data(), bytes.size()).length, 255);
  EXPECT_EQ(private_data(nullptr, 10).length, 0);
  EXPECT_EQ(std::memcmp(private_data(bytes.data(), 56).bytes.data(), bytes.data(), 56), 0);
}

TEST(VerbsMap, AsynchronousEventsGoToTheirOwner) {
  for (int type = IBV_EVENT_CQ_ERR; type <= IBV_EVENT_WQ_FATAL; ++type) {
    const auto event = static_cast<ibv_event_type>(type);
    EXPECT_FALSE(is_queue_pair_event(event) && is_port_event(event)) << type;
    EXPECT_FALSE(queue_pair_happening(event) && !is_queue_pair_event(event)) << type;
    EXPECT_FALSE(device_happening(event) && is_queue_pair_event(event)) << type;
  }
  EXPECT_TRUE(std::holds_alternative<event::CommunicationEstablished>(
      *queue_pair_happening(IBV_EVENT_COMM_EST)));
  EXPECT_TRUE(
      std::holds_alternative<event::QueuePairFailed>(*queue_pair_happening(IBV_EVENT_QP_FATAL)));
  EXPECT_EQ(device_happening(IBV_EVENT_PORT_ERR), DeviceEvent::Kind::kPortError);
  EXPECT_EQ(device_happening(IBV_EVENT_PORT_ACTIVE), DeviceEvent::Kind::kPortActive);
  EXPECT_EQ(device_happening(IBV_EVENT_GID_CHANGE), DeviceEvent::Kind::kGidChange);
  EXPECT_EQ(device_happening(IBV_EVENT_DEVICE_FATAL), DeviceEvent::Kind::kFatal);
}

TEST(VerbsMap, AWindowsKeyCountsInItsLowByteOnly) {
  EXPECT_EQ(next_window_key(0x1234FE), 0x1234FFU);
  EXPECT_EQ(next_window_key(0x1234FF), 0x123400U);
}

TEST(VerbsCore, AnAddressSurvivesTheWayThroughTheSocketsForm) {
  const SocketAddress address{0x0A090001, 987};
  const sockaddr_in ipv4 = to_sockaddr(address);
  sockaddr generic{};
  std::memcpy(&generic, &ipv4, sizeof generic);
  EXPECT_EQ(from_sockaddr(&generic), address);
  EXPECT_EQ(to_string(address), "10.9.0.1:987");
  generic.sa_family = AF_INET6;
  EXPECT_EQ(from_sockaddr(&generic), SocketAddress{});
  EXPECT_EQ(from_sockaddr(nullptr), SocketAddress{});
}

TEST(VerbsFabric, WithoutRdmaOpeningSaysWhatIsMissing) {
  if (std::filesystem::exists("/dev/infiniband/rdma_cm")) {
    GTEST_SKIP() << "this machine has rdma_cm";
  }
  const auto fabric = open_verbs_fabric();
  ASSERT_FALSE(fabric);
  EXPECT_NE(fabric.error().error_number, 0);
  EXPECT_THAT(fabric.error().message(), testing::HasSubstr("rdma_ucm"));
}

}  // namespace
}  // namespace rdmaboot::engine
