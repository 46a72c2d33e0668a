// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which links to make, take over, remove or leave: declarations, the devices and interfaces that
// are there and what was made earlier go in, steps come out. Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/declared_link.hpp"
#include "os/module_index.hpp"
#include "os/network_interfaces.hpp"

namespace rdmaboot::link {

/// An RDMA device of this machine.
struct ExistingDevice {
  std::uint32_t index = 0;  ///< of RDMA netlink; stays through renames, not used twice
  std::string name;
  std::optional<device::SoftLinkType> type;  ///< nothing: hardware
  std::string netdev;                        ///< under its first port; empty if none is visible
};

/// A link that rdma-link made, as it wrote it down (state.hpp).
struct MadeLink {
  std::string name;  ///< as declared
  device::SoftLinkType type = device::SoftLinkType::kRxe;
  std::uint32_t device_index = 0;  ///< by which it is told from a link that somebody else makes
  std::string netdev;              ///< name of the interface when the link was made
  std::string file;                ///< base name of the file that declared it
};

/// How the module of a type can be had, and whether rdma-link may load it.
struct TypeFact {
  os::Availability availability = os::Availability::kMissing;
  bool may_load = true;  ///< false with rdma_boot.load=0
};

/// All that the decision depends on, at one moment.
struct Facts {
  device::DeclaredLinks declared;
  std::vector<ExistingDevice> devices;
  std::vector<os::NetworkInterface> netdevs;  ///< by index
  std::vector<MadeLink> made;
  std::map<device::SoftLinkType, TypeFact> types;  ///< of the types that are declared
};

enum class Action {
  kDelete,  ///< remove device `device_index`, which rdma-link made
  kForget,  ///< what was made is gone: drop the note about it
  kCreate,  ///< make the link on `netdev`
  kKeep,    ///< it is there, made by rdma-link
  kAdopt,   ///< it is there, made by somebody else; it stays when the declaration goes
  kWait,    ///< no interface that is meant is there
  kRefuse,  ///< it cannot be made; `reason` says why
};

/// "delete", "forget", ...; for output.
[[nodiscard]] std::string_view name_of(Action action);

/// One thing to do, or to leave and why.
struct Step {
  Action action = Action::kKeep;
  std::string link;  ///< the declared name
  device::SoftLinkType type = device::SoftLinkType::kRxe;
  std::string netdev;  ///< the interface it is about; empty if none
  std::uint32_t device_index = 0;
  std::string file;    ///< that declares it, or did
  std::string reason;  ///< for a person; may be empty for kCreate
};

/// The steps, in the order in which they have to be taken.
[[nodiscard]] std::vector<Step> make_plan(const Facts& facts);

/// What the kernel means by refusing to make a link, for a person; empty where the errno says it.
/// Source: nldev_newlink() and the newlink functions of rdma_rxe and siw, Linux 6.1 to 6.12.
[[nodiscard]] std::string_view explain_refusal(device::SoftLinkType type, int error_number);

}  // namespace rdmaboot::link
