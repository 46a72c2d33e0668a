// SPDX-License-Identifier: BSD-2-Clause
#include "os/rdma_netlink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include <libmnl/libmnl.h>
#include <poll.h>
#include <rdma/rdma_netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/unique_handle.hpp"

namespace rdmaboot::os {
namespace {

using core::fail;
using core::Result;

// Newer than the header of Debian 12 (kernel 6.1), which ends with STAT_HWCOUNTER_DYNAMIC. The
// numbers are ABI: kernel 6.11 counts on with PRIVILEGED_QKEY_MODE, DRIVER_DETAILS, RES_SUBTYPE,
// DEV_TYPE, PARENT_NAME, NAME_ASSIGN_TYPE (include/uapi/rdma/rdma_netlink.h).
constexpr std::uint16_t kAttrNameAssignType = 101;
static_assert(kAttrNameAssignType == RDMA_NLDEV_ATTR_STAT_HWCOUNTER_DYNAMIC + 6);

// What MNL_ALIGN and MNL_NLMSG_HDRLEN compute, without their signed arithmetic.
constexpr std::size_t kHeaderSize = sizeof(nlmsghdr);
constexpr std::size_t aligned(std::size_t length) {
  return (length + 3U) & ~std::size_t{3};
}
static_assert(aligned(kHeaderSize) == kHeaderSize);

constexpr std::string_view kDecode = "decode RDMA netlink";

bool is_aligned(std::span<const std::byte> bytes) {
  // Asked of the address as a number: libmnl casts it to header structures.
  return (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(nlmsghdr)) == 0;
}

tl::unexpected<core::Error> malformed(std::string_view what, std::string_view expected) {
  return fail(kDecode, what, EBADMSG, expected);
}

/// Calls `take(attribute number, payload)` for each attribute until one fails.
template <typename Take>
Result<void> for_each_attribute(std::span<const std::byte> bytes, const Take& take) {
  if (!is_aligned(bytes)) {
    return malformed("attributes", "expected them aligned to 4 bytes");
  }
  while (!bytes.empty()) {
    const auto* attribute = static_cast<const nlattr*>(static_cast<const void*>(bytes.data()));
    // mnl_attr_ok takes an int; no payload is larger than a datagram.
    if (bytes.size() > kNetlinkDatagramLimit ||
        !mnl_attr_ok(attribute, static_cast<int>(bytes.size()))) {
      return malformed("attributes", "expected the length to end with the message");
    }
    const std::span<const std::byte> payload(
        static_cast<const std::byte*>(mnl_attr_get_payload(attribute)),
        mnl_attr_get_payload_len(attribute));
    if (Result<void> taken = take(mnl_attr_get_type(attribute), payload); !taken) {
      return taken;
    }
    const std::size_t used = aligned(mnl_attr_get_len(attribute));
    bytes = bytes.subspan(std::min(used, bytes.size()));
  }
  return {};
}

template <typename Integer>
Result<void> take_number(std::span<const std::byte> payload, std::string_view what,
                         Integer& value) {
  if (payload.size() != sizeof(value)) {
    return malformed(what, "expected " + std::to_string(sizeof(value)) + " bytes");
  }
  std::memcpy(&value, payload.data(), sizeof(value));
  return {};
}

template <typename Integer>
Result<void> take_number(std::span<const std::byte> payload, std::string_view what,
                         std::optional<Integer>& value) {
  Integer taken{};
  if (Result<void> done = take_number(payload, what, taken); !done) {
    return done;
  }
  value = taken;
  return {};
}

Result<void> take_text(std::span<const std::byte> payload, std::string_view what,
                       std::string& value) {
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(payload.data())),
                              payload.size());
  const std::string_view shown = text.substr(0, text.find('\0'));
  if (shown.size() > kNetlinkTextLimit) {
    return malformed(what, "expected at most " + std::to_string(kNetlinkTextLimit) + " bytes");
  }
  value = shown;
  return {};
}

Result<void> take_device_attribute(NetlinkDevice& device, std::uint16_t type,
                                   std::span<const std::byte> payload) {
  switch (type) {
    case RDMA_NLDEV_ATTR_DEV_INDEX:
      return take_number(payload, "device index", device.index);
    case RDMA_NLDEV_ATTR_DEV_NAME:
      return take_text(payload, "device name", device.name);
    case RDMA_NLDEV_ATTR_PORT_INDEX:
      return take_number(payload, "number of ports", device.last_port);
    case RDMA_NLDEV_ATTR_FW_VERSION:
      return take_text(payload, "firmware version", device.firmware);
    case RDMA_NLDEV_ATTR_NODE_GUID:
      return take_number(payload, "node GUID", device.node_guid);
    case RDMA_NLDEV_ATTR_SYS_IMAGE_GUID:
      return take_number(payload, "system image GUID", device.sys_image_guid);
    case RDMA_NLDEV_ATTR_DEV_NODE_TYPE:
      return take_number(payload, "node type", device.node_type);
    case RDMA_NLDEV_ATTR_DEV_PROTOCOL:
      return take_text(payload, "device protocol", device.protocol);
    case RDMA_NLDEV_ATTR_DEV_DIM: {
      std::uint8_t dim = 0;
      Result<void> taken = take_number(payload, "adaptive moderation", dim);
      device.adaptive_moderation = dim != 0;
      return taken;
    }
    case kAttrNameAssignType: {
      std::uint8_t assigned = 0;
      Result<void> taken = take_number(payload, "name assign type", assigned);
      device.name_assign_type = assigned == static_cast<std::uint8_t>(NameAssignType::kUser)
                                    ? NameAssignType::kUser
                                    : NameAssignType::kUnknown;
      return taken;
    }
    default:
      return {};
  }
}

Result<void> take_port_attribute(NetlinkPort& port, std::uint16_t type,
                                 std::span<const std::byte> payload) {
  switch (type) {
    case RDMA_NLDEV_ATTR_DEV_INDEX:
      return take_number(payload, "device index", port.device_index);
    case RDMA_NLDEV_ATTR_PORT_INDEX:
      return take_number(payload, "port", port.port);
    case RDMA_NLDEV_ATTR_PORT_STATE:
      return take_number(payload, "port state", port.state);
    case RDMA_NLDEV_ATTR_PORT_PHYS_STATE:
      return take_number(payload, "port physical state", port.physical_state);
    case RDMA_NLDEV_ATTR_LID:
      return take_number(payload, "LID", port.lid);
    case RDMA_NLDEV_ATTR_SM_LID:
      return take_number(payload, "SM LID", port.sm_lid);
    case RDMA_NLDEV_ATTR_LMC:
      return take_number(payload, "LMC", port.lmc);
    case RDMA_NLDEV_ATTR_SUBNET_PREFIX:
      return take_number(payload, "subnet prefix", port.subnet_prefix);
    case RDMA_NLDEV_ATTR_CAP_FLAGS:
      return take_number(payload, "port capabilities", port.capability_flags);
    case RDMA_NLDEV_ATTR_NDEV_INDEX:
      return take_number(payload, "netdev index", port.netdev_index);
    case RDMA_NLDEV_ATTR_NDEV_NAME:
      return take_text(payload, "netdev name", port.netdev_name);
    default:
      return {};
  }
}

/// The errno that NLMSG_ERROR and NLMSG_DONE carry as a negative int at their start; 0: none.
Result<int> carried_errno(std::span<const std::byte> payload) {
  std::int32_t value = 0;
  if (payload.size() < sizeof(value)) {
    return malformed("end of an answer", "expected an error number");
  }
  std::memcpy(&value, payload.data(), sizeof(value));
  constexpr std::int32_t kLargestErrno = 4095;
  if (value > 0 || value < -kLargestErrno) {
    return malformed("end of an answer", "expected a negative error number");
  }
  return -value;
}

/// The kernel's socket behind the seam.
class SocketChannel final : public NetlinkChannel {
 public:
  using Socket = core::UniqueHandle<mnl_socket, mnl_socket_close>;
  explicit SocketChannel(Socket socket) : socket_(std::move(socket)) {}

  [[nodiscard]] std::uint32_t port_id() const override {
    return mnl_socket_get_portid(socket_.get());
  }

  Result<void> send(std::span<const std::byte> request) override {
    if (mnl_socket_sendto(socket_.get(), request.data(), request.size()) < 0) {
      return fail("send", "RDMA netlink request", errno);
    }
    return {};
  }

  Result<std::size_t> receive(std::span<std::byte> buffer,
                              std::chrono::milliseconds timeout) override {
    pollfd waited{mnl_socket_get_fd(socket_.get()), POLLIN, 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(timeout.count()));
    if (ready < 0) {
      return nothing_or_fail("wait for");
    }
    if (ready == 0) {
      return fail("wait for", "RDMA netlink answer", ETIMEDOUT);
    }
    sockaddr_nl sender{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t got = ::recvmsg(waited.fd, &message, MSG_DONTWAIT);
    if (got < 0) {
      return nothing_or_fail("receive");
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      return fail("receive", "RDMA netlink answer", EMSGSIZE);
    }
    // Any process may send to a netlink address; only the kernel is number 0.
    return sender.nl_pid == 0 ? static_cast<std::size_t>(got) : 0;
  }

 private:
  /// A signal, or a datagram that vanished between poll and recvmsg, is no failure: the caller asks
  /// again while it has time.
  static Result<std::size_t> nothing_or_fail(std::string_view attempt) {
    if (errno == EINTR || errno == EAGAIN) {
      return 0;
    }
    return fail(attempt, "RDMA netlink answer", errno);
  }

  Socket socket_;
};

}  // namespace

Result<NetlinkAnswer> decode_netlink_datagram(std::span<const std::byte> datagram,
                                              const NetlinkExpectation& expectation) {
  if (!is_aligned(datagram)) {
    return malformed("datagram", "expected it aligned to 4 bytes");
  }
  if (datagram.size() > kNetlinkDatagramLimit) {
    return malformed("datagram",
                     "expected at most " + std::to_string(kNetlinkDatagramLimit) + " bytes");
  }
  NetlinkAnswer answer;
  while (!datagram.empty() && !answer.complete) {
    const auto* header = static_cast<const nlmsghdr*>(static_cast<const void*>(datagram.data()));
    // Not mnl_nlmsg_ok(): it takes a length of 2 GiB and more for a negative one and lets it pass.
    if (datagram.size() < kHeaderSize || header->nlmsg_len < kHeaderSize ||
        header->nlmsg_len > datagram.size()) {
      return malformed("message", "expected the length to end with the datagram");
    }
    const std::span<const std::byte> payload =
        datagram.subspan(kHeaderSize, header->nlmsg_len - kHeaderSize);
    const std::size_t used = aligned(header->nlmsg_len);
    datagram = datagram.subspan(std::min(used, datagram.size()));
    if (header->nlmsg_seq != expectation.sequence || header->nlmsg_pid != expectation.port_id) {
      continue;  // a late answer to an earlier request that had run out of time
    }
    if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) {
      return fail("read", "RDMA netlink list", EINTR, "it changed meanwhile");
    }
    if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
      const Result<int> error = carried_errno(payload);
      if (!error) {
        return tl::make_unexpected(error.error());
      }
      if (*error != 0) {
        return fail("ask", "RDMA netlink", *error);
      }
      answer.complete = true;
    } else if (header->nlmsg_type == expectation.type) {
      answer.payloads.push_back(payload);
      answer.complete = !expectation.dump;
    } else if (header->nlmsg_type >= NLMSG_MIN_TYPE) {
      return malformed("message", "expected the type that was asked for");
    }
  }
  return answer;
}

Result<NetlinkDevice> decode_netlink_device(std::span<const std::byte> attributes) {
  NetlinkDevice device;
  bool has_index = false;
  Result<void> done = for_each_attribute(attributes, [&](std::uint16_t type, auto payload) {
    has_index = has_index || type == RDMA_NLDEV_ATTR_DEV_INDEX;
    return take_device_attribute(device, type, payload);
  });
  if (!done) {
    return tl::make_unexpected(std::move(done.error()));
  }
  if (!has_index || device.name.empty()) {
    return malformed("device", "expected an index and a name");
  }
  return device;
}

Result<NetlinkPort> decode_netlink_port(std::span<const std::byte> attributes) {
  NetlinkPort port;
  bool has_index = false;
  Result<void> done = for_each_attribute(attributes, [&](std::uint16_t type, auto payload) {
    has_index = has_index || type == RDMA_NLDEV_ATTR_DEV_INDEX;
    return take_port_attribute(port, type, payload);
  });
  if (!done) {
    return tl::make_unexpected(std::move(done.error()));
  }
  if (!has_index || port.port == 0) {
    return malformed("port", "expected a device index and a port number from 1");
  }
  return port;
}

Result<std::unique_ptr<NetlinkChannel>> open_rdma_netlink_channel() {
  SocketChannel::Socket socket(mnl_socket_open2(NETLINK_RDMA, SOCK_CLOEXEC));
  if (!socket) {
    return fail("open", "RDMA netlink socket", errno);
  }
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return fail("bind", "RDMA netlink socket", errno);
  }
  return std::make_unique<SocketChannel>(std::move(socket));
}

/// What is asked: a list (of everything, or of one device's ports), one device, or a change that
/// the kernel is to acknowledge.
struct RdmaNetlink::Request {
  std::uint16_t command = 0;
  std::uint16_t flags = 0;  ///< NLM_F_DUMP, NLM_F_ACK
  std::optional<std::uint32_t> device_index;
  /// Text attributes: a new name, or what a new device has.
  std::vector<std::pair<std::uint16_t, std::string>> texts;
};

RdmaNetlink::RdmaNetlink(std::unique_ptr<NetlinkChannel> channel, const core::Clock& clock,
                         std::chrono::milliseconds budget)
    : channel_(std::move(channel)), clock_(&clock), budget_(budget) {}

template <typename Entry>
Result<std::vector<Entry>> RdmaNetlink::ask(const Request& request,
                                            Result<Entry> (*decode)(std::span<const std::byte>)) {
  const NetlinkExpectation expectation{
      static_cast<std::uint16_t>(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, request.command)), ++sequence_,
      channel_->port_id(), (request.flags & NLM_F_DUMP) != 0};

  // A header of 16 bytes, one number, and the three names that a new device has.
  constexpr std::size_t kRequestSize = 512;
  alignas(nlmsghdr) std::array<std::byte, kRequestSize> bytes{};
  nlmsghdr* const header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = expectation.type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | request.flags);
  header->nlmsg_seq = expectation.sequence;
  if (request.device_index) {
    mnl_attr_put_u32(header, RDMA_NLDEV_ATTR_DEV_INDEX, *request.device_index);
  }
  for (const auto& [type, text] : request.texts) {
    if (!mnl_attr_put_strz_check(header, bytes.size(), type, text.c_str())) {
      return fail("ask", "RDMA netlink", ENAMETOOLONG);
    }
  }
  if (Result<void> sent = channel_->send(std::span(bytes).first(header->nlmsg_len)); !sent) {
    return tl::make_unexpected(std::move(sent.error()));
  }
  // Only now: the kernel works while it takes a request, and the answer is there when it is done.
  const core::Microseconds deadline = clock_->now() + budget_;

  std::vector<Entry> entries;
  std::vector<std::byte> buffer(kNetlinkDatagramLimit);
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock_->now());
    if (left.count() <= 0) {
      return fail("wait for", "RDMA netlink answer", ETIMEDOUT);
    }
    const Result<std::size_t> got = channel_->receive(buffer, left);
    if (!got) {
      return tl::make_unexpected(got.error());
    }
    const Result<NetlinkAnswer> answer =
        decode_netlink_datagram(std::span(buffer).first(*got), expectation);
    if (!answer) {
      return tl::make_unexpected(answer.error());
    }
    for (const std::span<const std::byte> payload : answer->payloads) {
      Result<Entry> entry = decode(payload);
      if (!entry) {
        return tl::make_unexpected(std::move(entry.error()));
      }
      if (entries.size() == kNetlinkEntryLimit) {
        return fail("read", "RDMA netlink list", EOVERFLOW,
                    "expected at most " + std::to_string(kNetlinkEntryLimit) + " entries");
      }
      entries.push_back(std::move(*entry));
    }
    if (answer->complete) {
      return entries;
    }
  }
}

Result<std::vector<NetlinkDevice>> RdmaNetlink::devices() {
  return ask<NetlinkDevice>({RDMA_NLDEV_CMD_GET, NLM_F_DUMP, std::nullopt, {}},
                            decode_netlink_device);
}

Result<NetlinkDevice> RdmaNetlink::device(std::uint32_t index) {
  Result<std::vector<NetlinkDevice>> found =
      ask<NetlinkDevice>({RDMA_NLDEV_CMD_GET, 0, index, {}}, decode_netlink_device);
  if (!found) {
    return tl::make_unexpected(std::move(found.error()));
  }
  if (found->empty()) {
    return fail("find", "RDMA device " + std::to_string(index), ENODEV);
  }
  if (found->front().index != index) {
    return malformed("device", "expected the one that was asked for");
  }
  return std::move(found->front());
}

Result<std::vector<NetlinkPort>> RdmaNetlink::ports(std::uint32_t device_index) {
  return ask<NetlinkPort>({RDMA_NLDEV_CMD_PORT_GET, NLM_F_DUMP, device_index, {}},
                          decode_netlink_port);
}

Result<void> RdmaNetlink::rename(std::uint32_t index, const std::string& new_name) {
  const std::string object = "RDMA device " + std::to_string(index) + " to " + new_name;
  if (new_name.empty()) {
    return fail("rename", object, EINVAL, "expected a name");
  }
  if (new_name.size() > kDeviceNameLimit) {
    return fail("rename", object, ENAMETOOLONG,
                "expected at most " + std::to_string(kDeviceNameLimit) + " bytes");
  }
  const Result<std::vector<NetlinkDevice>> answer = ask<NetlinkDevice>(
      {RDMA_NLDEV_CMD_SET, NLM_F_ACK, index, {{RDMA_NLDEV_ATTR_DEV_NAME, new_name}}},
      decode_netlink_device);
  if (!answer) {
    return fail("rename", object, answer.error().error_number, answer.error().detail);
  }
  return {};
}

Result<void> RdmaNetlink::new_link(const std::string& name, const std::string& type,
                                   const std::string& netdev) {
  const auto done = ask<NetlinkDevice>({RDMA_NLDEV_CMD_NEWLINK,
                                        NLM_F_ACK,
                                        std::nullopt,
                                        {{RDMA_NLDEV_ATTR_DEV_NAME, name},
                                         {RDMA_NLDEV_ATTR_LINK_TYPE, type},
                                         {RDMA_NLDEV_ATTR_NDEV_NAME, netdev}}},
                                       decode_netlink_device);
  return done ? Result<void>{} : tl::make_unexpected(done.error());
}

Result<void> RdmaNetlink::delete_link(std::uint32_t device_index) {
  const auto done = ask<NetlinkDevice>({RDMA_NLDEV_CMD_DELLINK, NLM_F_ACK, device_index, {}},
                                       decode_netlink_device);
  return done ? Result<void>{} : tl::make_unexpected(done.error());
}

}  // namespace rdmaboot::os
