// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The engine's only way to the outside world: rdma_cm and verbs, as far as it uses them. One
// implementation stands on librdmacm and libibverbs (verbs_fabric), one is a deterministic fabric
// in memory (src/sim). Everything here belongs to one thread; nothing blocks except where it says
// so.
//
// Lifetimes: a Fabric outlives its Devices and Endpoints; a Device (shared) outlives what was made
// from it. Memory that a queue pair may still write is freed after its Endpoint, or after the queue
// pair is in the error state and every work request has come back.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/clock.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::engine {

/// An IPv4 address and a port, both as integers of the host.
struct SocketAddress {
  std::uint32_t ipv4 = 0;
  std::uint16_t port = 0;
  auto operator<=>(const SocketAddress&) const = default;
};

// ---- What a device can do, and what is made from it --------------------------------------------

/// What of a device bounds the engine. From ibv_query_device_ex and ibv_query_port.
struct DeviceLimits {
  std::uint32_t max_queue_pair_requests = 0;  ///< max_qp_wr, each of send and receive
  std::uint32_t max_completions = 0;          ///< max_cqe
  std::uint32_t max_segments = 0;             ///< max_sge of a send request
  std::uint32_t max_inline = 0;               ///< bytes; 0 if unknown before a QP is made
  std::uint64_t max_region_bytes = 0;         ///< max_mr_size
  std::uint32_t completion_vectors = 1;
  bool windows_type_2 = false;    ///< memory windows that a remote key can be made and killed with
  bool relaxed_ordering = false;  ///< registration takes IBV_ACCESS_RELAXED_ORDERING
  /// iWARP: who accepted a connection sends nothing before a message of who asked for it came
  /// (RFC 5044, on how MPA starts). What comes with the reply all the same ends the connection.
  bool requester_speaks_first = false;
};

/// Bits of what a region or a window may be used for. The engine never grants a remote read.
enum class Access : std::uint8_t {
  kLocal = 0,            ///< source of sends and writes
  kLocalWrite = 1,       ///< sink of receives
  kRemoteWrite = 2,      ///< sink of a peer's RDMA writes; with kLocalWrite
  kBindWindow = 4,       ///< windows may be bound to it
  kRelaxedOrdering = 8,  ///< bulk memory only; ignored where limits().relaxed_ordering is false
};
[[nodiscard]] constexpr Access operator|(Access a, Access b) {
  return static_cast<Access>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}
[[nodiscard]] constexpr bool allows(Access have, Access wanted) {
  return (static_cast<std::uint8_t>(have) & static_cast<std::uint8_t>(wanted)) ==
         static_cast<std::uint8_t>(wanted);
}

/// Registered memory; its end deregisters it, after which both keys are dead.
class MemoryRegion {
 public:
  virtual ~MemoryRegion() = default;
  [[nodiscard]] virtual std::uint32_t local_key() const = 0;
  [[nodiscard]] virtual std::uint32_t remote_key() const = 0;
  /// Deregisters now and says how that went; the object is empty afterwards.
  [[nodiscard]] virtual core::Result<void> close() = 0;
};

/// A type-2 memory window: bound by a SendRequest of kBindWindow, its key killed by one of
/// kInvalidate on the same queue pair.
class MemoryWindow {
 public:
  virtual ~MemoryWindow() = default;
  /// The key that the next bind will give it (its low 8 bits are the consumer's to count up).
  [[nodiscard]] virtual std::uint32_t next_key() const = 0;
};

/// One RDMA device with its protection domain.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual const DeviceLimits& limits() const = 0;
  /// Errors: ENOMEM, EINVAL, EIO after the device went.
  [[nodiscard]] virtual core::Result<std::unique_ptr<MemoryRegion>> register_memory(
      std::span<std::byte> memory, Access access) = 0;
  /// Errors: as above; EOPNOTSUPP without windows_type_2.
  [[nodiscard]] virtual core::Result<std::unique_ptr<MemoryWindow>> allocate_window() = 0;
};

// ---- Work
// ----------------------------------------------------------------------------------------

/// Local bytes of a work request.
struct Segment {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint32_t local_key = 0;
};

/// At most so many local segments a work request (ko2iblnd's wrq_sge default, section 14).
inline constexpr unsigned kMaxSegments = 2;

enum class WorkKind : std::uint8_t { kSend, kWrite, kBindWindow, kInvalidate, kReceive };

/// One entry of a chain for the send queue. Executed in the order posted.
struct SendRequest {
  std::uint64_t id = 0;  ///< comes back in its completion
  WorkKind kind = WorkKind::kSend;
  bool signaled = false;  ///< without it only a failure completes
  bool inline_data =
      false;  ///< the bytes are taken at once: memory and local key are free afterwards
  std::uint8_t segment_count = 0;
  std::array<Segment, kMaxSegments> segments{};
  std::uint64_t remote_address = 0;  ///< kWrite
  std::uint32_t remote_key = 0;      ///< kWrite; kInvalidate: the key to kill
  // kBindWindow: window gets its next_key() for [bind_address, +bind_length) of region, remote
  // write.
  MemoryWindow* window = nullptr;
  MemoryRegion* region = nullptr;
  std::uint64_t bind_address = 0;
  std::uint64_t bind_length = 0;
};

struct ReceiveRequest {
  std::uint64_t id = 0;
  Segment buffer;
};

enum class WorkStatus : std::uint8_t {
  kSuccess,
  kFlushed,            ///< the queue pair was in the error state
  kLocalError,         ///< length, protection or queue pair operation of this side
  kRemoteAccessError,  ///< the peer's memory refused the key or the range
  kRemoteError,        ///< the peer's queue pair could not do it
  kRetryExceeded,      ///< the peer does not answer
  kReceiverNotReady,   ///< the peer had no receive posted: credits were broken
  kWindowError,        ///< bind or invalidate refused
  kDeviceError,        ///< the device failed
};
[[nodiscard]] std::string_view to_string(WorkStatus status);

struct Completion {
  std::uint64_t id = 0;
  WorkStatus status = WorkStatus::kSuccess;
  WorkKind kind = WorkKind::kSend;  ///< undefined unless kSuccess
  std::uint32_t bytes = 0;          ///< received
};

// ---- Connections
// -----------------------------------------------------------------------------------

/// Names an endpoint; never used twice, so that an event that comes late finds nobody.
enum class EndpointId : std::uint64_t {};

/// What a queue pair is asked for. One completion queue serves both its queues.
struct QueueLimits {
  std::uint32_t send_requests = 0;
  std::uint32_t receive_requests = 0;
  std::uint32_t segments = kMaxSegments;
  std::uint32_t inline_bytes = 0;       ///< wished; less may be given
  std::uint32_t completions = 0;        ///< every request may complete: the sum of both queues
  std::uint32_t completion_vector = 0;  ///< modulo limits().completion_vectors
};

/// How to connect or accept. No RDMA read and no atomics, ever: both depths are 0 (section 4.1).
struct ConnectParameters {
  std::span<const std::byte> private_data;      ///< at most 56 bytes in a request, 196 in a reply
  std::uint8_t retry_count = 5;                 ///< 0..7
  std::uint8_t receiver_not_ready_retries = 6;  ///< 0..7, 7 is for ever
};

/// One rdma_cm id with, after create_queue_pair(), a queue pair and a completion queue. Its end
/// destroys them in the right order; it may wait for the kernel but not for the peer.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  [[nodiscard]] virtual EndpointId id() const = 0;
  /// The device; null before the address is resolved.
  [[nodiscard]] virtual std::shared_ptr<Device> device() const = 0;
  [[nodiscard]] virtual SocketAddress peer_address() const = 0;

  /// Answered by AddressResolved or ConnectFailed. A source port of 0 is any; another is bound with
  /// reuse. Errors: EADDRINUSE, EADDRNOTAVAIL (try the next port), others final.
  [[nodiscard]] virtual core::Result<void> resolve_address(SocketAddress source,
                                                           SocketAddress destination,
                                                           core::Microseconds timeout) = 0;
  /// Answered by RouteResolved or ConnectFailed.
  [[nodiscard]] virtual core::Result<void> resolve_route(core::Microseconds timeout) = 0;
  /// Errors: ENOMEM or EINVAL if the device cannot have so many requests (ask for fewer), others
  /// final. @return the inline bytes given
  [[nodiscard]] virtual core::Result<std::uint32_t> create_queue_pair(
      const QueueLimits& limits) = 0;
  /// Answered by Established, Rejected or ConnectFailed.
  [[nodiscard]] virtual core::Result<void> connect(const ConnectParameters& parameters) = 0;
  /// Of a ConnectRequested. Answered by Established, Disconnected or ConnectFailed.
  [[nodiscard]] virtual core::Result<void> accept(const ConnectParameters& parameters) = 0;
  /// Of a ConnectRequested; the endpoint is of no more use. At most 148 bytes.
  [[nodiscard]] virtual core::Result<void> reject(std::span<const std::byte> private_data) = 0;
  /// The RTU was lost but data came: tells rdma_cm that the connection stands (rdma_notify). No
  /// effect if it stands already.
  [[nodiscard]] virtual core::Result<void> notify_established() = 0;
  /// Answered by Disconnected, on both sides; the queue pair goes to the error state.
  [[nodiscard]] virtual core::Result<void> disconnect() = 0;
  /// The queue pair goes to the error state: everything posted comes back as kFlushed.
  [[nodiscard]] virtual core::Result<void> flush() = 0;

  /// Posts a chain with one doorbell. Errors: EINVAL before there is a queue pair, ENOMEM if a
  /// queue is full; nothing, or a head of the chain, has been posted then: flush.
  [[nodiscard]] virtual core::Result<void> post(std::span<const SendRequest> chain) = 0;
  [[nodiscard]] virtual core::Result<void> post(std::span<const ReceiveRequest> chain) = 0;
  /// Takes what has completed, as far as there is room. @return how many
  [[nodiscard]] virtual unsigned poll(std::span<Completion> completions) = 0;
  /// The next completion becomes a CompletionsReady; poll once more afterwards.
  [[nodiscard]] virtual core::Result<void> arm() = 0;
};

/// Private data of the connection manager, padded by the transport (section 4.2).
struct PrivateData {
  std::array<std::byte, 256> bytes{};
  std::uint8_t length = 0;
  [[nodiscard]] std::span<const std::byte> view() const { return std::span{bytes}.first(length); }
};

// ---- Events
// ----------------------------------------------------------------------------------------

namespace event {
struct AddressResolved {};
struct RouteResolved {};
struct Established {
  PrivateData private_data;  ///< the acceptor's reply; empty on the accepting side
};
struct Rejected {
  int reason = 0;  ///< of the CM: 28 is the consumer's own, 8 nobody listens, 10 stale connection
  PrivateData private_data;
};
struct ConnectFailed {
  int error_number = 0;  ///< ETIMEDOUT, EHOSTUNREACH, ...
};
struct Disconnected {};
/// Data came before the connection was seen established (COMM_EST).
struct CommunicationEstablished {};
/// The queue pair failed by itself.
struct QueuePairFailed {};
/// The device that the endpoint stands on is going: destroy it soon.
struct DeviceRemoval {};
/// The address moved to another device or vanished.
struct AddressChanged {};
/// Something may be in the completion queue.
struct CompletionsReady {};
}  // namespace event

/// Something happened to an endpoint.
struct EndpointEvent {
  EndpointId endpoint{};
  std::variant<event::AddressResolved, event::RouteResolved, event::Established, event::Rejected,
               event::ConnectFailed, event::Disconnected, event::CommunicationEstablished,
               event::QueuePairFailed, event::DeviceRemoval, event::AddressChanged,
               event::CompletionsReady>
      what;
};

/// A peer wants to connect. Dropping the endpoint without an answer is a reject without data.
struct ConnectRequested {
  std::unique_ptr<Endpoint> endpoint;
  PrivateData private_data;
};

/// Something happened to the device the fabric is bound to.
struct DeviceEvent {
  enum class Kind : std::uint8_t {
    kPortActive,
    kPortError,
    kGidChange,
    kFatal,
    kRemoval,        ///< the listener's device is going
    kAddressChange,  ///< the listener's address moved (bonding failover) or went
  };
  Kind kind = Kind::kPortActive;
};

using Event = std::variant<EndpointEvent, ConnectRequested, DeviceEvent>;

/// The way to one network: bound to one local address, which is on one device at a time.
class Fabric {
 public:
  virtual ~Fabric() = default;

  /// Binds the address (not a wildcard), finds its device and listens. A listener that there was is
  /// destroyed first, otherwise the address would be in use (section 13). Endpoints that exist stay
  /// as they are. @return the device
  /// Errors: EADDRNOTAVAIL (nobody has the address), ENODEV (no RDMA device has it), EADDRINUSE.
  [[nodiscard]] virtual core::Result<std::shared_ptr<Device>> listen(SocketAddress address,
                                                                     int backlog) = 0;
  /// Stops listening; requests that wait unread are rejected.
  virtual void stop_listening() = 0;
  /// The device that has the address now, by resolving it, without a listener: to see a failover.
  /// Errors: as listen().
  [[nodiscard]] virtual core::Result<std::string> device_of(SocketAddress address) = 0;
  /// A new endpoint for an active connect.
  [[nodiscard]] virtual core::Result<std::unique_ptr<Endpoint>> create_endpoint() = 0;
  /// The next event, or nothing if there is none now. Total: an event nobody knows is skipped.
  [[nodiscard]] virtual std::optional<Event> next_event() = 0;
  /// Readable when next_event() has something; -1 where there is no descriptor (simulation).
  [[nodiscard]] virtual int fd() const = 0;
};

}  // namespace rdmaboot::engine
