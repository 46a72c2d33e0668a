// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The whole port mapper without a socket: messages, errors and time in; messages and port
// reservations out. The daemon puts sockets around it, tests and fuzzers drive it directly.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "core/clock.hpp"
#include "iwpm/mapping_table.hpp"
#include "iwpm/netlink_codec.hpp"
#include "iwpm/rate_limit.hpp"
#include "iwpm/request_table.hpp"
#include "iwpm/settings.hpp"
#include "iwpm/wire_codec.hpp"

namespace rdmaboot::iwpm {

/// The two UDP sockets of a family.
enum class Via : std::uint8_t {
  kAsking,     ///< an ephemeral port: our requests, their answers
  kAnswering,  ///< port 3935: requests of peers
};

/// A port that nobody else on this host gets.
struct ReservedPort {
  std::uint16_t number = 0;
  int token = kNoReservation;  ///< for release_port()
};

/// What the session needs from the world.
class Outside {
 public:
  virtual ~Outside() = default;
  virtual void to_kernel(const NetlinkBytes& message) = 0;
  /// Sends one datagram. kAnswering is used only while a datagram from the same peer is handled,
  /// and answers from the address that one was sent to. Returns 0 or an errno value.
  virtual int to_peer(Via via, const Address& peer, const WireBytes& datagram) = 0;
  /// Reserves a TCP port of the family: `wanted`, or any if that is 0. The error is an errno value.
  virtual tl::expected<ReservedPort, int> reserve_port(Family family, std::uint16_t wanted) = 0;
  virtual void release_port(int token) = 0;
  /// The table has changed: `local` is now mapped like this; null: not any more. For a process
  /// that has to go on from here.
  virtual void record(const Address& local, const Mapping* mapping) = 0;
  virtual std::uint64_t random() = 0;
  /// Something that an admin should know; rare.
  virtual void tell(const std::string& text) = 0;
};

/// What the kernel said to our greeting.
enum class Kernel : std::uint8_t {
  kUnasked,  ///< nobody could be greeted
  kAsked,    ///< no answer yet
  kListed,   ///< it answered, and its list of mappings is being read
  kServed,   ///< we serve it
  kAbsent,   ///< no iWARP connection manager there; a new device is a reason to ask again
};

/// A mapping that an earlier process of ours had.
struct SavedMapping {
  Address local;
  Address mapped;
  std::uint32_t references = 1;
  std::uint8_t client = kClientIwcm;
  bool reserved = false;  ///< its port was ours
};

/// What has happened since the start.
struct Counters {
  std::uint64_t adds = 0;
  std::uint64_t removes = 0;
  std::uint64_t queries = 0;             ///< of the kernel
  std::uint64_t answered = 0;            ///< of these, with an accept of the peer
  std::uint64_t rejected = 0;            ///< of these, with a reject of the peer
  std::uint64_t without_mapper = 0;      ///< of these, because the peer has no port mapper
  std::uint64_t timed_out = 0;           ///< of these, because the peer said nothing
  std::uint64_t from_cache = 0;          ///< of these, because the peer is known not to answer
  std::uint64_t requests_accepted = 0;   ///< of peers
  std::uint64_t requests_rejected = 0;   ///< of peers
  std::uint64_t datagrams_limited = 0;   ///< dropped by the rate limit
  std::uint64_t datagrams_refused = 0;   ///< of networks that are not allowed
  std::uint64_t datagrams_ignored = 0;   ///< malformed or unsolicited
  std::uint64_t messages_malformed = 0;  ///< of the kernel
  std::uint64_t overruns = 0;            ///< of the netlink socket
};

/// A mapping younger than this may not be in the kernel's list yet: the kernel waits at most 10 s
/// for our answer before it lists the mapping.
inline constexpr core::Microseconds kListGrace{15'000'000};
/// The kernel's list is asked for at most this often.
inline constexpr core::Microseconds kListInterval{1'000'000};

/// Not thread-safe. Never throws but for memory.
class Session {
 public:
  /// `clock` and `outside` outlive the session.
  /// @param port_id our netlink address
  Session(Settings settings, const core::Clock& clock, Outside& outside, std::uint32_t port_id);

  /// Takes over what an earlier process had; to be called before greet(). The kernel's list decides
  /// what of it is still in use, as far as it goes: Linux lists some 230 mappings (20 buffers, each
  /// time from its first on) and then stops with an error. The rest is kept as doubtful.
  void recall(const std::vector<SavedMapping>& saved);
  /// Greets the kernel. Its answer leads to the list of all mappings it still uses.
  void greet();
  /// Greets the kernel from another netlink address.
  void greet_from(std::uint32_t port_id);
  /// One datagram of the kernel (nobody else's).
  void from_kernel(std::span<const std::byte> datagram);
  /// Messages of the kernel were lost: asks for its list.
  void kernel_overrun();
  /// An RDMA device has come: greets a kernel that had nobody to serve.
  void device_added();
  /// An RDMA device has gone, and mappings with it: asks for the list of those that are left.
  void device_removed();
  void from_peer(Via via, const Address& peer, std::span<const std::byte> datagram);
  /// An ICMP error for a datagram that kAsking sent to `peer`; `sent` is what came back of it.
  void unreachable(const Address& peer, std::span<const std::byte> sent);
  /// To be called when next_deadline() has come. Early or late calls do no harm.
  void deadline();
  [[nodiscard]] std::optional<core::Microseconds> next_deadline() const;
  /// New settings; mappings and exchanges stay.
  void apply(Settings settings);

  [[nodiscard]] Kernel kernel() const { return kernel_; }
  /// The version of the kernel's interface, once it is kListed or kServed.
  [[nodiscard]] std::uint16_t version() const { return version_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const MappingTable& mappings() const { return mappings_; }
  [[nodiscard]] const QueryTable& queries() const { return queries_; }
  [[nodiscard]] const AcceptedTable& accepted() const { return accepted_; }
  [[nodiscard]] const SilentPeers& silent_peers() const { return silent_; }

 private:
  Outgoing outgoing(std::uint8_t client) { return {client, sequence_++, port_id_}; }
  void send_error(std::uint8_t client, std::uint32_t echoed, ErrorCode code);

  void handle(const KernelMessage& message, const Malformed& body);
  void handle(const KernelMessage& message, const RegisterPid& body);
  void handle(const KernelMessage& message, const AddMapping& body);
  void handle(const KernelMessage& message, const QueryMapping& body);
  void handle(const KernelMessage& message, const RemoveMapping& body);
  void handle(const KernelMessage& message, const MapInfo& body);
  void handle(const KernelMessage& message, const MapInfoCount& body);
  void handle(const KernelMessage& message, const Hello& body);
  void handle(const KernelMessage& message, const Finished& body);

  void ask_for_list();
  void list_ended(std::uint8_t client, const Finished& how);
  void add_listed(const Address& local, Mapping mapping, bool reserve);
  void add_reference(const Address& local, Mapping& mapping);
  /// Frees the port of a mapping that is not in the table any more.
  void ended(const Address& local, const Mapping& mapping);
  /// A mapping for `local`, made now. The error code says why there is none.
  tl::expected<Mapping, ErrorCode> make_mapping(std::uint8_t client, const Address& local,
                                                std::uint32_t flags);

  std::uint64_t new_handle();
  core::Microseconds retry_time();
  int send_request(const Query& query);
  void probe(const Connection& connection);
  void answer_unmapped(const Query& query);
  void give_up(Query query, core::Microseconds cache);
  void query_due(Query query);

  void request(const Address& peer, const WireMessage& message);
  void acknowledged(const Address& peer, const WireMessage& message);
  void accept(const Address& peer, const WireMessage& message);
  void reject(const Address& peer, const WireMessage& message);

  Settings settings_;
  const core::Clock* clock_;
  Outside* outside_;
  std::uint32_t port_id_;
  std::uint32_t sequence_ = 0;
  std::uint16_t version_ = kAbiVersion;
  Kernel kernel_ = Kernel::kUnasked;
  std::uint32_t hello_sequence_ = 0;

  /// A list of the kernel that is on its way.
  struct PendingList {
    std::uint8_t client = 0;
    std::uint32_t sequence = 0;  ///< of our request; the trailer of the answer carries it
  };
  std::vector<PendingList> pending_lists_;
  bool any_list_ = false;                   ///< a client of the kernel has answered with a list
  std::uint32_t listed_ = 0;                ///< mappings of the list that came
  std::optional<std::uint32_t> announced_;  ///< how many the kernel says it has sent
  core::Microseconds list_asked_{0};
  std::optional<core::Microseconds> list_again_;
  bool list_follows_up_ = false;  ///< the next list looks only after mappings that were too young

  MappingTable mappings_;
  QueryTable queries_;
  AcceptedTable accepted_;
  SilentPeers silent_;
  RateLimit limit_;
  Counters counters_;
};

}  // namespace rdmaboot::iwpm
