// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What the kernel says about RDMA devices over NETLINK_RDMA (the "nldev" client, the interface
// behind iproute2's rdma tool). Two halves: decoders, which are pure functions over bytes, and a
// socket with a deadline. Source of every message and attribute: <rdma/rdma_netlink.h>.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "rdmaboot/result.hpp"

namespace rdmaboot::os {

/// Who gave a device its name (RDMA_NLDEV_ATTR_NAME_ASSIGN_TYPE, kernels from 6.11).
enum class NameAssignType : std::uint8_t {
  kUnknown = 0,  ///< the driver's own name, or a kernel that does not say
  kUser = 1,     ///< a user chose it when the device was made: it must not be renamed
};

/// One device as RDMA_NLDEV_CMD_GET describes it. Strings are as the kernel sent them: kernels let
/// a name contain '/' and '%', so check before a path is made of it and core::printable() before
/// it is shown.
struct NetlinkDevice {
  std::uint32_t index = 0;                  ///< stays the same when the device is renamed
  std::string name;                         ///< never empty
  std::optional<std::uint32_t> last_port;   ///< highest port number
  std::string firmware;                     ///< empty where a driver has none
  std::uint64_t node_guid = 0;              ///< host byte order; 0 if not told
  std::uint64_t sys_image_guid = 0;         ///< host byte order; 0 if not told
  std::optional<std::uint8_t> node_type;    ///< enum rdma_node_type of the kernel, as in sysfs
  std::string protocol;                     ///< "ib" "roce" "iw" "opa" "usnic" of the first
                                            ///< port, or empty: none of them (efa)
  std::optional<bool> adaptive_moderation;  ///< "dim": completion moderation adapts itself
  NameAssignType name_assign_type = NameAssignType::kUnknown;
};

/// One port as RDMA_NLDEV_CMD_PORT_GET describes it.
struct NetlinkPort {
  std::uint32_t device_index = 0;
  std::uint32_t port = 0;                      ///< counted from 1, as in sysfs
  std::optional<std::uint8_t> state;           ///< enum ib_port_state: 1 down ... 4 active
  std::optional<std::uint8_t> physical_state;  ///< IBTA PortPhysicalState: 5 is LinkUp
  std::optional<std::uint32_t> lid;            ///< InfiniBand and OPA only, like the next four
  std::optional<std::uint32_t> sm_lid;
  std::optional<std::uint8_t> lmc;
  std::optional<std::uint64_t> subnet_prefix;     ///< host byte order
  std::optional<std::uint64_t> capability_flags;  ///< low 32 bits CapabilityMask, next 16 Mask2
  std::optional<std::uint32_t> netdev_index;      ///< only if it is in the caller's namespace
  std::string netdev_name;
};

/// Longest text attribute that is taken (bytes); the kernel's own limit for names is 64.
inline constexpr std::size_t kNetlinkTextLimit = 256;
/// Longest name a device can get (bytes, without the end): IB_DEVICE_NAME_MAX of the kernel.
inline constexpr std::size_t kDeviceNameLimit = 63;
/// Most devices or ports taken from one dump; more is an error, not a cut.
inline constexpr std::size_t kNetlinkEntryLimit = 16384;
/// Largest datagram the kernel may send us (bytes). It fills dumps into buffers of at most 32 KiB.
inline constexpr std::size_t kNetlinkDatagramLimit = 32768;

/// What a request lets its answers look like.
struct NetlinkExpectation {
  std::uint16_t type = 0;      ///< nlmsg_type of the answers
  std::uint32_t sequence = 0;  ///< of the request; answers to others are passed over
  std::uint32_t port_id = 0;   ///< our own netlink address
  bool dump = false;           ///< a list that ends with NLMSG_DONE, not a single answer
};

/// The useful part of one datagram.
struct NetlinkAnswer {
  std::vector<std::span<const std::byte>> payloads;  ///< attributes of each message, in place
  bool complete = false;                             ///< nothing more will come
};

/// Splits a datagram into messages. Total: any bytes give an answer or an Error.
/// @param datagram aligned to 4 bytes (every buffer from the heap is)
/// Errors: the kernel's own errno from NLMSG_ERROR and NLMSG_DONE; EBADMSG if malformed; EINTR if
/// the list changed while it was dumped.
[[nodiscard]] core::Result<NetlinkAnswer> decode_netlink_datagram(
    std::span<const std::byte> datagram, const NetlinkExpectation& expectation);

/// Decodes the attributes of one RDMA_NLDEV_CMD_GET answer. Unknown attributes are passed over.
/// Total. Errors: EBADMSG for a wrong length, a text too long, or no index or name.
[[nodiscard]] core::Result<NetlinkDevice> decode_netlink_device(
    std::span<const std::byte> attributes);

/// Decodes the attributes of one RDMA_NLDEV_CMD_PORT_GET answer; as decode_netlink_device().
[[nodiscard]] core::Result<NetlinkPort> decode_netlink_port(std::span<const std::byte> attributes);

/// The seam under RdmaNetlink: a real socket, or a test that answers what it likes.
class NetlinkChannel {
 public:
  virtual ~NetlinkChannel() = default;
  /// The address that answers carry (nlmsg_pid).
  [[nodiscard]] virtual std::uint32_t port_id() const = 0;
  /// Sends one request. Errors: errno of sendto.
  [[nodiscard]] virtual core::Result<void> send(std::span<const std::byte> request) = 0;
  /// Waits at most `timeout` for one datagram of the kernel and returns its length, or 0 if what
  /// came was not one.
  /// Errors: ETIMEDOUT; EMSGSIZE if it did not fit into `buffer`; errno of poll or recvmsg.
  [[nodiscard]] virtual core::Result<std::size_t> receive(std::span<std::byte> buffer,
                                                          std::chrono::milliseconds timeout) = 0;
};

/// Opens a NETLINK_RDMA socket. Errors: EPROTONOSUPPORT where ib_core is not loaded. The kernel
/// then tries to load a module for it, so do not ask on a machine without /sys/class/infiniband.
[[nodiscard]] core::Result<std::unique_ptr<NetlinkChannel>> open_rdma_netlink_channel();

/// Asks the kernel. Not thread-safe: one instance a thread. Every call ends within the budget,
/// counted from when the kernel has taken the request: what it does before that (a rename waits
/// for devices that are being registered) nobody can bound.
class RdmaNetlink {
 public:
  /// @param budget for the answer to each call below
  /// @param clock outlives this object
  RdmaNetlink(std::unique_ptr<NetlinkChannel> channel, const core::Clock& clock,
              std::chrono::milliseconds budget);

  /// All devices visible in the caller's network namespace.
  /// Errors: as decode_netlink_datagram() and decode_netlink_device(); ETIMEDOUT; EOVERFLOW.
  [[nodiscard]] core::Result<std::vector<NetlinkDevice>> devices();

  /// One device by index. Errors: as devices(); EINVAL or ENODEV from the kernel if there is none.
  [[nodiscard]] core::Result<NetlinkDevice> device(std::uint32_t index);

  /// All ports of one device. Errors: as device().
  [[nodiscard]] core::Result<std::vector<NetlinkPort>> ports(std::uint32_t device_index);

  /// Gives a device another name and waits until the kernel says that it is done
  /// (RDMA_NLDEV_CMD_SET). Its index stays. Kernels take nearly any text for a name: check it
  /// first. Errors: EEXIST if another device has that name; EINVAL or ENODEV if there is no such
  /// device; EPERM without CAP_NET_ADMIN; EINVAL for an empty name, ENAMETOOLONG past
  /// kDeviceNameLimit; ETIMEDOUT.
  [[nodiscard]] core::Result<void> rename(std::uint32_t index, const std::string& new_name);

  /// Makes a software device (RDMA_NLDEV_CMD_NEWLINK, CAP_NET_ADMIN). The kernel tries to load a
  /// module where it does not know `type`.
  /// @param name of the device to be, at most 63 bytes, without '%'
  /// @param type as its module registered it: "rxe", "siw"
  /// @param netdev interface name in the caller's network namespace
  /// Errors: EINVAL also for a type that the kernel lacks; EEXIST when the netdev has one of this
  /// type; ENFILE when the name is taken; ENODEV without the netdev; EPERM; as devices().
  [[nodiscard]] core::Result<void> new_link(const std::string& name, const std::string& type,
                                            const std::string& netdev);

  /// Removes a software device (RDMA_NLDEV_CMD_DELLINK, CAP_NET_ADMIN), with what is open on it.
  /// Errors: EINVAL when there is none of that index, or it is hardware; EPERM; as devices().
  [[nodiscard]] core::Result<void> delete_link(std::uint32_t device_index);

 private:
  struct Request;
  template <typename Entry>
  core::Result<std::vector<Entry>> ask(const Request& request,
                                       core::Result<Entry> (*decode)(std::span<const std::byte>));

  std::unique_ptr<NetlinkChannel> channel_;
  const core::Clock* clock_;
  std::chrono::milliseconds budget_;
  std::uint32_t sequence_ = 0;
};

}  // namespace rdmaboot::os
