// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The messages of o2iblnd: bytes in, plain values or an error that names the field out. Layouts and
// rules are those of ko2iblnd in Lustre 2.17 (section numbers: of our fact sheet on o2iblnd).
//
// Integers travel in the sender's byte order, and the magic number tells which that is; the LNet
// header inside is always little-endian; cookies and handles are opaque bytes that only their owner
// reads, and are never flipped. Nothing here allocates, and decoded values point into the buffer
// they were decoded from: they live as long as its bytes do.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <tl/expected.hpp>

#include "engine/wire_lnet.hpp"
#include "rdmaboot/engine/nid.hpp"

namespace rdmaboot::engine::wire {

// ---- Constants (section 1) ---------------------------------------------------------------------

inline constexpr std::uint32_t kMagic = 0x0be91b91;      ///< of every o2iblnd message
inline constexpr std::uint32_t kLnetMagic = 0x45726963;  ///< LNet's own: "which version have you?"
inline constexpr std::uint16_t kServicePort = 987;       ///< in RDMA_PS_TCP

inline constexpr std::size_t kMessageBytes = 4096;  ///< every message buffer, both directions
inline constexpr std::size_t kMaxFragments = 257;   ///< of a descriptor: 256 pages, unaligned start

inline constexpr std::uint16_t kDefaultDepth = 8;
inline constexpr std::uint16_t kMaxDepth = 255;  ///< credits travel in 8 bits
inline constexpr std::uint16_t kVersion1Depth = 8;

/// The two versions there are. 2 = 1 + negotiated depth and fragments, limits in rejects, NOOPs
/// that need no credit (section 4.5).
enum class Version : std::uint16_t { k1 = 0x11, k2 = 0x12 };

/// The least queue depth that works. Of version 1 the last credit is for NOOPs, and a NOOP costs a
/// credit itself: with 2, each NOOP would make the next one due on the other side, for ever.
[[nodiscard]] constexpr std::uint16_t least_depth(Version version) {
  return version == Version::k1 ? 3 : 1;
}

enum class Type : std::uint8_t {
  kConnectRequest = 0xc0,
  kConnectReply = 0xc1,
  kNoop = 0xd0,
  kImmediate = 0xd1,
  kPutRequest = 0xd2,
  kPutNak = 0xd3,
  kPutAck = 0xd4,
  kPutDone = 0xd5,
  kGetRequest = 0xd6,
  kGetDone = 0xd7,
};
/// As the protocol calls it: "PUT_REQ"; "unknown" for other values.
[[nodiscard]] std::string_view to_string(Type type);

// Sizes on the wire, in bytes from a message's start (sections 2.1, 2.2).
inline constexpr std::size_t kHeaderBytes = 48;
inline constexpr std::size_t kConnectBytes = 56;
inline constexpr std::size_t kImmediateBytes = kHeaderBytes + kLnetHeaderBytes;  ///< no payload
inline constexpr std::size_t kMaxImmediatePayload = kMessageBytes - kImmediateBytes;
inline constexpr std::size_t kPutRequestBytes = kImmediateBytes + 8;
inline constexpr std::size_t kPutAckBytes = 72;       ///< with no fragment
inline constexpr std::size_t kGetRequestBytes = 136;  ///< with no fragment
inline constexpr std::size_t kCompletionBytes = 60;
inline constexpr std::size_t kFragmentBytes = 12;
static_assert(kMaxImmediatePayload == 3976);
static_assert(kGetRequestBytes + kMaxFragments * kFragmentBytes <= kMessageBytes);

// ---- Values ------------------------------------------------------------------------------------

/// Names an exchange for the side that made it up; opaque to the other, which echoes it.
enum class Cookie : std::uint64_t {};

/// One contiguous range of a peer's memory, as its adapter knows it.
struct Fragment {
  std::uint64_t address = 0;
  std::uint32_t length = 0;  ///< bytes
  auto operator<=>(const Fragment&) const = default;
};

/// The fragments of a descriptor, wherever they are: an array of the caller's, or a received
/// message's bytes. Refers to them, owns nothing.
class FragmentList {
 public:
  FragmentList() = default;
  /// Of an array of the caller's.
  FragmentList(std::span<const Fragment> fragments)  // NOLINT(google-explicit-constructor)
      : array_(fragments.data()), size_(static_cast<std::uint32_t>(fragments.size())) {}
  /// Of bytes as they travel: 12 a fragment, a rest is not looked at.
  [[nodiscard]] static FragmentList in_place(std::span<const std::byte> bytes, bool swapped) {
    FragmentList list;
    list.bytes_ = bytes.data();
    list.size_ = static_cast<std::uint32_t>(bytes.size() / kFragmentBytes);
    list.swapped_ = swapped;
    return list;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// @param index less than size()
  [[nodiscard]] Fragment operator[](std::size_t index) const;
  /// The sum of the lengths, in bytes: at most 257 times 4 GiB.
  [[nodiscard]] std::uint64_t total_bytes() const;

 private:
  const Fragment* array_ = nullptr;
  const std::byte* bytes_ = nullptr;
  std::uint32_t size_ = 0;
  bool swapped_ = false;
};

/// Memory that the peer may write: one key for all fragments.
struct Descriptor {
  std::uint32_t key = 0;
  FragmentList fragments{};
};

// ---- Bodies ------------------------------------------------------------------------------------

/// What each side of a connect offers (both messages have the same layout).
struct ConnectParameters {
  std::uint16_t queue_depth = kDefaultDepth;
  std::uint16_t max_fragments = kMaxFragments;
  std::uint32_t max_message_bytes = kMessageBytes;
  auto operator<=>(const ConnectParameters&) const = default;
};
struct ConnectRequest : ConnectParameters {};
struct ConnectReply : ConnectParameters {};

/// Carries credits, or shows that its sender lives.
struct Noop {};

/// An LNet message with its payload.
struct Immediate {
  LnetHeader lnet{};
  /// The payload's bytes, at most lnet.payload_length: fewer if the message is shorter than it
  /// says.
  std::span<const std::byte> payload{};
  /// False: drop it, give back the credit, keep the connection (section 5).
  [[nodiscard]] bool complete() const { return payload.size() == lnet.payload_length; }
};

/// "I have lnet.payload_length bytes for you."
struct PutRequest {
  LnetHeader lnet{};
  Cookie cookie{};
};

/// "Write them here", perhaps fewer.
struct PutAck {
  Cookie source_cookie{};  ///< of the PutRequest
  Cookie sink_cookie{};    ///< for the PutDone
  Descriptor sink{};
};

/// "Write them to me."
struct GetRequest {
  LnetHeader lnet{};
  Cookie cookie{};
  Descriptor sink{};
};

/// How an exchange ended. The status is the bytes moved, or a negative errno; the errno of Linux,
/// whatever the receiver's system is.
struct Completion {
  Cookie cookie{};
  std::int32_t status = 0;
};
struct PutNak : Completion {};   ///< answers a PutRequest; status 0: not wanted, which is success
struct PutDone : Completion {};  ///< answers a PutAck
struct GetDone : Completion {};  ///< answers a GetRequest

using Body = std::variant<ConnectRequest, ConnectReply, Noop, Immediate, PutRequest, PutNak, PutAck,
                          PutDone, GetRequest, GetDone>;
[[nodiscard]] Type type_of(const Body& body);

/// Fields of every message (section 2.1).
struct Header {
  Version version = Version::k2;
  std::uint8_t credits = 0;  ///< given back to the receiver
  Nid source{};
  Nid destination{};
  std::uint64_t source_stamp = 0;  ///< the sender's incarnation
  std::uint64_t destination_stamp =
      0;  ///< the receiver's, as the sender knows it; 0 if it does not
};

struct Message {
  Header header{};
  Body body{};
};

// ---- Decoding ----------------------------------------------------------------------------------

/// What was wrong with received bytes; each names a field as the protocol calls it.
enum class Field : std::uint8_t {
  kLength,  ///< fewer bytes were received than any such message has
  kMagicNumber,
  kVersion,
  kType,
  kCredits,   ///< more given back than were taken
  kNoCredit,  ///< a message that costs a credit came without one
  kNob,       ///< bytes of the message
  kChecksum,
  kSourceNid,
  kDestinationNid,
  kSourceStamp,
  kDestinationStamp,
  kQueueDepth,
  kMaxFrags,
  kMaxMsgSize,
  kFragmentCount,  ///< nfrags
  kCookie,
  kStatus,
  kLnetType,
  kLnetPayloadLength,
  kLnetSourceNid,
  kLnetDestinationNid,
  kPingMagicNumber,
  kPingFeatures,
  kPingCount,     ///< nnis
  kPingLoopback,  ///< entry 0
  kSourcePort,
  kSourceAddress,
};
/// As the protocol calls it: "nob", "srcnid".
[[nodiscard]] std::string_view to_string(Field field);

/// Cheap to make and to copy. Users of the codec (the connection, the acceptor) say with it what
/// they found wrong in a decoded message, too.
struct DecodeError {
  Field field = Field::kLength;
  std::uint64_t found = 0;     ///< the value at fault
  std::uint64_t expected = 0;  ///< the value, or the bound, that it broke
  auto operator<=>(const DecodeError&) const = default;
};
/// "srcnid 10.0.0.1@o2ib, expected 10.0.0.2@o2ib"; one line.
[[nodiscard]] std::string to_string(const DecodeError& error);

template <typename T>
using Decoded = tl::expected<T, DecodeError>;

/// How a C `char` was taken by the kernel that made a checksum (section 2.4).
enum class Checksum : std::uint8_t {
  kNone,
  kSigned,    ///< x86-64 before Linux 6.2
  kUnsigned,  ///< Linux 6.2 and later, and others before
};

/// What decode() saw beside the message.
struct Envelope {
  std::size_t bytes = 0;                ///< nob: the message ends here, the rest is padding
  bool swapped = false;                 ///< the sender has the other byte order
  Checksum checksum = Checksum::kNone;  ///< which variant matched
};

/// Total. Takes the bytes received, in either byte order and with either variant of checksum, and
/// checks in the order of section 2.3, then the LNet header (section 3). Bytes after nob are not
/// looked at. Who sent it to whom and which credits it gives is for the caller to judge.
/// Thread-safe. @param envelope filled in on success, if given
[[nodiscard]] Decoded<Message> decode(std::span<const std::byte> received,
                                      Envelope* envelope = nullptr);

// ---- Encoding ----------------------------------------------------------------------------------

struct EncodeOptions {
  Checksum checksum = Checksum::kNone;
  /// The payload of an Immediate goes out from where it is, as a second segment: only the 120 bytes
  /// before it are written. nob and checksum count it all the same.
  bool payload_elsewhere = false;
  /// The byte order that is not this host's: for tests and simulated peers.
  bool swapped = false;
};

/// How long the message is: its nob.
[[nodiscard]] std::size_t encoded_bytes(const Body& body);

/// Writes a message in the host's byte order. A payload that is where it belongs already (120 bytes
/// after the start of `out`) is left there. Every byte that carries nothing is zero. Thread-safe.
/// @return how many bytes were written; 0 if the message cannot be: `out` is too short, no fragment
/// or more than 257, or a payload that is not payload_length bytes or more than 3976
[[nodiscard]] std::size_t encode(const Header& header, const Body& body, std::span<std::byte> out,
                                 const EncodeOptions& options = {});

/// Gives an encoded message of the host's byte order its credits, and its checksum anew, just
/// before it is posted: what is owed is known only then.
/// @param message what encode() wrote
/// @param payload_elsewhere the payload, if encode() left it where it was
void seal(std::span<std::byte> message, std::uint8_t credits, Checksum checksum = Checksum::kNone,
          std::span<const std::byte> payload_elsewhere = {});

/// The checksum of a message whose checksum field counts as 0; never 0 (section 2.4). Exposed for
/// tests. @param rest bytes that follow `message`
[[nodiscard]] std::uint32_t checksum_of(std::span<const std::byte> message, Checksum kind,
                                        std::span<const std::byte> rest = {});

}  // namespace rdmaboot::engine::wire
