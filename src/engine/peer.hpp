// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What is known of a peer, and one connection to it. Plain data; the engine moves it along by the
// table of connection_state.hpp and the ledger of credits.hpp.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/admission.hpp"
#include "engine/credits.hpp"
#include "engine/deadlines.hpp"
#include "engine/fabric.hpp"
#include "engine/memory.hpp"
#include "engine/slab.hpp"
#include "engine/transfer.hpp"
#include "rdmaboot/engine/engine.hpp"

namespace rdmaboot::engine {

struct Connection {
  std::uint64_t id = 0;
  ConnectionState state = ConnectionState::kNew;
  bool active = false;
  Peer* peer = nullptr;
  std::shared_ptr<DeviceMemory> memory;  ///< after the endpoint's end only
  std::unique_ptr<Endpoint> endpoint;
  Attempt attempt;          ///< what was asked for; of a passive one, what was agreed on
  bool on_the_way = false;  ///< counted as half open
  AfterRefusal after_refusal = AfterRefusal::kGiveUp;

  // Once there is a queue pair
  std::optional<CreditLedger> ledger;
  QueueLimits limits;
  std::uint32_t inline_bytes = 0;
  std::vector<MessageBuffer> receives;  ///< allocated for the depth asked for, whatever is agreed
  std::uint32_t receives_posted = 0;
  std::uint32_t requests_posted = 0;  ///< in the send queue
  struct Early {
    std::uint32_t index = 0;
    std::uint32_t bytes = 0;
  };
  std::vector<Early> early;  ///< received before the connection stood
  bool armed = false;
  bool polled = false;  ///< in the engine's list of those to be polled
  Duration hot_until{0};

  // Messages: requests that wait for an exchange, those that pay, answers, of these the ones with
  // data to write before them; then the posted ones
  List<Outgoing, &Outgoing::queue> requests;
  List<Outgoing, &Outgoing::queue> paying;
  List<Outgoing, &Outgoing::queue> answers;
  List<Outgoing, &Outgoing::queue> writing;
  List<Outgoing, &Outgoing::queue> posted;
  List<Exchange, &Exchange::on_connection> exchanges;
  unsigned asked = 0;                    ///< of them those that the peer asked for
  bool to_be_sent = false;               ///< in the engine's list of those with something to post
  std::uint64_t write_bytes_posted = 0;  ///< in the send queue
  Link<Connection> send_link;
  Link<Connection> poll_link;

  Timer timer;  ///< of the stage; established: the keepalive; draining: the bound
  Duration created{0};
  Duration last_sent{0};
  CloseReason reason = CloseReason::kNone;
  std::string detail;
  bool first_look = false;  ///< iWARP: the timer is for the first message
  bool nudge = false;       ///< another message is owed, to make the peer's device look
  bool after_data = false;  ///< data came while accepting: the manager was told
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_written = 0;

  [[nodiscard]] bool established() const { return state == ConnectionState::kEstablished; }
  [[nodiscard]] bool requester_speaks_first() const {
    return memory->device().limits().requester_speaks_first;
  }
  /// Over iWARP, of a passive one: nothing may be sent yet.
  [[nodiscard]] bool waits_for_first_message() const {
    return !active && messages_received == 0 && requester_speaks_first();
  }
  /// Over iWARP, of an active one: the peer waits for a message, whatever it is.
  [[nodiscard]] bool owes_message() const {
    return active && (messages_sent == 0 || nudge) && requester_speaks_first();
  }
  /// Another slice would not only wait in a queue here.
  [[nodiscard]] bool has_room() const {
    return established() && requests.size() + paying.size() < ledger->depth();
  }
};

struct Peer {
  Nid nid;
  Attempt wish;  ///< what the next attempt asks for, with what was learned
  std::vector<std::unique_ptr<Connection>> connections;
  std::size_t round_robin = 0;
  List<Transfer, &Transfer::waiting> waiting;
  std::uint32_t transfers = 0;  ///< that refer to it
  unsigned failures = 0;        ///< in a row
  unsigned quick_retries = 0;   ///< after refusals that say how to go on
  unsigned race_refusals = 0;
  Timer timer;  ///< the next attempt
  /// Something failed on this side's device, or on the way: a ping comes before what waits.
  bool on_probation = false;
  std::uint64_t probe = 0;  ///< handle of the transfer
  CloseReason last_reason = CloseReason::kNone;
  std::string last_detail;

  [[nodiscard]] std::size_t count(ConnectionState state) const {
    std::size_t count = 0;
    for (const auto& connection : connections) {
      count += connection->state == state ? 1U : 0U;
    }
    return count;
  }
  /// Attempts of mine under way.
  [[nodiscard]] std::size_t connecting() const {
    std::size_t count = 0;
    for (const auto& connection : connections) {
      count += connection->active && connection->state < ConnectionState::kEstablished ? 1U : 0U;
    }
    return count;
  }
};

}  // namespace rdmaboot::engine
