// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The connection engine: o2iblnd's protocol from user space, to kernel LNet peers and to its own
// kind. This header tells the story from configuring to closing:
//
//   auto engine = start_on_verbs(settings);                   // listens
//   (*engine)->expose(...);                                   // peers may put to and get from it
//   (*engine)->put(peer, source, options, {done, context});   // connects if need be
//   while (...) { wait for (*engine)->fd() for poll_timeout(); (*engine)->process(); }
//
// One thread: every call on an engine, its end included, comes from the thread that calls
// process(). Callbacks are called from process() and stop(), never from within put(), get() or
// ping(); they may call every method but process(), stop() and the destructor. Nothing here throws;
// a callback must not, either.
//
// Sections are those of our fact sheet on o2iblnd; defaults are ko2iblnd's unless said otherwise.

#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "rdmaboot/engine/nid.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::core {
class Clock;
}

namespace rdmaboot::engine {

class Fabric;

using Duration = std::chrono::microseconds;

// ---- Limits of the protocol --------------------------------------------------------------------

inline constexpr std::size_t kMaxTransferFragments = 257;       ///< of one slice (section 1)
inline constexpr std::uint64_t kMaxSliceBytes = 1U << 20;       ///< LNet's MTU: one message
inline constexpr std::uint64_t kMaxTransferBytes = 1ULL << 32;  ///< offsets travel in 32 bits

// ---- Settings ----------------------------------------------------------------------------------

/// Versions of the protocol to speak (section 4.5).
enum class Versions : std::uint8_t {
  kBoth,   ///< connect with 2, fall back to 1 if refused for it; accept both
  kOnly2,  ///< refuse peers that speak only 1
  kOnly1,  ///< connect with 1; accept both (for tests of old peers)
};

/// Who wins when two peers connect to each other at once (section 10).
enum class TieBreak : std::uint8_t {
  kHash,     ///< since Lustre 2.15.64: network number XOR the byte-swapped address
  kNumeric,  ///< before: the NID as a 64-bit number
};

/// When the address is followed to another device (section 13).
enum class Failover : std::uint8_t {
  kOff,
  kWhenMoved,  ///< when the fabric tells that the address moved, or a sweep finds it moved
};

/// How a sink gets the key that a peer writes through. Every policy keeps the same promise: when a
/// transfer's completion is reported, no peer can write to its memory any more.
enum class KeyPolicy : std::uint8_t {
  /// A type-2 memory window where the device has them and the sink is one range of registered
  /// memory; otherwise from `registration_bytes` on a registration for this transfer alone;
  /// otherwise a bounce buffer, from which the bytes are copied.
  kAuto,
  kRegistration,  ///< as kAuto on a device without windows
  kBounce,        ///< always copy
};

/// A checksum of each message (section 2.4). What comes with one is checked in any case.
enum class MessageChecksum : std::uint8_t { kNone, kSignedChar, kUnsignedChar };

/// Addresses to admit: a NID alone (prefix_bits 32), or all of a network's NIDs in a prefix.
struct AllowedPeers {
  Nid nid;                        ///< its network has to match
  std::uint8_t prefix_bits = 32;  ///< 0..32 leading bits of the address have to match
};

/// Reads "10.0.0.1@o2ib", "10.0.0.0/24@o2ib1" or "10.0.0.0/24". Errors: text that is none of these.
[[nodiscard]] core::Result<AllowedPeers> parse_allowed_peers(std::string_view text);

enum class EngineEventKind : std::uint8_t;
struct EngineEvent;
/// Something worth a line in a log. Called from process().
using EngineEventCallback = void (*)(void* context, const EngineEvent& event);

/// What an engine is told at its start. Values out of range are an error of start(), never clamped
/// silently.
struct Settings {
  // -- Who I am
  Nid nid;                   ///< its address has to be on an RDMA device
  std::uint16_t port = 987;  ///< `service`; where I listen and where peers do
  int backlog = 128;
  /// Tells this run of the host from the one before (section 4.7): microseconds of wall-clock time
  /// at start, see incarnation_now(). Not 0.
  std::uint64_t incarnation = 0;
  std::uint64_t random_seed = 0;  ///< for jitter; 0: from the incarnation and the NID

  // -- The protocol
  Versions versions = Versions::kBoth;
  TieBreak tie_break = TieBreak::kHash;
  MessageChecksum checksum = MessageChecksum::kNone;
  std::uint16_t peer_credits = 8;               ///< queue depth, 2..255
  std::uint16_t peer_credits_high_water = 0;    ///< `peer_credits_hiw`; 0: half of peer_credits
  std::uint16_t concurrent_sends = 0;           ///< messages posted a connection; 0: peer_credits
  std::uint16_t max_fragments = 257;            ///< 1..257; writes of one message, too
  std::uint8_t retry_count = 5;                 ///< 0..7, of the transport
  std::uint8_t receiver_not_ready_retries = 6;  ///< 0..7, `rnr_retry_count`
  bool multi_rail_ping = false;  ///< advertise multi-rail and discovery: kernels then push (3.1)

  // -- Time (section 9)
  Duration timeout = std::chrono::seconds(50);         ///< of every transfer on a connection, T
  Duration resolve_timeout = std::chrono::seconds(5);  ///< of address and route, each
  Duration connect_timeout{0};  ///< from connect to reply; 0: the larger of 5 s and T / 4
  Duration wait_margin = std::chrono::seconds(10);  ///< waiting for a connection may take this more
  Duration keepalive =
      std::chrono::seconds(100);  ///< a NOOP after so long without a send; 0: never
  Duration drain_timeout = std::chrono::seconds(1);           ///< for flushed work to come back
  Duration reconnect_first = std::chrono::milliseconds(100);  ///< back-off doubles from here
  Duration reconnect_longest = std::chrono::seconds(5);       ///< to here, both with jitter
  Duration failover_sweep = std::chrono::seconds(10);

  // -- Connections
  std::uint8_t connections_per_peer = 1;  ///< 1..16, sends go round them
  bool use_privileged_port = true;        ///< connect from a port below 1024
  bool require_privileged_port = false;   ///< refuse requests from 1024 and above
  Failover failover = Failover::kWhenMoved;

  // -- Whom I admit
  bool check_source_address = true;   ///< a request's NID has to have the address it came from
  std::vector<AllowedPeers> allowed;  ///< empty: everybody. Binds both directions
  std::uint32_t max_peers = 65536;
  std::uint32_t max_connections = 16384;         ///< of all peers, those that are closing included
  std::uint32_t max_connections_of_a_peer = 32;  ///< the same, of one
  std::uint32_t max_half_open = 1024;            ///< requests accepted and not established yet
  std::uint32_t max_half_open_of_a_peer = 8;

  // -- Memory and queues
  std::uint64_t max_memory = 1ULL << 30;  ///< bytes registered by the engine for itself
  std::uint32_t max_transfers = 65536;    ///< not completed, of all peers
  std::uint32_t pipeline = 8;  ///< slices of one transfer under way at once, credits permitting
  KeyPolicy keys = KeyPolicy::kAuto;
  std::uint32_t registration_bytes = 64U << 10;  ///< shorter unregistered memory is copied
  std::uint32_t pool_buffers = 4;        ///< bounce buffers (1 MiB) kept for good, `fmr_pool_size`
  std::uint32_t pool_flush_trigger = 3;  ///< used ones that wait for a new key, at most
  Duration pool_age = std::chrono::seconds(300);  ///< others idle for so long are freed
  std::uint32_t inline_bytes = 220;               ///< shorter messages travel in the work request

  // -- The loop
  /// How long an empty completion queue is polled before it is armed; 0: armed at once. See
  /// wants_polling().
  Duration busy_poll{0};

  EngineEventCallback on_event = nullptr;
  void* on_event_context = nullptr;
};

/// Microseconds since 1970: what Settings::incarnation wants (a restart within 1 us is none).
[[nodiscard]] std::uint64_t incarnation_now();

// ---- Results -----------------------------------------------------------------------------------

/// How a transfer ended. Each transfer ends exactly once.
enum class TransferStatus : std::uint8_t {
  kOk,
  kNotMatched,        ///< the peer has nothing exposed under these match bits, or dropped it
  kTruncated,         ///< fewer bytes than asked for found room, or were there
  kTimedOutWaiting,   ///< no connection came about in time
  kTimedOutQueued,    ///< no credit came back in time
  kTimedOutSending,   ///< the adapter did not say that the message was sent
  kTimedOutAnswer,    ///< the peer did not answer
  kUnreachable,       ///< nobody has the address, or there is no route
  kRefused,           ///< the peer does not want this connection, or nobody listens
  kConnectionLost,    ///< see ConnectionInfo and EngineEvent for why
  kPeerFailed,        ///< the peer reported an error for this transfer: error_number
  kNoMemory,          ///< no buffer, no region, no key on this side
  kMemoryFailed,      ///< the adapter refused to register or bind: error_number
  kNotAllowed,        ///< the allow-list does not have the peer
  kNoDevice,          ///< the device is gone or the port is down
  kClosed,            ///< by close() or withdraw()
  kStopped,           ///< by stop()
  kTooLarge,          ///< above kMaxTransferBytes, or too many fragments in a slice
  kTooManyTransfers,  ///< above max_transfers
  kInvalid,           ///< an argument that makes no sense
};
[[nodiscard]] std::string_view to_string(TransferStatus status);

enum class TransferId : std::uint64_t {};

/// What a completion says.
struct TransferResult {
  TransferId id{};
  TransferStatus status = TransferStatus::kOk;
  int error_number = 0;     ///< an errno where one explains the status, else 0
  std::uint64_t bytes = 0;  ///< that arrived in order from the start; all of them if kOk
  Nid peer;
  void* context = nullptr;  ///< as given with the transfer
};

/// Where a completion goes: to a function, called from process(), or, without one, into the queue
/// that Engine::poll() reads. A reference to two words: nothing is allocated for it.
struct WhenDone {
  void (*function)(void* context, const TransferResult& result) = nullptr;
  void* context = nullptr;
};

/// Why a connection ended.
enum class CloseReason : std::uint8_t {
  kNone,             ///< it lives
  kAsked,            ///< close() or stop() on this side
  kPeerClosed,       ///< the peer disconnected
  kProtocol,         ///< the peer broke the protocol; the detail names the field
  kStalePeer,        ///< the peer restarted
  kTransferTimeout,  ///< a transfer's deadline passed
  kSendFailed,       ///< a completion with an error; the detail has its status
  kReceiveFailed,    ///< as above
  kQueuePairFailed,  ///< an event of the adapter
  kDeviceRemoved,
  kAddressChanged,
  kPortDown,
  kAddressUnresolved,  ///< nobody answers for the address
  kRouteUnresolved,    ///< the fabric has no route
  kConnectFailed,      ///< the transport gave up
  kConnectTimeout,     ///< no reply in time
  kRejected,           ///< by the peer; the detail says why
  kNobodyListens,
  kLocalResources,  ///< no queue pair, region or buffer on this side
  kPostFailed,      ///< the adapter took no more work
};
[[nodiscard]] std::string_view to_string(CloseReason reason);

enum class EngineEventKind : std::uint8_t {
  kConnected,
  kConnectionClosed,  ///< reason and detail say why
  kRequestRefused,    ///< a peer's request; detail says why
  kDeviceUp,
  kDeviceDown,
  kFailedOver,
};

struct EngineEvent {
  EngineEventKind kind = EngineEventKind::kConnected;
  Nid peer;  ///< of a connection; else any()
  CloseReason reason = CloseReason::kNone;
  std::string_view detail;  ///< one line, for people; lives as long as the call
};

// ---- Exposed buffers ---------------------------------------------------------------------------

enum class ExposureId : std::uint64_t {};

/// What happened to an exposed buffer.
struct ExposureEvent {
  enum class Kind : std::uint8_t {
    kPut,        ///< a peer's bytes are in the buffer, and stay as they are
    kGet,        ///< a peer has taken bytes
    kFailed,     ///< a PUT or GET ended with an error: what is in the range is undefined
    kWithdrawn,  ///< the last: no peer can reach the buffer any more
  };
  Kind kind = Kind::kPut;
  ExposureId id{};
  Nid peer;
  std::uint64_t offset = 0;  ///< in the buffer, bytes
  std::uint64_t bytes = 0;
  std::uint64_t header_data = 0;  ///< of a PUT: the sender's 64 bits
  TransferStatus status = TransferStatus::kOk;
  void* context = nullptr;
};

struct ExposeOptions {
  std::uint32_t portal = 0;  ///< 0 is LNet's own: not to be exposed
  std::uint64_t match_bits = 0;
  bool puts = true;         ///< peers may put
  bool gets = true;         ///< peers may get
  bool truncates = true;    ///< a PUT that is too long: shorten it; else refuse it
  bool once = false;        ///< withdraw after the first PUT or GET
  std::optional<Nid> only;  ///< nobody but this peer
  void (*function)(void* context, const ExposureEvent& event) = nullptr;
  void* context = nullptr;
};

// ---- Transfers ---------------------------------------------------------------------------------

struct PutOptions {
  std::uint32_t portal = 0;
  std::uint64_t match_bits = 0;
  std::uint32_t offset = 0;       ///< in the peer's buffer, bytes
  std::uint64_t header_data = 0;  ///< 64 bits for the receiver's consumer
  /// Wait for LNet's ACK, which says how many bytes found room: then they are in the peer's buffer.
  /// Without it a PUT is complete when the peer's adapter has it all; the peer may still have to
  /// copy it to where it belongs, and a short one may find nothing that matches.
  bool acknowledged = false;
  Duration deadline{0};  ///< from now; 0: Settings::timeout, from the time it is on a connection
};

struct GetOptions {
  std::uint32_t portal = 0;
  std::uint64_t match_bits = 0;
  std::uint32_t offset = 0;  ///< in the peer's buffer, bytes
  Duration deadline{0};      ///< as of a PUT
};

/// What a peer answered to a ping.
struct PingReply {
  static constexpr std::size_t kMaxNids = 16;
  std::uint32_t features = 0;
  std::uint32_t announced = 0;  ///< entries that the peer has, may be more than kMaxNids
  std::uint32_t count = 0;      ///< filled in below, without the loopback
  Nid nids[kMaxNids];
  bool up[kMaxNids] = {};
  Duration round_trip{0};
};

struct WhenPinged {
  /// @param reply null unless result.status is kOk
  void (*function)(void* context, const TransferResult& result, const PingReply* reply) = nullptr;
  void* context = nullptr;
};

// ---- What can be seen --------------------------------------------------------------------------

enum class ConnectionState : std::uint8_t {
  kNew,
  kResolvingAddress,
  kResolvingRoute,
  kConnecting,  ///< the request is out
  kAccepting,   ///< the reply is out
  kEstablished,
  kDraining,  ///< the queue pair is in error, its work comes back
  kClosed,
};
[[nodiscard]] std::string_view to_string(ConnectionState state);

struct ConnectionInfo {
  std::uint64_t id = 0;
  ConnectionState state = ConnectionState::kNew;
  bool active = false;  ///< I connected
  std::uint8_t version = 2;
  std::uint16_t queue_depth = 0;
  std::uint16_t max_fragments = 0;
  std::uint16_t credits = 0;   ///< messages I may send
  std::uint16_t reserved = 0;  ///< exchanges I may open
  std::uint16_t owed = 0;      ///< credits to give back
  std::uint32_t posted = 0;    ///< sends not completed
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_written = 0;  ///< by RDMA
  Duration age{0};
  Duration idle{0};  ///< since the last send
  std::string device;
};

struct PeerInfo {
  Nid nid;
  std::uint64_t incarnation = 0;       ///< 0: not known yet
  std::uint32_t waiting = 0;           ///< transfers that wait for a connection
  std::uint32_t connect_failures = 0;  ///< in a row
  Duration next_attempt{0};            ///< from now; 0: none is waited for
  CloseReason last_reason = CloseReason::kNone;
  std::string last_detail;
  std::vector<ConnectionInfo> connections;
};

struct Statistics {
  std::uint64_t connects_started = 0;
  std::uint64_t connects_established = 0;
  std::uint64_t connects_failed = 0;
  std::uint64_t accepts_established = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t races_refused = 0;
  std::uint64_t connections_closed = 0;
  std::uint64_t protocol_errors = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t noops_sent = 0;
  std::uint64_t bytes_written = 0;  ///< by RDMA
  std::uint64_t immediate_bytes = 0;
  std::uint64_t messages_dropped = 0;  ///< LNet messages for nobody, or shorter than they say
  std::uint64_t transfers_completed = 0;
  std::uint64_t transfers_failed = 0;
  std::uint64_t transfers_timed_out = 0;
  std::uint64_t pings_answered = 0;
  std::uint64_t pushes_acknowledged = 0;
  std::uint64_t windows_bound = 0;
  std::uint64_t registrations = 0;  ///< for one transfer
  std::uint64_t bounced = 0;        ///< transfers that were copied
  std::uint64_t failovers = 0;
  std::uint64_t memory_bytes = 0;  ///< registered by the engine for itself, now
  std::uint32_t peers = 0;
  std::uint32_t connections = 0;
  std::uint32_t transfers = 0;  ///< not completed
};

// ---- The engine --------------------------------------------------------------------------------

class Engine {
 public:
  /// Finds the device of the NID's address, makes what is needed and listens.
  /// @param fabric and clock outlive the engine
  /// Errors: EINVAL for a setting, naming it; those of Fabric::listen(); ENOMEM.
  [[nodiscard]] static core::Result<std::unique_ptr<Engine>> start(const Settings& settings,
                                                                   Fabric& fabric,
                                                                   const core::Clock& clock);
  /// The same, with a fabric and a clock that go with the engine.
  [[nodiscard]] static core::Result<std::unique_ptr<Engine>> start(
      const Settings& settings, std::unique_ptr<Fabric> fabric,
      std::unique_ptr<const core::Clock> clock);
  /// As stop(), but what was not completed is not reported.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // -- Memory

  /// Registers memory, so that transfers from and to ranges of it copy nothing and register nothing
  /// in their course. Explicit: nothing watches malloc or munmap. The memory stays mapped until
  /// forget_memory() or the engine's end. Errors: those of the device; EEXIST if it overlaps.
  [[nodiscard]] core::Result<void> register_memory(std::span<std::byte> memory);
  /// Errors: ENOENT; EBUSY while a transfer uses it.
  [[nodiscard]] core::Result<void> forget_memory(const std::byte* start);

  /// Peers may put to and get from the buffer from now on. The array of fragments is copied; the
  /// memory belongs to the engine until the event kWithdrawn.
  /// Errors: EINVAL (portal 0, too large), EEXIST for the portal and match bits, ENOMEM.
  [[nodiscard]] core::Result<ExposureId> expose(std::span<const iovec> buffer,
                                                const ExposeOptions& options);
  /// No new PUT or GET; those under way finish, then the event kWithdrawn comes.
  /// @return false if there is no such buffer (any more)
  bool withdraw(ExposureId id);

  // -- Transfers. The array of fragments and the memory stay as they are until the completion.
  // A transfer above kMaxSliceBytes travels as several messages at growing offsets, up to
  // Settings::pipeline of them at once. An error is returned at once and no completion follows.

  [[nodiscard]] tl::expected<TransferId, TransferStatus> put(Nid peer,
                                                             std::span<const iovec> source,
                                                             const PutOptions& options,
                                                             WhenDone done = {});
  [[nodiscard]] tl::expected<TransferId, TransferStatus> get(Nid peer, std::span<const iovec> sink,
                                                             const GetOptions& options,
                                                             WhenDone done = {});
  /// LNet's ping (section 3.1). @param deadline 0: Settings::timeout
  [[nodiscard]] tl::expected<TransferId, TransferStatus> ping(Nid peer, WhenPinged done,
                                                              Duration deadline = Duration{0});

  /// Closes every connection of a peer and fails what waits for it with kClosed.
  /// @return false if the peer is not known
  bool close(Nid peer);

  /// Stops listening, closes all connections and completes every transfer with kStopped. Blocks for
  /// at most the adapter's flush; afterwards only the destructor and what can be seen are of use.
  void stop();

  // -- The loop

  /// Does what there is to do and returns. @return whether anything happened
  bool process();
  /// When process() wants to run even if fd() stays silent, by the clock; nothing: never.
  [[nodiscard]] std::optional<Duration> next_deadline() const;
  /// Completions are expected so soon that process() should run again without sleeping.
  [[nodiscard]] bool wants_polling() const;
  /// How long to wait for fd() now, in milliseconds, as poll(2) wants it: 0 is not at all, -1 for
  /// ever.
  [[nodiscard]] int poll_timeout() const;
  /// Readable when process() has something to do; -1 on a simulated fabric.
  [[nodiscard]] int fd() const;
  /// Takes completions of transfers that were started without a function. @return how many
  [[nodiscard]] std::size_t poll(std::span<TransferResult> results);

  // -- What can be seen

  [[nodiscard]] const Settings& settings() const;
  [[nodiscard]] const Statistics& statistics() const;
  [[nodiscard]] std::vector<PeerInfo> peers() const;
  /// The device that the address is on; empty while there is none.
  [[nodiscard]] std::string device_name() const;

  class Impl;

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// An engine on the RDMA devices of the running kernel, by its monotonic clock. Link with
/// rdmaboot-engine-verbs. A process that runs several engines should have one fabric for each
/// device, see open_verbs_fabric().
/// @param settings an incarnation of 0 becomes incarnation_now()
/// Errors: those of Engine::start(); ENOENT or ENODEV without /dev/infiniband/rdma_cm (module
/// rdma_ucm), EACCES, EMFILE.
[[nodiscard]] core::Result<std::unique_ptr<Engine>> start_on_verbs(Settings settings);

}  // namespace rdmaboot::engine
