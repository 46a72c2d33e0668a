// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What a simulation notes for whoever checks invariants.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/model.hpp"

namespace rdmaboot::sim {

/// An RDMA write that reached a host: landed, or was refused for its key, range or access.
struct WriteRecord {
  core::Microseconds time{};
  HostId host{};  ///< whose memory
  engine::EndpointId endpoint{};
  std::uint32_t remote_key = 0;
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint64_t region = 0;  ///< serial number of the region behind the key, 0 if refused
  bool landed = false;
};

/// What no correct engine makes happen.
enum class Fault : std::uint8_t {
  kSendQueueFull,      ///< posted more sends than the queue holds
  kReceiveQueueFull,   ///< posted more receives than the queue holds
  kCompletionOverrun,  ///< the completion queue was too small for what was posted
  kReceiverNotReady,   ///< a message came and no receive was posted
  kMessageTooLong,     ///< a message did not fit its receive buffer
  kDeadLocalKey,       ///< a request used memory that is not registered (any more)
  kBoundWindow,        ///< a region ended while a window was bound to it
  kWindowMisuse,       ///< a bind or an invalidation that the device refuses
  kRefusedWrite,       ///< a write with a dead or wrong key: of the host that wrote
  kOutlivedFabric,     ///< an object outlived its fabric
  kSpokeFirst,         ///< sent on a connection that it accepted, before it was spoken to (iWARP)
};
[[nodiscard]] std::string_view to_string(Fault fault);

struct FaultRecord {
  core::Microseconds time{};
  HostId host{};  ///< whose fault
  engine::EndpointId endpoint{};
  Fault fault{};
};

/// Objects of a host that exist now.
struct LiveObjects {
  std::uint32_t endpoints = 0;
  std::uint32_t queue_pairs = 0;
  std::uint32_t regions = 0;
  std::uint32_t windows = 0;
  bool operator==(const LiveObjects&) const = default;
};

/// The fullest a queue of a host ever was.
struct HighWater {
  std::uint32_t sends = 0;
  std::uint32_t receives = 0;
  std::uint32_t completions = 0;
};

/// Told what happens, while it happens. It must not call into the world.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Before the bytes are copied.
  virtual void on_write(const WriteRecord& write) = 0;
  virtual void on_fault(const FaultRecord& fault) = 0;
};

/// An observer that keeps everything.
class Recorder final : public Observer {
 public:
  void on_write(const WriteRecord& write) override { writes.push_back(write); }
  void on_fault(const FaultRecord& fault) override { faults.push_back(fault); }

  std::vector<WriteRecord> writes;
  std::vector<FaultRecord> faults;
};

}  // namespace rdmaboot::sim
