// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What two kernels said to each other: o2iblnd's messages and connection records out of a capture
// of RoCEv2 (classic pcap, Ethernet, IPv4, UDP port 4791), in the order they were seen.
//
// Everything else in the capture is passed over: RDMA writes, acknowledgements, ARP. A packet that
// is cut, or a message that took more than one packet, is a fault of the capture and throws.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace rdmaboot::test {

struct CapturedMessage {
  enum class Kind : std::uint8_t { kSend, kConnectRequest, kConnectReply, kReject };
  Kind kind = Kind::kSend;
  std::uint32_t source = 0;       ///< IPv4, as an integer
  std::uint32_t destination = 0;  ///< IPv4, as an integer
  std::vector<std::byte> bytes;   ///< a SEND's payload, or the private data with its padding
};

namespace capture {

inline constexpr std::size_t kRecordHeader = 16;
inline constexpr std::size_t kEthernet = 14;
inline constexpr std::size_t kUdp = 8;
inline constexpr std::size_t kBth = 12;
inline constexpr std::size_t kDeth = 8;
inline constexpr std::size_t kIcrc = 4;

inline std::uint32_t big(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (const std::byte each : bytes.subspan(at, size)) {
    value = value << 8 | std::to_integer<std::uint32_t>(each);
  }
  return value;
}

inline std::uint32_t little(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t index = 4; index-- > 0;) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + index]);
  }
  return value;
}

/// Private data in a communication management datagram (IB specification, CM messages), if it is
/// one that carries ours. A REQ's begins with the 36 bytes of rdma_cm's own header.
inline std::optional<CapturedMessage> from_datagram(std::span<const std::byte> datagram) {
  struct Place {
    std::uint32_t attribute;
    CapturedMessage::Kind kind;
    std::size_t offset;
    std::size_t size;
  };
  constexpr std::size_t kMadHeader = 24;
  constexpr Place kPlaces[] = {
      {0x0010, CapturedMessage::Kind::kConnectRequest, kMadHeader + 140 + 36, 92 - 36},
      {0x0012, CapturedMessage::Kind::kReject, kMadHeader + 84, 148},
      {0x0013, CapturedMessage::Kind::kConnectReply, kMadHeader + 36, 196}};
  for (const Place& place : kPlaces) {
    if (big(datagram, 16, 2) == place.attribute) {
      const auto data = datagram.subspan(place.offset, place.size);
      return CapturedMessage{.kind = place.kind, .bytes = {data.begin(), data.end()}};
    }
  }
  return std::nullopt;
}

/// @param packet from the Ethernet header on
inline std::optional<CapturedMessage> from_packet(std::span<const std::byte> packet) {
  constexpr std::uint32_t kIpv4 = 0x0800;
  constexpr std::uint32_t kProtocolUdp = 17;
  constexpr std::uint32_t kRocePort = 4791;
  constexpr std::uint32_t kSendFirst = 0x00;
  constexpr std::uint32_t kSendOnly = 0x04;
  constexpr std::uint32_t kDatagramSendOnly = 0x64;
  if (big(packet, 12, 2) != kIpv4) {
    return std::nullopt;
  }
  const auto ip = packet.subspan(kEthernet);
  const std::size_t ip_header = (big(ip, 0, 1) & 0xf) * 4;
  if (big(ip, 9, 1) != kProtocolUdp || big(ip, ip_header + 2, 2) != kRocePort) {
    return std::nullopt;
  }
  const auto roce = ip.subspan(ip_header + kUdp, big(ip, ip_header + 4, 2) - kUdp);
  const std::uint32_t opcode = big(roce, 0, 1);
  const std::size_t padding = big(roce, 1, 1) >> 4 & 3;
  std::optional<CapturedMessage> message;
  if (opcode == kSendOnly) {
    const auto data = roce.subspan(kBth, roce.size() - kBth - padding - kIcrc);
    message = CapturedMessage{.bytes = {data.begin(), data.end()}};
  } else if (opcode == kDatagramSendOnly) {
    message = from_datagram(roce.subspan(kBth + kDeth, roce.size() - kBth - kDeth - kIcrc));
  } else if (opcode == kSendFirst) {
    throw std::runtime_error("a SEND of several packets, which this reader does not put together");
  }
  if (message) {
    message->source = big(ip, 12, 4);
    message->destination = big(ip, 16, 4);
  }
  return message;
}

}  // namespace capture

/// All messages in a capture file. Throws where it is not what it should be.
inline std::vector<CapturedMessage> read_capture(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::span<const std::byte> rest = std::as_bytes(std::span(text));
  constexpr std::size_t kFileHeader = 24;
  if (rest.size() < kFileHeader || capture::little(rest, 0) != 0xa1b2c3d4) {
    throw std::runtime_error(path + ": no little-endian pcap file");
  }
  rest = rest.subspan(kFileHeader);
  std::vector<CapturedMessage> messages;
  while (!rest.empty()) {
    const std::size_t captured = capture::little(rest, 8);
    if (captured != capture::little(rest, 12)) {
      throw std::runtime_error(path + ": a packet is cut");
    }
    if (auto message = capture::from_packet(rest.subspan(capture::kRecordHeader, captured))) {
      messages.push_back(std::move(*message));
    }
    rest = rest.subspan(capture::kRecordHeader + captured);
  }
  return messages;
}

}  // namespace rdmaboot::test
