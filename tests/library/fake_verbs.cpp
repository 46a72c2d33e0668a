// SPDX-License-Identifier: BSD-2-Clause
// A libibverbs.so.1 with three devices: one that works, one that may not be opened, one that
// answers every question with an error.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <infiniband/verbs.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifdef FAKE_VERBS_IS_ANOTHER_LIBRARY

extern "C" int not_the_verbs_library() {
  return 0;
}

#else

// verbs.h has macros of these names.
#undef ibv_query_port
#undef ibv_get_device_list

namespace {

std::array<ibv_device, 3> devices{};
std::array<ibv_device*, 4> list{};
std::array<ibv_context, 3> contexts{};

}  // namespace

extern "C" {

ibv_device** ibv_get_device_list(int* count) {
  std::strcpy(devices[0].name, "good0");
  std::strcpy(devices[1].name, "locked0");
  std::strcpy(devices[2].name, "odd0");
  for (std::size_t i = 0; i < devices.size(); ++i) {
    list[i] = &devices[i];
    contexts[i].device = &devices[i];
  }
  *count = static_cast<int>(devices.size());
  return list.data();
}

void ibv_free_device_list(ibv_device** freed) {
  std::memset(freed, 0, sizeof(list));
}

const char* ibv_get_device_name(ibv_device* device) {
  return device->name;
}

ibv_context* ibv_open_device(ibv_device* device) {
  if (device == &devices[1]) {
    errno = EACCES;
    return nullptr;
  }
  ibv_context& context = device == devices.data() ? contexts[0] : contexts[2];
  context.async_fd = ::eventfd(0, EFD_CLOEXEC);
  return &context;
}

int ibv_close_device(ibv_context* context) {
  context->device = nullptr;
  return ::close(context->async_fd);
}

/// A test writes 1 + the type of an event to the descriptor.
int ibv_get_async_event(ibv_context* context, ibv_async_event* event) {
  std::uint64_t value = 0;
  if (::read(context->async_fd, &value, sizeof value) != sizeof value) {
    return -1;
  }
  const std::uint64_t type = value - 1;
  if (type > IBV_EVENT_WQ_FATAL) {
    errno = EIO;
    return -1;
  }
  event->event_type = static_cast<ibv_event_type>(type);
  return 0;
}

/// After this an event is no longer the caller's.
void ibv_ack_async_event(ibv_async_event* event) {
  event->event_type = IBV_EVENT_CQ_ERR;
}

int ibv_query_port(ibv_context* context, std::uint8_t port, _compat_ibv_port_attr* attributes) {
  if (context == &contexts[2]) {
    return EIO;
  }
  auto* const answer = static_cast<ibv_port_attr*>(static_cast<void*>(attributes));
  answer->active_mtu = IBV_MTU_1024;
  // Written as a number: a library of the future may know larger ones.
  const std::uint32_t max_mtu = port == 1 ? IBV_MTU_4096 : 9;
  static_assert(sizeof answer->max_mtu == sizeof max_mtu);
  std::memcpy(&answer->max_mtu, &max_mtu, sizeof max_mtu);
  answer->gid_tbl_len = port == 3 ? 1 << 20 : 8;
  return 0;
}

#ifndef FAKE_VERBS_WITHOUT_GID_TABLE
ssize_t _ibv_query_gid_table(ibv_context* context, ibv_gid_entry* entries, std::size_t max_entries,
                             std::uint32_t flags, std::size_t entry_size) {
  if (context == &contexts[2] || flags != 0 || entry_size != sizeof(ibv_gid_entry) ||
      max_entries < 2) {
    return -EIO;
  }
  std::memset(entries, 0, 2 * entry_size);
  entries[0].port_num = 1;
  entries[0].gid_index = 3;
  entries[0].gid.raw[15] = 7;
  entries[0].gid_type = IBV_GID_TYPE_ROCE_V2;
  entries[0].ndev_ifindex = 1;  // the loopback device of every network namespace
  entries[1].port_num = 2;
  return 2;
}
#endif

}  // extern "C"

#endif
