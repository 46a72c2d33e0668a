// SPDX-License-Identifier: BSD-2-Clause
#include "os/verbs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

#include <infiniband/verbs.h>
#include <net/if.h>

#include "os/verbs_library.hpp"

namespace rdmaboot::os {
namespace {

using core::Error;
using core::fail;
using core::Result;

constexpr std::string_view kExpected = "MTUs and verbs' GID tables are left out";

static_assert(static_cast<int>(VerbsGidType::kInfiniBand) == IBV_GID_TYPE_IB);
static_assert(static_cast<int>(VerbsGidType::kRoceV1) == IBV_GID_TYPE_ROCE_V1);
static_assert(static_cast<int>(VerbsGidType::kRoceV2) == IBV_GID_TYPE_ROCE_V2);

/// enum ibv_mtu counts powers of two from 1 (256 bytes) to 5 (4096).
std::optional<std::uint32_t> bytes_of(const ibv_mtu& mtu) {
  // Not read as the enumeration, which must not hold a number that a later library may give.
  std::uint32_t code = 0;
  static_assert(sizeof code == sizeof mtu);
  std::memcpy(&code, &mtu, sizeof code);
  constexpr unsigned kLargest = 5;
  if (code < 1 || code > kLargest) {
    return std::nullopt;
  }
  return 128U << code;
}

std::string netdev_name(std::uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  return index != 0 && ::if_indextoname(index, name.data()) != nullptr ? name.data() : "";
}

Result<VerbsPort> query_port(const VerbsLibrary& library, ibv_context* context,
                             std::uint32_t number, const std::string& device) {
  if (number > std::numeric_limits<std::uint8_t>::max()) {
    return fail("query port " + std::to_string(number) + " of", device, EOVERFLOW,
                "expected at most 255 ports: verbs cannot name more");
  }
  // The exported function fills the part of the structure that rdma-core had at first, which is all
  // that is used here; the rest stays zero.
  ibv_port_attr attributes{};
  const int error =
      library.query_port(context, static_cast<std::uint8_t>(number),
                         static_cast<_compat_ibv_port_attr*>(static_cast<void*>(&attributes)));
  if (error != 0) {
    return fail("query port " + std::to_string(number) + " of", device, std::abs(error));
  }
  VerbsPort port;
  port.number = number;
  port.active_mtu = bytes_of(attributes.active_mtu);
  port.max_mtu = bytes_of(attributes.max_mtu);
  port.gid_table_length = static_cast<std::size_t>(std::max(attributes.gid_tbl_len, 0));
  return port;
}

Result<std::vector<VerbsGid>> query_gids(const VerbsLibrary& library, ibv_context* context,
                                         std::size_t entries, const std::string& device) {
  if (entries > kVerbsGidLimit) {
    return fail("query the GID table of", device, EOVERFLOW,
                "expected at most " + std::to_string(kVerbsGidLimit) + " entries");
  }
  std::vector<ibv_gid_entry> table(std::max<std::size_t>(entries, 1));
  const ssize_t count =
      library.query_gid_table(context, table.data(), table.size(), 0, sizeof(ibv_gid_entry));
  if (count < 0) {
    return fail("query the GID table of", device, static_cast<int>(-count));
  }
  table.resize(std::min(table.size(), static_cast<std::size_t>(count)));
  std::vector<VerbsGid> gids;
  gids.reserve(table.size());
  for (const ibv_gid_entry& entry : table) {
    VerbsGid gid;
    gid.port = entry.port_num;
    gid.index = entry.gid_index;
    std::copy(std::begin(entry.gid.raw), std::end(entry.gid.raw), gid.bytes.begin());
    gid.type = static_cast<VerbsGidType>(entry.gid_type);
    gid.netdev = netdev_name(entry.ndev_ifindex);
    gids.push_back(std::move(gid));
  }
  return gids;
}

}  // namespace

VerbsDevice query_context(const VerbsLibrary& library, ibv_context* context,
                          const VerbsQuestion& question, bool gids, std::vector<Error>& errors) {
  VerbsDevice device;
  device.name = question.device;
  std::size_t entries = 0;
  for (const std::uint32_t number : question.ports) {
    auto port = query_port(library, context, number, question.device);
    if (port) {
      entries += port->gid_table_length;
      device.ports.push_back(*port);
    } else {
      errors.push_back(std::move(port).error());
    }
  }
  const bool knows_all_ports = device.ports.size() == question.ports.size();
  if (gids && knows_all_ports && library.query_gid_table != nullptr) {
    auto table = query_gids(library, context, entries, question.device);
    if (table) {
      device.gids = std::move(*table);
    } else {
      errors.push_back(std::move(table).error());
    }
  }
  return device;
}

VerbsFacts query_verbs(const std::vector<VerbsQuestion>& questions, bool gids) {
  VerbsFacts facts;
  if (questions.empty()) {
    return facts;
  }
  const Result<VerbsLibrary>& library = verbs_library();
  if (!library) {
    facts.errors.push_back(library.error());
    return facts;
  }
  const auto free_list = [&library](ibv_device** list) { library->free_device_list(list); };
  int count = 0;
  const std::unique_ptr<ibv_device*, decltype(free_list)> list(library->get_device_list(&count),
                                                               free_list);
  if (!list) {
    facts.errors.push_back(fail("list", "verbs devices", errno, kExpected).value());
    return facts;
  }
  const auto close_context = [&library](ibv_context* context) { library->close_device(context); };
  for (int i = 0; i < count; ++i) {
    ibv_device* const device = list.get()[i];
    const std::string_view name = library->get_device_name(device);
    const auto question =
        std::find_if(questions.begin(), questions.end(),
                     [name](const VerbsQuestion& asked) { return asked.device == name; });
    if (question == questions.end()) {
      continue;
    }
    const std::unique_ptr<ibv_context, decltype(close_context)> context(
        library->open_device(device), close_context);
    if (!context) {
      facts.errors.push_back(fail("open verbs device", name, errno, kExpected).value());
      continue;
    }
    facts.devices.push_back(query_context(*library, context.get(), *question, gids, facts.errors));
  }
  return facts;
}

}  // namespace rdmaboot::os
