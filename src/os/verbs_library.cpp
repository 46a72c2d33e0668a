// SPDX-License-Identifier: BSD-2-Clause
#include "os/verbs_library.hpp"

#include <string>

#include <dlfcn.h>

#include "core/text.hpp"

namespace rdmaboot::os {
namespace {

using core::fail;
using core::Result;

constexpr const char* kLibrary = "libibverbs.so.1";
constexpr const char* kExpected = "MTUs, verbs' GID tables and events are left out";

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<VerbsLibrary> load() {
  void* const handle = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const reason = ::dlerror();
    return fail("load", kLibrary, 0,
                std::string(reason != nullptr ? core::printable(reason) : "no reason given") +
                    "; " + kExpected);
  }
  VerbsLibrary library;
  const bool usable = find(handle, "ibv_get_device_list", library.get_device_list) &&
                      find(handle, "ibv_free_device_list", library.free_device_list) &&
                      find(handle, "ibv_get_device_name", library.get_device_name) &&
                      find(handle, "ibv_open_device", library.open_device) &&
                      find(handle, "ibv_close_device", library.close_device) &&
                      find(handle, "ibv_query_port", library.query_port) &&
                      find(handle, "ibv_get_async_event", library.get_async_event) &&
                      find(handle, "ibv_ack_async_event", library.ack_async_event);
  if (!usable) {
    ::dlclose(handle);
    return fail("load", kLibrary, 0,
                std::string("expected the functions of version 1; ") + kExpected);
  }
  static_cast<void>(find(handle, "_ibv_query_gid_table", library.query_gid_table));
  return library;
}

}  // namespace

const Result<VerbsLibrary>& verbs_library() {
  static const Result<VerbsLibrary> library = load();
  return library;
}

}  // namespace rdmaboot::os
