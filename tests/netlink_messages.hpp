// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Netlink messages as the kernel would send them, for tests of decoders and of what stands on them.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>

namespace rdmaboot::test {

/// One message; attributes are appended in the order of the calls.
class NetlinkMessage {
 public:
  NetlinkMessage(std::uint16_t type, std::uint32_t sequence, std::uint32_t port_id,
                 unsigned flags) {
    header_.nlmsg_type = type;
    header_.nlmsg_seq = sequence;
    header_.nlmsg_pid = port_id;
    header_.nlmsg_flags = static_cast<std::uint16_t>(flags);
  }

  NetlinkMessage&& u8(std::uint16_t type, std::uint8_t value) && { return attribute(type, value); }
  NetlinkMessage&& u32(std::uint16_t type, std::uint32_t value) && {
    return attribute(type, value);
  }
  NetlinkMessage&& u64(std::uint16_t type, std::uint64_t value) && {
    return attribute(type, value);
  }
  NetlinkMessage&& text(std::uint16_t type, std::string_view value) && {
    std::vector<char> with_end(value.begin(), value.end());
    with_end.push_back('\0');
    append_attribute(type, std::as_bytes(std::span(with_end)));
    return std::move(*this);
  }
  /// Bytes that are no attribute, such as the error number of NLMSG_DONE.
  NetlinkMessage&& raw(std::int32_t value) && {
    append(std::as_bytes(std::span(&value, 1)));
    return std::move(*this);
  }

  /// Header and attributes, padded.
  [[nodiscard]] std::vector<std::byte> bytes() const {
    nlmsghdr header = header_;
    header.nlmsg_len = static_cast<std::uint32_t>(sizeof(header) + payload_.size());
    const auto head = std::as_bytes(std::span(&header, 1));
    std::vector<std::byte> all(head.begin(), head.end());
    all.insert(all.end(), payload_.begin(), payload_.end());
    return all;
  }
  /// What follows the header.
  [[nodiscard]] const std::vector<std::byte>& attributes() const { return payload_; }

 private:
  template <typename T>
  NetlinkMessage&& attribute(std::uint16_t type, T value) {
    append_attribute(type, std::as_bytes(std::span(&value, 1)));
    return std::move(*this);
  }
  void append_attribute(std::uint16_t type, std::span<const std::byte> value) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
    append(std::as_bytes(std::span(&header, 1)));
    append(value);
    payload_.resize((payload_.size() + 3U) & ~std::size_t{3});
  }
  void append(std::span<const std::byte> bytes) {
    payload_.insert(payload_.end(), bytes.begin(), bytes.end());
  }

  nlmsghdr header_{};
  std::vector<std::byte> payload_;
};

/// A datagram of several messages.
inline std::vector<std::byte> join(const std::vector<NetlinkMessage>& messages) {
  std::vector<std::byte> datagram;
  for (const NetlinkMessage& message : messages) {
    const std::vector<std::byte> bytes = message.bytes();
    datagram.insert(datagram.end(), bytes.begin(), bytes.end());
  }
  return datagram;
}

}  // namespace rdmaboot::test
