// SPDX-License-Identifier: BSD-2-Clause
// Asks this machine what no file says.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "core/text.hpp"
#include "core/unique_handle.hpp"
#include "device/host_facts.hpp"
#include "os/program_output.hpp"
#include "rdmactl/doctor/live.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

using Bus = core::UniqueHandle<sd_bus, sd_bus_flush_close_unref>;
using Message = core::UniqueHandle<sd_bus_message, sd_bus_message_unref>;

constexpr const char* kPortMapperSocket = "/run/iwpmd/iwpmd.sock";
constexpr int kPatienceMs = 2000;
constexpr const char* kManager = "org.freedesktop.systemd1";

core::Result<Bus> connect_to_systemd() {
  sd_bus* raw = nullptr;
  int status = sd_bus_open_system(&raw);
  if (status >= 0) {
    return Bus(raw);
  }
  // Before D-Bus runs, or without it: PID 1's own socket, for root.
  status = sd_bus_new(&raw);
  Bus bus(status < 0 ? nullptr : raw);
  if (status < 0 ||
      (status = sd_bus_set_address(bus.get(), "unix:path=/run/systemd/private")) < 0 ||
      (status = sd_bus_start(bus.get())) < 0) {
    return core::fail("ask systemd", "", -status, "how units stand is not known");
  }
  return bus;
}

core::Result<Message> list_units(sd_bus* bus) {
  sd_bus_message* raw = nullptr;
  int status =
      sd_bus_message_new_method_call(bus, &raw, kManager, "/org/freedesktop/systemd1",
                                     "org.freedesktop.systemd1.Manager", "ListUnitsByPatterns");
  const Message call(status < 0 ? nullptr : raw);
  if (status >= 0) {
    status = sd_bus_message_append(call.get(), "asas", 0, 2, "rdma*", "iwpmd*");
  }
  sd_bus_message* answer = nullptr;
  if (status >= 0) {
    constexpr std::uint64_t kMicroseconds = 1000;
    status = sd_bus_call(bus, call.get(), kPatienceMs * kMicroseconds, nullptr, &answer);
  }
  if (status < 0) {
    return core::fail("ask systemd", "", -status, "how units stand is not known");
  }
  return Message(answer);
}

core::Result<void> read_units(LiveFacts& facts) {
  const auto bus = connect_to_systemd();
  if (!bus) {
    return tl::make_unexpected(bus.error());
  }
  const auto answer = list_units(bus->get());
  if (!answer) {
    return tl::make_unexpected(answer.error());
  }
  int status = sd_bus_message_enter_container(answer->get(), 'a', "(ssssssouso)");
  while (status > 0) {
    const char* name = nullptr;
    const char* state = nullptr;
    status = sd_bus_message_read(answer->get(), "(ssssssouso)", &name, nullptr, nullptr, &state,
                                 nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    if (status > 0) {
      facts.unit_states.emplace(name, state);
    }
  }
  if (status < 0) {
    return core::fail("understand systemd", "", -status);
  }
  return {};
}

/// Empty: it answers. Nothing: this user may not ask.
std::optional<std::string> ask_port_mapper() {
  const core::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(&address.sun_path[0], kPortMapperSocket, sizeof address.sun_path - 1);
  const auto refused = [](int error) -> std::optional<std::string> {
    if (error == EACCES || error == EPERM) {
      return std::nullopt;
    }
    return std::string("connect ") + kPortMapperSocket + ": " + std::strerror(error);
  };
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the interface of connect(2)
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return refused(errno);
  }
  pollfd wait{fd.get(), POLLIN, 0};
  if (::poll(&wait, 1, kPatienceMs) <= 0) {
    return "it is connected and says nothing for 2 s";
  }
  char first = 0;
  return ::read(fd.get(), &first, 1) == 1 ? "" : "it closes the connection at once";
}

/// What rdma_rename would call the device; empty if it does not know.
std::string next_name_of(const std::string& device) {
  constexpr std::size_t kLongest = 256;
  const auto said =
      os::run_program({RDMABOOT_RENAME, "--dry-run", device, "NAME_FALLBACK"}, kLongest, true);
  return said && said->status == 0 ? std::string(core::trim(said->text)) : std::string{};
}

}  // namespace

LiveFacts read_live(const device::Snapshot& devices, std::vector<core::Error>& notes) {
  LiveFacts facts;
  facts.known = true;
  device::HostFacts host = device::HostFactReader{}.read(devices, device::Level::kAddress, notes);
  facts.addresses = std::move(host.netdev_addresses);
  facts.nodes = std::move(host.nodes);
  bool has_iwarp = false;
  for (const device::Device& device : devices.devices) {
    has_iwarp = has_iwarp || device.protocol == device::Protocol::kIwarp;
    for (const device::Port& port : device.ports) {
      if (port.active_mtu) {
        facts.active_mtu[port_name(device, port)] = *port.active_mtu;
      }
      for (const device::Netdev& netdev : port.netdevs) {
        facts.netdevs[port_name(device, port)].push_back(netdev.name);
      }
    }
    // The rules leave software devices alone.
    if (!device.sysfs_path.starts_with("/sys/devices/virtual/")) {
      if (std::string next = next_name_of(device.name); !next.empty()) {
        facts.next_names[device.name] = std::move(next);
      }
    }
  }
  if (has_iwarp) {
    facts.port_mapper = ask_port_mapper();
  }
  if (auto units = read_units(facts); !units) {
    notes.push_back(std::move(units).error());
  }
  return facts;
}

}  // namespace rdmaboot::rdmactl::doctor
