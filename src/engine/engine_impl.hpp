// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The engine from inside, one class in the order of a connection's life: peers, connecting,
// accepting, closing, sending, receiving, transfers, serving, time. Each part is a file of its own,
// engine_*.cpp. What it decides is decided in pure files; here it is carried out.

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/clock.hpp"
#include "engine/admission.hpp"
#include "engine/connection_state.hpp"
#include "engine/deadlines.hpp"
#include "engine/fabric.hpp"
#include "engine/memory.hpp"
#include "engine/peer.hpp"
#include "engine/slab.hpp"
#include "engine/transfer.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

/// Completions taken from a queue at once.
inline constexpr std::size_t kPollBatch = 16;
/// Messages posted with one doorbell, at most.
inline constexpr std::size_t kMessagesOfChain = 16;
/// While so many bytes of writes of a connection are posted and not completed, further ones wait,
/// so that a new request is behind two long messages at most and its answer is here before they
/// end: the send queue works in order. Twice the longest message, so that the adapter always has
/// one.
inline constexpr std::uint64_t kMostWriteBytesPosted = 2U << 20;
/// A chain with so many bytes of writes gets no more of them: its completion makes room for others.
inline constexpr std::uint64_t kWriteBytesOfChain = 256U << 10;
/// What a peer may have asked for on one connection and not been given yet: twice what the highest
/// `peer_credits` of a kernel (255) lets it have under way. A peer that keeps the credits of the
/// answers back, and goes on asking, would have them pile up here.
inline constexpr unsigned kMostAsked = 512;
/// Batches of one connection before the next one has its turn.
inline constexpr unsigned kBatchesOfTurn = 8;
/// Events of the fabric taken in one round of process().
inline constexpr unsigned kEventsOfRound = 1024;
/// Refusals that say how to go on are followed at once so often in a row, then with back-off.
inline constexpr unsigned kQuickRetries = 10;
/// A peer that is admitted again answers a ping within this time, or is connected anew.
inline constexpr Duration kProbeTimeout = std::chrono::seconds(5);
/// A moved address is followed at most so often (section 13).
inline constexpr Duration kFailoverPause = std::chrono::seconds(3);

/// What a timer is for.
enum class TimerKind : std::uint8_t { kConnection, kPeer, kTransfer, kExchange, kAge, kDevice };

/// What a user's function is called with, once nothing of the engine is half done.
struct TransferDelivery {
  WhenDone done;
  TransferResult result;
};
struct PingDelivery {
  WhenPinged pinged;
  TransferResult result;
  PingReply reply;
};
struct ExposureDelivery {
  void (*function)(void* context, const ExposureEvent& event) = nullptr;
  ExposureEvent event;
};
struct EventDelivery {
  EngineEvent event;
  std::string detail;
};
using Delivery = std::variant<TransferDelivery, PingDelivery, ExposureDelivery, EventDelivery>;

class Engine::Impl {
 public:
  Impl(const Settings& settings, Fabric& fabric, const core::Clock& clock);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void own(std::unique_ptr<Fabric> fabric, std::unique_ptr<const core::Clock> clock) {
    own_fabric_ = std::move(fabric);
    own_clock_ = std::move(clock);
  }
  [[nodiscard]] core::Result<void> start();
  void stop();
  bool process();
  [[nodiscard]] std::optional<Duration> next_deadline() const;
  [[nodiscard]] bool wants_polling() const;
  [[nodiscard]] int poll_timeout() const;
  [[nodiscard]] std::size_t take_results(std::span<TransferResult> results);

  [[nodiscard]] core::Result<void> register_memory(std::span<std::byte> memory);
  [[nodiscard]] core::Result<void> forget_memory(const std::byte* start);
  [[nodiscard]] core::Result<ExposureId> expose(std::span<const iovec> buffer,
                                                const ExposeOptions& options);
  bool withdraw(ExposureId id);

  [[nodiscard]] tl::expected<TransferId, TransferStatus> put(Nid nid, std::span<const iovec> source,
                                                             const PutOptions& options,
                                                             WhenDone done);
  [[nodiscard]] tl::expected<TransferId, TransferStatus> get(Nid nid, std::span<const iovec> sink,
                                                             const GetOptions& options,
                                                             WhenDone done);
  [[nodiscard]] tl::expected<TransferId, TransferStatus> ping(Nid nid, WhenPinged done,
                                                              Duration deadline);
  bool close(Nid nid);

  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const Statistics& statistics() const;
  [[nodiscard]] std::vector<PeerInfo> peers() const;
  [[nodiscard]] std::string device_name() const;
  [[nodiscard]] int fd() const { return fabric_.fd(); }

 private:
  // -- Peers (engine_peers.cpp)
  [[nodiscard]] Peer* find_peer(Nid nid);
  [[nodiscard]] Peer* make_peer(Nid nid);
  void forget_idle_peer();
  /// Starts to connect if something waits, nothing is under way and the back-off is over.
  void want_connection(Peer& peer);
  /// Moves what waits to connections that have room.
  void pump(Peer& peer);
  [[nodiscard]] Connection* pick(Peer& peer);
  void attempt_failed(Peer& peer, AfterRefusal after, CloseReason reason);
  void fail_waiting(Peer& peer, TransferStatus status);
  void start_probe(Peer& peer);
  void probe_ended(Peer& peer, bool answered);

  // -- Connecting (engine_connect.cpp)
  void connect(Peer& peer);
  void resolve_route(Connection& c);
  void request_connection(Connection& c);
  void judge_reply(Connection& c, const PrivateData& reply);
  void opened(Connection& c);
  [[nodiscard]] core::Result<void> make_queue_pair(Connection& c);
  [[nodiscard]] core::Result<void> post_all_receives(Connection& c);
  [[nodiscard]] PrivateData connect_message(const Connection& c, const wire::Body& body) const;
  Connection& add_connection(Peer& peer, std::unique_ptr<Endpoint> endpoint, bool active);

  // -- Accepting (engine_accept.cpp)
  void requested(ConnectRequested request);
  void refuse(Endpoint& endpoint, const wire::Reject& reject, Nid who, const std::string& detail);
  /// @return true: the requester restarted since; old connections are being closed
  bool close_stale(Peer& peer, std::uint64_t incarnation);

  // -- Events and ends (engine_events.cpp)
  void handle(EndpointEvent& event);
  void apply(Connection& c, ConnectionEvent event, CloseReason reason = CloseReason::kNone,
             std::string detail = {}, const EndpointEvent* cause = nullptr);
  void fail(Connection& c, CloseReason reason, std::string detail);
  void protocol_error(Connection& c, const wire::DecodeError& error);
  void tear_down(Connection& c);
  void note_closed(Connection& c);
  void drain_if_done(Connection& c);
  void bury(Connection& c);
  bool bury_all();
  void handle(const DeviceEvent& event);
  void lose_device(CloseReason reason);
  [[nodiscard]] core::Result<void> find_device();
  void sweep_device();

  // -- Sending (engine_send.cpp)
  /// @param payload of an Immediate @return null if there is no buffer
  [[nodiscard]] Outgoing* make_message(Connection& c, Exchange* x, wire::Body body,
                                       const Slice* payload = nullptr);
  void queue(Connection& c, Outgoing& message);
  void want_send(Connection& c);
  void send_all();
  void send_from(Connection& c);
  using Queue = List<Outgoing, &Outgoing::queue>;
  /// @param pays set if the message costs a credit
  [[nodiscard]] Queue* next_to_send(Connection& c, bool& pays);
  [[nodiscard]] bool fits(const Connection& c, const Outgoing& message) const;
  void append(Connection& c, Outgoing& message, Queue& from);
  [[nodiscard]] std::size_t build(Connection& c, const Outgoing& message,
                                  std::span<SendRequest> out);
  /// @return false: it failed, and with it the connection
  bool post_chain(Connection& c);
  void send_completed(Connection& c, const Completion& completion);
  void retire(Connection& c, Outgoing& message);
  void discard(Connection& c, Outgoing& message);
  void queue_invalidate(Connection& c, Exchange& x);
  /// Queues a completion message, with the writes before it. False if the writes cannot be.
  [[nodiscard]] bool queue_writes(Connection& c, Exchange& x, const wire::Descriptor& sink,
                                  std::uint64_t bytes, wire::Body done);
  [[nodiscard]] wire::Header header_for(const Connection& c) const;

  // -- Receiving (engine_receive.cpp)
  void want_poll(Connection& c);
  bool poll(Connection& c);
  [[nodiscard]] unsigned poll_batch(Connection& c);
  void replay_early(Connection& c);
  struct Taken {
    wire::Type type = wire::Type::kNoop;
    std::uint32_t index = 0;
    bool put_acknowledged = false;
  };
  void take(Connection& c, std::uint32_t index, std::uint32_t bytes);
  void repost(Connection& c);
  [[nodiscard]] wire::Decoded<bool> receive(Connection& c, std::span<const std::byte> bytes,
                                            wire::Type& type);
  [[nodiscard]] wire::Decoded<void> check_identity(const Connection& c,
                                                   const wire::Header& header) const;
  /// @return false: for somebody else; drop it
  [[nodiscard]] wire::Decoded<bool> check_lnet(const Connection& c,
                                               const wire::LnetHeader& lnet) const;
  [[nodiscard]] wire::Decoded<Exchange*> answered(const Connection& c, wire::Cookie cookie,
                                                  ExchangeRole role);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::Immediate& message);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::PutRequest& message);
  [[nodiscard]] bool queue_put_ack(Connection& c, Exchange& x, wire::Cookie source);
  [[nodiscard]] wire::Decoded<bool> on_long_reply(Connection& c, const wire::PutRequest& message,
                                                  const wire::LnetReply& reply);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::PutNak& message);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::PutAck& message);
  /// What a PUT_DONE and a GET_DONE have in common: the exchange in `role` that it answers ends, as
  /// `refused` if the peer reports an error.
  [[nodiscard]] wire::Decoded<bool> finish(Connection& c, const wire::Completion& message,
                                           ExchangeRole role, TransferStatus refused);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::PutDone& message);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::GetRequest& message);
  [[nodiscard]] wire::Decoded<bool> on(Connection& c, const wire::GetDone& message);

  // -- Transfers of mine (engine_transfer.cpp)
  [[nodiscard]] tl::expected<TransferId, TransferStatus> begin(Nid nid, Transfer& transfer,
                                                               Duration deadline);
  [[nodiscard]] tl::expected<Transfer*, TransferStatus> new_transfer(
      Nid nid, std::span<const iovec> fragments);
  enum class Issued : std::uint8_t { kYes, kNotNow, kFailed };
  [[nodiscard]] Issued issue(Connection& c, Transfer& t);
  /// @param transfer of this side that it belongs to; null: the peer asked for it
  [[nodiscard]] Exchange* make_exchange(Connection& c, ExchangeRole role,
                                        Transfer* transfer = nullptr);
  [[nodiscard]] Outgoing* first_message(Connection& c, Transfer& t, Exchange& x);
  void end(Exchange& x, TransferStatus status, std::uint64_t bytes, int error_number = 0);
  /// Finishes it once nothing of it is posted and its key is dead.
  void settle(Exchange& x);
  void finish(Exchange& x);
  void slice_ended(Transfer& t, const Exchange& x);
  void complete(Transfer& t);
  void fail_transfer(Transfer& t, TransferStatus status, int error_number = 0);
  void restart_wait_timer(Transfer& t);

  // -- Serving peers (engine_serve.cpp)
  [[nodiscard]] Exposure* match(Nid peer, std::uint32_t portal, std::uint64_t match_bits,
                                bool is_put);
  void on_put(Connection& c, const wire::LnetHeader& lnet, const wire::LnetPut& put,
              std::span<const std::byte> payload);
  void on_get(Connection& c, const wire::LnetHeader& lnet, const wire::LnetGet& get);
  void on_reply(Connection& c, const wire::LnetReply& reply, std::span<const std::byte> payload);
  void on_ack(Connection& c, const wire::LnetAck& ack);
  void answer_now(Connection& c, const wire::Body& body);
  void reply_now(Connection& c, const wire::Handle& to, const Slice& payload);
  void reply_by_rdma(Connection& c, Exposure& exposure, const wire::LnetGet& get,
                     const Slice& source);
  void acknowledge(Connection& c, const wire::Handle& to, std::uint64_t match_bits,
                   std::uint32_t length);
  [[nodiscard]] std::size_t ping_answer(std::span<std::byte> out) const;
  void used(Exposure& exposure, const Exchange& x);
  void tell(const Exposure& exposure, ExposureEvent::Kind kind, Nid peer, std::uint64_t offset,
            std::uint64_t bytes, std::uint64_t header_data, TransferStatus status);
  void withdraw_if_unused(Exposure& exposure);
  [[nodiscard]] wire::Handle handle_of(const Exchange& x) const;
  [[nodiscard]] Exchange* find_by_handle(const Connection& c, const wire::Handle& handle);

  // -- Time and reports (engine.cpp, engine_time.cpp)
  void arrange(Timer& timer, TimerKind kind, void* owner, Duration due);
  bool run_timers();
  void expired(Connection& c);
  void expired(Peer& peer);
  void expired(Transfer& t);
  void expired(Exchange& x);
  void enter() { now_ = clock_.now(); }
  void leave();
  bool deliver();
  void tell(EngineEventKind kind, Nid peer, CloseReason reason, std::string detail);

  // If they are the engine's own, they go after everything that is made from them.
  std::unique_ptr<const core::Clock> own_clock_;
  std::unique_ptr<Fabric> own_fabric_;
  Settings settings_;
  Fabric& fabric_;
  const core::Clock& clock_;
  Jitter jitter_;
  Duration now_{0};
  mutable Statistics statistics_;  ///< its gauges are filled in when asked for
  MemoryBudget budget_;

  std::shared_ptr<DeviceMemory> memory_;  ///< of the device that has the address; null: none has
  std::string last_device_;
  bool port_up_ = true;
  unsigned device_failures_ = 0;
  Duration last_failover_ = Duration::min();
  Timer device_timer_;
  Timer age_timer_;
  std::vector<std::span<std::byte>> user_memory_;

  Deadlines deadlines_;
  Slab<Transfer> transfers_;
  Slab<Exchange> exchanges_;
  Slab<Outgoing> outgoing_;
  Slab<Exposure> exposures_;
  struct MatchHash {
    std::size_t operator()(const std::pair<std::uint32_t, std::uint64_t>& key) const {
      return std::hash<std::uint64_t>{}(key.second ^ (std::uint64_t{key.first} << 32));
    }
  };
  std::unordered_map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t, MatchHash> matches_;

  std::unordered_map<std::uint64_t, std::unique_ptr<Peer>> peers_;
  std::unordered_map<std::uint64_t, Connection*> by_endpoint_;
  List<Connection, &Connection::poll_link> to_poll_;
  List<Connection, &Connection::send_link> to_send_;
  std::vector<Connection*> dead_;
  std::uint64_t next_connection_ = 1;
  std::uint16_t last_source_port_ = 0;  ///< tried first by the last attempt to connect
  std::uint32_t connections_ = 0;
  std::uint32_t half_open_ = 0;
  bool stopping_ = false;
  bool more_events_ = false;

  std::vector<Taken> taken_;  ///< receives of the batch, to be posted again
  std::vector<ReceiveRequest> receive_chain_;
  std::vector<SendRequest> chain_;  ///< of one connection, while send_from() runs; else scratch
  std::size_t chain_used_ = 0;
  std::uint64_t write_bytes_of_chain_ = 0;
  std::vector<Outgoing*> batch_;  ///< the messages in the chain
  std::vector<Segment> pieces_;
  std::vector<Delivery> deliveries_;
  std::vector<Delivery> delivering_;
  Ring<TransferResult> results_;            ///< for poll()
  std::array<std::byte, 64> ping_bytes_{};  ///< source of a ping's answer by RDMA
  iovec ping_range_{};
};

}  // namespace rdmaboot::engine
