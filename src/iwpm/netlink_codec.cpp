// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/netlink_codec.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <linux/netlink.h>
#include <netinet/in.h>
#include <rdma/rdma_netlink.h>
#include <sys/socket.h>

namespace rdmaboot::iwpm {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kHeader = sizeof(nlmsghdr);
constexpr std::size_t kAttributeHeader = sizeof(nlattr);
/// NLA_TYPE_MASK, as an unsigned number.
constexpr std::uint16_t kTypeMask = 0x3fff;
static_assert(kHeader == 16 && kAttributeHeader == 4);
static_assert(sizeof(sockaddr_storage) == 128);
/// Highest attribute number of any message of this protocol.
constexpr std::size_t kMostAttributes = IWPM_NLA_RQUERY_MAPPING_MAX;

constexpr std::size_t aligned(std::size_t length) {
  return (length + 3U) & ~std::size_t{3};
}

template <typename T>
std::optional<T> plain(const std::optional<Bytes>& payload) {
  if (!payload || payload->size() != sizeof(T)) {
    return std::nullopt;
  }
  T value{};
  std::memcpy(&value, payload->data(), sizeof(T));
  return value;
}

/// The payload of each attribute of a message, by number. A number that comes twice counts once.
class Attributes {
 public:
  /// Total; `ok()` is false when lengths do not fit.
  explicit Attributes(Bytes bytes) {
    while (bytes.size() >= kAttributeHeader) {
      nlattr header{};
      std::memcpy(&header, bytes.data(), sizeof(header));
      if (header.nla_len < kAttributeHeader || header.nla_len > bytes.size()) {
        ok_ = false;
        return;
      }
      const std::size_t type = header.nla_type & kTypeMask;
      if (type < found_.size()) {
        found_[type] = bytes.subspan(kAttributeHeader, header.nla_len - kAttributeHeader);
      }
      bytes = bytes.subspan(std::min(aligned(header.nla_len), bytes.size()));
    }
    ok_ = bytes.empty();
  }

  [[nodiscard]] bool ok() const { return ok_; }

  [[nodiscard]] std::optional<std::uint16_t> u16(std::size_t type) const {
    return plain<std::uint16_t>(found_.at(type));
  }
  [[nodiscard]] std::optional<std::uint32_t> u32(std::size_t type) const {
    return plain<std::uint32_t>(found_.at(type));
  }
  /// Flags: absent counts as none, a wrong length does not pass.
  [[nodiscard]] std::optional<std::uint32_t> flags(std::size_t type) const {
    return found_.at(type) ? u32(type) : 0;
  }

  /// Text that ends with the first NUL byte or the attribute.
  [[nodiscard]] std::optional<std::string> text(std::size_t type) const {
    const auto& payload = found_.at(type);
    if (!payload || payload->size() > kTextLimit) {
      return std::nullopt;
    }
    std::string value(payload->size(), '\0');
    std::memcpy(value.data(), payload->data(), payload->size());
    value.resize(std::min(value.find('\0'), value.size()));
    return value;
  }

  [[nodiscard]] std::optional<Address> address(std::size_t type) const {
    const auto storage = plain<sockaddr_storage>(found_.at(type));
    if (!storage) {
      return std::nullopt;
    }
    Address address;
    if (storage->ss_family == AF_INET) {
      sockaddr_in in{};
      std::memcpy(&in, &*storage, sizeof(in));
      address.port = ntohs(in.sin_port);
      std::memcpy(address.ip.data(), &in.sin_addr, sizeof(in.sin_addr));
      return address;
    }
    if (storage->ss_family == AF_INET6) {
      sockaddr_in6 in{};
      std::memcpy(&in, &*storage, sizeof(in));
      address.family = Family::kIpv6;
      address.port = ntohs(in.sin6_port);
      address.scope = in.sin6_scope_id;
      std::memcpy(address.ip.data(), &in.sin6_addr, sizeof(in.sin6_addr));
      return address;
    }
    return std::nullopt;
  }

 private:
  std::array<std::optional<Bytes>, kMostAttributes> found_{};
  bool ok_ = true;
};

KernelBody decode_register(const Attributes& in) {
  auto interface = in.text(IWPM_NLA_REG_IF_NAME);
  auto device = in.text(IWPM_NLA_REG_IBDEV_NAME);
  auto library = in.text(IWPM_NLA_REG_ULIB_NAME);
  if (!in.u32(IWPM_NLA_REG_PID_SEQ) || !interface || !device || !library) {
    return Malformed{};
  }
  return RegisterPid{std::move(*interface), std::move(*device), std::move(*library)};
}

KernelBody decode_add(const Attributes& in) {
  const auto local = in.address(IWPM_NLA_MANAGE_ADDR);
  const auto flags = in.flags(IWPM_NLA_MANAGE_FLAGS);
  if (!in.u32(IWPM_NLA_MANAGE_MAPPING_SEQ) || !local || !flags) {
    return Malformed{};
  }
  return AddMapping{*local, *flags};
}

KernelBody decode_query(const Attributes& in) {
  const auto local = in.address(IWPM_NLA_QUERY_LOCAL_ADDR);
  const auto remote = in.address(IWPM_NLA_QUERY_REMOTE_ADDR);
  const auto flags = in.flags(IWPM_NLA_QUERY_FLAGS);
  if (!in.u32(IWPM_NLA_QUERY_MAPPING_SEQ) || !local || !remote || !flags ||
      local->family != remote->family) {
    return Malformed{};
  }
  return QueryMapping{*local, *remote, *flags};
}

KernelBody decode_remove(const Attributes& in) {
  const auto local = in.address(IWPM_NLA_MANAGE_ADDR);
  if (!in.u32(IWPM_NLA_MANAGE_MAPPING_SEQ) || !local) {
    return Malformed{};
  }
  return RemoveMapping{*local};
}

KernelBody decode_mapinfo(const Attributes& in) {
  const auto local = in.address(IWPM_NLA_MAPINFO_LOCAL_ADDR);
  const auto mapped = in.address(IWPM_NLA_MAPINFO_MAPPED_ADDR);
  const auto flags = in.flags(IWPM_NLA_MAPINFO_FLAGS);
  if (!local || !mapped || !flags || local->family != mapped->family) {
    return Malformed{};
  }
  return MapInfo{*local, *mapped, *flags};
}

KernelBody decode_body(unsigned operation, Bytes payload) {
  const Attributes in(payload);
  if (!in.ok()) {
    return Malformed{};
  }
  switch (operation) {
    case RDMA_NL_IWPM_REG_PID:
      return decode_register(in);
    case RDMA_NL_IWPM_ADD_MAPPING:
      return decode_add(in);
    case RDMA_NL_IWPM_QUERY_MAPPING:
      return decode_query(in);
    case RDMA_NL_IWPM_REMOVE_MAPPING:
      return decode_remove(in);
    case RDMA_NL_IWPM_MAPINFO:
      return decode_mapinfo(in);
    case RDMA_NL_IWPM_MAPINFO_NUM:
      if (const auto sent = in.u32(IWPM_NLA_MAPINFO_SEND_NUM);
          sent && in.u32(IWPM_NLA_MAPINFO_SEQ)) {
        return MapInfoCount{*sent};
      }
      return Malformed{};
    case RDMA_NL_IWPM_HELLO:
      if (const auto version = in.u16(IWPM_NLA_HELLO_ABI_VERSION)) {
        return Hello{*version};
      }
      return Malformed{};
    default:
      return Malformed{};
  }
}

/// NLMSG_ERROR with number 0 is an acknowledgement.
Finished decode_finished(std::uint16_t type, Bytes payload) {
  int number = 0;
  if (payload.size() >= sizeof(number)) {
    std::memcpy(&number, payload.data(), sizeof(number));
  }
  const bool is_error = type == NLMSG_ERROR && number != 0;
  return {is_error && number == -EINVAL, is_error && number != -EINVAL, number != 0};
}

}  // namespace

std::optional<KernelMessage> next_message(Bytes& datagram) {
  while (datagram.size() >= kHeader) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data(), sizeof(header));
    if (header.nlmsg_len < kHeader || header.nlmsg_len > datagram.size()) {
      break;
    }
    const Bytes payload = datagram.subspan(kHeader, header.nlmsg_len - kHeader);
    datagram = datagram.subspan(std::min(aligned(header.nlmsg_len), datagram.size()));
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
      return KernelMessage{0, header.nlmsg_seq, decode_finished(header.nlmsg_type, payload)};
    }
    if (header.nlmsg_type >= NLMSG_MIN_TYPE) {
      const unsigned type = header.nlmsg_type;
      return KernelMessage{static_cast<std::uint8_t>(RDMA_NL_GET_CLIENT(type)), header.nlmsg_seq,
                           decode_body(type & ((1U << 10U) - 1), payload)};
    }
  }
  datagram = {};
  return std::nullopt;
}

/// Writes a header and attributes into a NetlinkBytes, which has room for every message we know.
class NetlinkWriter {
 public:
  NetlinkWriter(const Outgoing& outgoing, unsigned operation) {
    nlmsghdr header{};
    header.nlmsg_type =
        static_cast<std::uint16_t>((static_cast<unsigned>(outgoing.client) << 10U) | operation);
    header.nlmsg_flags = NLM_F_REQUEST;
    header.nlmsg_seq = outgoing.sequence;
    header.nlmsg_pid = outgoing.port_id;
    std::memcpy(out_.bytes_.data(), &header, sizeof(header));
    out_.size_ = kHeader;
  }

  template <typename T>
  void put(std::uint16_t type, const T& value) {
    put_bytes(type, &value, sizeof(value));
  }

  /// With its NUL byte.
  void put_text(std::uint16_t type, std::string_view text) {
    const std::string terminated(text.substr(0, kTextLimit));
    put_bytes(type, terminated.c_str(), terminated.size() + 1);
  }

  void put_address(std::uint16_t type, const Address& address) {
    sockaddr_storage storage{};
    if (address.family == Family::kIpv4) {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(address.port);
      std::memcpy(&in.sin_addr, address.ip.data(), sizeof(in.sin_addr));
      std::memcpy(&storage, &in, sizeof(in));
    } else {
      sockaddr_in6 in{};
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(address.port);
      in.sin6_scope_id = address.scope;
      std::memcpy(&in.sin6_addr, address.ip.data(), sizeof(in.sin6_addr));
      std::memcpy(&storage, &in, sizeof(in));
    }
    put(type, storage);
  }

  [[nodiscard]] const NetlinkBytes& done() {
    const auto length = static_cast<std::uint32_t>(out_.size_);
    std::memcpy(out_.bytes_.data(), &length, sizeof(length));
    return out_;
  }

 private:
  void put_bytes(std::uint16_t type, const void* payload, std::size_t size) {
    const std::size_t used = aligned(kAttributeHeader + size);
    if (out_.size_ + used > out_.bytes_.size()) {
      return;  // no message of ours is that large
    }
    nlattr header{};
    header.nla_len = static_cast<std::uint16_t>(kAttributeHeader + size);
    header.nla_type = type;
    std::byte* const at = out_.bytes_.data() + out_.size_;
    std::memcpy(at, &header, sizeof(header));
    std::memcpy(at + kAttributeHeader, payload, size);
    out_.size_ += used;
  }

  NetlinkBytes out_;
};

namespace {

NetlinkBytes encode_connection(NetlinkWriter& out, std::uint32_t echoed,
                               const Connection& connection, ErrorCode error) {
  out.put(IWPM_NLA_RQUERY_MAPPING_SEQ, echoed);
  out.put_address(IWPM_NLA_RQUERY_LOCAL_ADDR, connection.local);
  out.put_address(IWPM_NLA_RQUERY_REMOTE_ADDR, connection.remote);
  out.put_address(IWPM_NLA_RQUERY_MAPPED_LOC_ADDR, connection.mapped_local);
  out.put_address(IWPM_NLA_RQUERY_MAPPED_REM_ADDR, connection.mapped_remote);
  out.put(IWPM_NLA_RQUERY_MAPPING_ERR, error);
  return out.done();
}

}  // namespace

NetlinkBytes encode_hello(const Outgoing& header) {
  NetlinkWriter out(header, RDMA_NL_IWPM_HELLO);
  out.put(IWPM_NLA_HELLO_ABI_VERSION, kAbiVersion);
  return out.done();
}

NetlinkBytes encode_mapinfo_request(const Outgoing& header, std::uint16_t version) {
  NetlinkWriter out(header, RDMA_NL_IWPM_MAPINFO);
  out.put_text(IWPM_NLA_MAPINFO_ULIB_NAME, kLibraryName);
  out.put(IWPM_NLA_MAPINFO_ULIB_VER, version);
  return out.done();
}

NetlinkBytes encode_register_answer(const Outgoing& header, std::uint32_t echoed,
                                    std::string_view device, std::uint16_t version) {
  NetlinkWriter out(header, RDMA_NL_IWPM_REG_PID);
  out.put(IWPM_NLA_RREG_PID_SEQ, echoed);
  out.put_text(IWPM_NLA_RREG_IBDEV_NAME, device);
  out.put_text(IWPM_NLA_RREG_ULIB_NAME, kLibraryName);
  out.put(IWPM_NLA_RREG_ULIB_VER, version);
  out.put(IWPM_NLA_RREG_PID_ERR, ErrorCode::kNone);
  return out.done();
}

NetlinkBytes encode_add_answer(const Outgoing& header, std::uint32_t echoed, const Address& local,
                               const Address& mapped) {
  NetlinkWriter out(header, RDMA_NL_IWPM_ADD_MAPPING);
  out.put(IWPM_NLA_RMANAGE_MAPPING_SEQ, echoed);
  out.put_address(IWPM_NLA_RMANAGE_ADDR, local);
  out.put_address(IWPM_NLA_RMANAGE_MAPPED_LOC_ADDR, mapped);
  out.put(IWPM_NLA_RMANAGE_MAPPING_ERR, ErrorCode::kNone);
  return out.done();
}

NetlinkBytes encode_query_answer(const Outgoing& header, std::uint32_t echoed,
                                 const Connection& connection, ErrorCode error) {
  NetlinkWriter out(header, RDMA_NL_IWPM_QUERY_MAPPING);
  return encode_connection(out, echoed, connection, error);
}

NetlinkBytes encode_remote_info(const Outgoing& header, const Connection& connection) {
  NetlinkWriter out(header, RDMA_NL_IWPM_REMOTE_INFO);
  return encode_connection(out, 0, connection, ErrorCode::kNone);
}

NetlinkBytes encode_error(const Outgoing& header, std::uint32_t echoed, ErrorCode error) {
  NetlinkWriter out(header, RDMA_NL_IWPM_HANDLE_ERR);
  out.put(IWPM_NLA_ERR_SEQ, echoed);
  out.put(IWPM_NLA_ERR_CODE, error);
  return out.done();
}

NetlinkBytes encode_mapinfo_count_answer(const Outgoing& header, std::uint32_t echoed,
                                         std::uint32_t sent, std::uint32_t taken) {
  NetlinkWriter out(header, RDMA_NL_IWPM_MAPINFO_NUM);
  out.put(IWPM_NLA_MAPINFO_SEQ, echoed);
  out.put(IWPM_NLA_MAPINFO_SEND_NUM, sent);
  out.put(IWPM_NLA_MAPINFO_ACK_NUM, taken);
  return out.done();
}

}  // namespace rdmaboot::iwpm
