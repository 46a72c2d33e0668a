// SPDX-License-Identifier: BSD-2-Clause
#include "os/verbs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

#include <dlfcn.h>
#include <infiniband/verbs.h>
#include <net/if.h>

#include "core/text.hpp"

namespace rdmaboot::os {
namespace {

using core::Error;
using core::fail;
using core::Result;

constexpr const char* kLibrary = "libibverbs.so.1";
constexpr std::string_view kExpected = "MTUs and verbs' GID tables are left out";

/// The functions that are used. verbs.h hides some of them behind macros and inline functions which
/// would need the library at link time.
struct Library {
  decltype(&::ibv_get_device_list) get_device_list = nullptr;
  decltype(&::ibv_free_device_list) free_device_list = nullptr;
  decltype(&::ibv_get_device_name) get_device_name = nullptr;
  decltype(&::ibv_open_device) open_device = nullptr;
  decltype(&::ibv_close_device) close_device = nullptr;
  decltype(&::ibv_query_port) query_port = nullptr;
  decltype(&::_ibv_query_gid_table) query_gid_table = nullptr;  ///< may be missing: rdma-core < 32
};

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<Library> load() {
  void* const handle = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const reason = ::dlerror();
    return fail("load", kLibrary, 0,
                std::string(reason != nullptr ? core::printable(reason) : "no reason given") +
                    "; " + std::string(kExpected));
  }
  Library library;
  const bool usable = find(handle, "ibv_get_device_list", library.get_device_list) &&
                      find(handle, "ibv_free_device_list", library.free_device_list) &&
                      find(handle, "ibv_get_device_name", library.get_device_name) &&
                      find(handle, "ibv_open_device", library.open_device) &&
                      find(handle, "ibv_close_device", library.close_device) &&
                      find(handle, "ibv_query_port", library.query_port);
  if (!usable) {
    ::dlclose(handle);
    return fail("load", kLibrary, 0,
                "expected the functions of version 1; " + std::string(kExpected));
  }
  static_cast<void>(find(handle, "_ibv_query_gid_table", library.query_gid_table));
  return library;
}

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

Result<VerbsPort> query_port(const Library& library, ibv_context* context, std::uint32_t number,
                             const std::string& device) {
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

Result<std::vector<VerbsGid>> query_gids(const Library& library, ibv_context* context,
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

VerbsDevice query_device(const Library& library, ibv_context* context,
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

}  // namespace

VerbsFacts query_verbs(const std::vector<VerbsQuestion>& questions, bool gids) {
  VerbsFacts facts;
  if (questions.empty()) {
    return facts;
  }
  static const Result<Library> library = load();
  if (!library) {
    facts.errors.push_back(library.error());
    return facts;
  }
  const auto free_list = [](ibv_device** list) { library->free_device_list(list); };
  int count = 0;
  const std::unique_ptr<ibv_device*, decltype(free_list)> list(library->get_device_list(&count),
                                                               free_list);
  if (!list) {
    facts.errors.push_back(fail("list", "verbs devices", errno, kExpected).value());
    return facts;
  }
  const auto close_context = [](ibv_context* context) { library->close_device(context); };
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
    facts.devices.push_back(query_device(*library, context.get(), *question, gids, facts.errors));
  }
  return facts;
}

}  // namespace rdmaboot::os
